import {
  assertNever,
  type Behavior,
  type ConsumerData,
  encodeConsumerIds,
  encodeLockedQueues,
  type LockBatchRequest,
  type ReplyTo,
  RequestCode,
  ResponseCode,
  receiveBatch,
} from '@millrace/core'
import type { Peer, RemotingRequest } from '../../listener/peer.js'
import { DONE, handlerOf, Refusal } from '../../requests/answer.js'
import { connectionsReply } from './connections.js'
import { clientIdsOf, type GroupMember, type GroupRegistry, type OnlineGroup } from './group-registry.js'
import type { QueueLocks } from './queue-locks.js'

const BROADCASTING = 'BROADCASTING'

/** A heartbeat's part about one group. */
interface MemberHeartbeat {
  readonly member: GroupMember
  readonly consumer: ConsumerData
  /** Mark of the subscriptions; 0: the client speaks heartbeat V1. */
  readonly fingerprint: number
  /** V2: the subscriptions are left out because they have not changed. */
  readonly withoutSub: boolean
}

/** What a ConsumerGroup actor takes. */
export type GroupMessage =
  /** The reply says whether the client should send its subscriptions in full next time. */
  | ({ readonly kind: 'heartbeat'; readonly reply: ReplyTo<boolean> } & MemberHeartbeat)
  | { readonly kind: 'client-left'; readonly peer: Peer; readonly clientId: string; readonly reply: ReplyTo<void> }
  | { readonly kind: 'peer-closed'; readonly peer: Peer }
  | { readonly kind: 'silent-members-due'; readonly deadline: number }
  | { readonly kind: 'list-members'; readonly request: RemotingRequest }
  | { readonly kind: 'list-connections'; readonly request: RemotingRequest }
  | { readonly kind: 'lock-queues'; readonly request: RemotingRequest; readonly locks: LockBatchRequest }
  | { readonly kind: 'unlock-queues'; readonly request: RemotingRequest; readonly locks: LockBatchRequest }

export interface ConsumerGroupOptions {
  readonly registry: GroupRegistry
  readonly locks: QueueLocks
  /** Should members of this group be told at once when it changes? */
  readonly isNotified: (group: string) => boolean
}

/**
 * One consumer group: its members, what they subscribe to, and who may consume its orderly queues. A virtual actor by
 * the group's name; its state is in the registry, so that putting it away when idle loses nothing. behaviour.md §2, §13
 */
export function consumerGroup(
  name: string,
  { registry, locks, isNotified }: ConsumerGroupOptions,
): Behavior<GroupMessage> {
  return receiveBatch((batch, context) => {
    const { clock, self } = context
    // Several joins of one batch are told of once.
    let hasChanged = false
    for (const message of batch) {
      switch (message.kind) {
        case 'heartbeat': {
          const { member } = message
          const group = registry.get(name) ?? registry.open(name)
          const isNew = !group.members.has(member.peer.id)
          group.members.set(member.peer.id, member)
          if (isNew) member.peer.onClose(peer => self.tell({ kind: 'peer-closed', peer }))
          if (applyHeartbeat(group, message) || isNew) hasChanged = true
          message.reply.tell(asksForFullForm(group, message))
          break
        }
        case 'client-left':
          if (registry.get(name)?.members.get(message.peer.id)?.clientId === message.clientId)
            hasChanged = leave(message.peer) || hasChanged
          message.reply.tell()
          break
        case 'peer-closed':
          hasChanged = leave(message.peer) || hasChanged
          break
        case 'silent-members-due':
          for (const member of [...(registry.get(name)?.members.values() ?? [])])
            if (member.lastSeen < message.deadline) hasChanged = leave(member.peer) || hasChanged
          break
        case 'list-members':
          answerMembers(message.request)
          break
        case 'list-connections':
          answerConnections(message.request)
          break
        case 'lock-queues': {
          const { clientId, mqSet } = message.locks
          const body = encodeLockedQueues(locks.lock(name, clientId, mqSet, clock.now()))
          message.request.peer.reply(message.request.command, { ...DONE, body })
          break
        }
        case 'unlock-queues':
          locks.unlock(name, message.locks.clientId, message.locks.mqSet)
          message.request.peer.reply(message.request.command, DONE)
          break
        default:
          assertNever(message)
      }
    }
    if (hasChanged) notifyMembers()
  })

  /** True when the connection was a member. */
  function leave(peer: Peer): boolean {
    const group = registry.get(name)
    if (!group?.members.delete(peer.id)) return false
    if (group.members.size === 0) registry.close(name)
    return true
  }

  function notifyMembers(): void {
    const group = registry.get(name)
    if (!group || group.messageModel === BROADCASTING || !isNotified(name)) return
    for (const { peer } of group.members.values())
      peer.notify({ code: RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, extFields: { consumerGroup: name } })
  }

  function answerMembers(request: RemotingRequest): void {
    handlerOf(() => {
      const group = registry.get(name)
      if (!group) throw new Refusal(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${name}`)
      return { ...DONE, body: encodeConsumerIds(clientIdsOf(group)) }
    })(request)
  }

  function answerConnections(request: RemotingRequest): void {
    handlerOf(() => {
      const group = registry.get(name)
      if (!group) throw new Refusal(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${name}] not online`)
      return connectionsReply(group)
    })(request)
  }
}

/** Takes over the group's settings and subscriptions. True when topics were added or dropped. */
function applyHeartbeat(group: OnlineGroup, { consumer, withoutSub }: MemberHeartbeat): boolean {
  group.consumeType = consumer.consumeType
  group.messageModel = consumer.messageModel
  group.consumeFromWhere = consumer.consumeFromWhere
  if (withoutSub) return false
  let hasChanged = false
  const listed = new Set<string>()
  for (const subscription of consumer.subscriptionDataSet) {
    listed.add(subscription.topic)
    const known = group.subscriptions.get(subscription.topic)
    if (!known) hasChanged = true
    if (!known || subscription.subVersion > known.subVersion) group.subscriptions.set(subscription.topic, subscription)
  }
  for (const topic of [...group.subscriptions.keys()])
    if (!listed.has(topic)) {
      group.subscriptions.delete(topic)
      hasChanged = true
    }
  return hasChanged
}

/** V1 clients always do; V2 clients when the group's last full form was not theirs. */
function asksForFullForm(group: OnlineGroup, { fingerprint, withoutSub }: MemberHeartbeat): boolean {
  if (fingerprint === 0) return true
  const last = group.fingerprint
  if (!withoutSub) group.fingerprint = fingerprint
  return last === undefined ? withoutSub : last !== fingerprint
}
