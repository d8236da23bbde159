import {
  assertNever,
  type Behavior,
  type ConsumerData,
  decodeHeartbeat,
  type HeartbeatData,
  RequestCode,
  ResponseCode,
  receive,
  retryTopic,
  setup,
  type VirtualActors,
  validateGroup,
} from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, handlerOf, Refusal } from '../../requests/answer.js'
import { bodyOf } from '../../requests/body.js'
import { optionalTextField, textField } from '../../requests/fields.js'
import type { Topics } from '../topics/topics.js'
import { allProducersReply, producersReply } from './connections.js'
import type { GroupMessage } from './consumer-group.js'
import type { GroupRegistry } from './group-registry.js'
import type { Producers } from './producers.js'
import type { QueueLocks } from './queue-locks.js'
import type { SubscriptionGroups } from './subscription-groups.js'

/** What the Clients actor takes. */
export type ClientsMessage =
  | { readonly kind: 'request'; readonly request: RemotingRequest }
  | { readonly kind: 'scan-due' }

export interface ClientsOptions {
  readonly config: () => BrokerConfig
  readonly subscriptionGroups: SubscriptionGroups
  readonly topics: Topics
  readonly producers: Producers
  readonly registry: GroupRegistry
  readonly locks: QueueLocks
  readonly groups: VirtualActors<GroupMessage>
}

/** Requests that the Clients actor serves. */
export const CLIENT_REQUESTS: readonly number[] = [
  RequestCode.HEART_BEAT,
  RequestCode.UNREGISTER_CLIENT,
  RequestCode.GET_PRODUCER_CONNECTION_LIST,
  RequestCode.GET_ALL_PRODUCER_INFO,
]

const SCAN_INTERVAL_MS = 10_000
const ASK_DEADLINE_MS = 5_000
/** Most groups that one client may be in; real ones are in a handful. */
const GROUPS_PER_HEARTBEAT_MAX = 4096

/** The clients that are connected: takes their heartbeats apart, and looks for those that fell silent. behaviour.md §2 */
export function clientsBehavior(options: ClientsOptions): Behavior<ClientsMessage> {
  const { config, groups, locks, producers, registry } = options
  return setup(context => {
    const { clock } = context
    const answers: [number, Answer][] = [
      [RequestCode.HEART_BEAT, request => heartbeat(options, request, clock.now())],
      [RequestCode.UNREGISTER_CLIENT, request => unregister(options, request)],
      [RequestCode.GET_PRODUCER_CONNECTION_LIST, request => producerConnections(producers, request)],
      [
        RequestCode.GET_ALL_PRODUCER_INFO,
        () => allProducersReply(producers.groups().map(group => [group, producers.members(group) ?? []])),
      ],
    ]
    const handlers = new Map(answers.map(([code, answer]) => [code, handlerOf(answer)]))
    context.every(SCAN_INTERVAL_MS, { kind: 'scan-due' })
    return receive(message => {
      switch (message.kind) {
        case 'request':
          handlers.get(message.request.command.code)?.(message.request)
          break
        case 'scan-due': {
          const now = clock.now()
          const deadline = now - config().channelExpiredTimeout
          producers.expire(deadline)
          locks.expire(now)
          for (const group of registry.all())
            for (const member of group.members.values())
              if (member.lastSeen < deadline) groups.get(group.name).tell({ kind: 'silent-members-due', deadline })
          break
        }
        default:
          assertNever(message)
      }
    })
  })
}

async function heartbeat(options: ClientsOptions, request: RemotingRequest, now: number): Promise<Reply> {
  const { command, peer } = request
  const data = bodyOf(decodeHeartbeat(command.body))
  checkHeartbeat(data)
  const client = { peer, clientId: data.clientID, language: command.language, version: command.version }
  const { producers } = options
  for (const { groupName } of data.producerDataSet)
    if (producers.join(groupName, { ...client, lastSeen: now }))
      peer.onClose(closed => producers.leavePeer(groupName, closed))
  const joins = data.consumerDataSet.map(consumer =>
    join(options, consumer, ask => ({
      kind: 'heartbeat',
      member: { ...client, lastSeen: now },
      consumer,
      fingerprint: data.heartbeatFingerprint,
      withoutSub: data.withoutSub,
      reply: ask,
    })),
  )
  const wantFull = await Promise.all(joins)
  const isChange = data.heartbeatFingerprint === 0 || wantFull.includes(true)
  return { ...DONE, extFields: { IS_SUPPORT_HEART_BEAT_V2: 'true', IS_SUB_CHANGE: String(isChange) } }
}

function checkHeartbeat({ clientID, consumerDataSet, producerDataSet }: HeartbeatData): void {
  if (clientID === '') throw new Refusal(ResponseCode.SYSTEM_ERROR, 'heartbeat without clientID')
  if (consumerDataSet.length + producerDataSet.length > GROUPS_PER_HEARTBEAT_MAX)
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `heartbeat names more than ${GROUPS_PER_HEARTBEAT_MAX} groups`)
  for (const { groupName } of [...consumerDataSet, ...producerDataSet]) {
    const check = validateGroup(groupName)
    if (!check.ok) throw new Refusal(ResponseCode.INVALID_PARAMETER, check.reason)
  }
}

/**
 * Joins a group that exists or may be created; others are skipped, and their pulls refused. The member is visible
 * before the client asks for the members [38]; the answer waits until its retry topic exists.
 */
async function join(
  { groups, subscriptionGroups, topics }: ClientsOptions,
  { groupName }: ConsumerData,
  message: (reply: Extract<GroupMessage, { kind: 'heartbeat' }>['reply']) => GroupMessage,
): Promise<boolean> {
  const group = subscriptionGroups.ensure(groupName)
  if (!group) return false
  const joined = groups.get(groupName).ask(message, ASK_DEADLINE_MS)
  try {
    await topics.ensureForGroup(retryTopic(groupName), Math.max(1, group.retryQueueNums))
  } catch {
    // A full disk must not keep consumers from reading: the topic is created again when a message is sent back.
  }
  return joined
}

async function unregister({ groups, producers }: ClientsOptions, { command, peer }: RemotingRequest): Promise<Reply> {
  const clientId = textField(command, 'clientID')
  const producerGroup = optionalTextField(command, 'producerGroup')
  if (producerGroup !== undefined) producers.leave(producerGroup, peer, clientId)
  const consumerGroup = optionalTextField(command, 'consumerGroup')
  if (consumerGroup !== undefined)
    await groups
      .get(consumerGroup)
      .ask<void>(reply => ({ kind: 'client-left', peer, clientId, reply }), ASK_DEADLINE_MS)
  return DONE
}

function producerConnections(producers: Producers, { command }: RemotingRequest): Reply {
  const group = textField(command, 'producerGroup')
  const members = producers.members(group)
  if (!members) throw new Refusal(ResponseCode.SYSTEM_ERROR, `the producer group[${group}] not exist`)
  return producersReply(members)
}
