import { type ActorSystem, decodeLockBatch, RequestCode } from '@millrace/core'
import type { ConsumerOffsets, MessageStore, MetadataTable } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest } from '../../listener/peer.js'
import { type Answer, failureReply, type Handler, handlerOf } from '../../requests/answer.js'
import { bodyOf } from '../../requests/body.js'
import { textField } from '../../requests/fields.js'
import { clientCallAnswers } from '../calls/client-calls.js'
import type { TopicTable } from '../topics/topic-table.js'
import type { Topics } from '../topics/topics.js'
import { CLIENT_REQUESTS, clientsBehavior } from './clients.js'
import { cloneAnswers } from './clone-answers.js'
import { consumerGroup, type GroupMessage } from './consumer-group.js'
import { type ForbiddenRecord, ForbiddenTopics, forbiddenAnswers } from './forbidden-topics.js'
import { groupAnswers } from './group-answers.js'
import { GroupRegistry } from './group-registry.js'
import { offsetAnswers } from './offset-answers.js'
import { PendingResets } from './pending-resets.js'
import { Producers } from './producers.js'
import { PullGroups } from './pull-groups.js'
import { QueueLocks } from './queue-locks.js'
import { resetAnswers } from './reset-answers.js'
import type { SubscriptionGroup } from './subscription-group.js'
import { SubscriptionGroups } from './subscription-groups.js'

export interface GroupsOptions {
  readonly system: ActorSystem
  readonly config: BrokerConfig
  readonly records: MetadataTable<SubscriptionGroup>
  readonly forbiddenRecords: MetadataTable<ForbiddenRecord>
  readonly offsets: ConsumerOffsets
  readonly store: MessageStore
  readonly topics: Topics
  readonly topicTable: TopicTable
}

/** Everything about consumer groups and clients. */
export interface Groups {
  /** Request code → what serves it. */
  readonly handlers: ReadonlyMap<number, Handler>
  readonly subscriptionGroups: SubscriptionGroups
  /** Groups that are online. */
  readonly registry: GroupRegistry
  readonly producers: Producers
  readonly locks: QueueLocks
  /** For the pull path. */
  readonly pull: PullGroups
}

/** Longer than the heartbeat interval of clients (30 s): the actor of a group in use stays. */
const IDLE_MS = 60_000

/** Starts the actors of groups and clients. */
export function createGroups(options: GroupsOptions): Groups {
  const { config, offsets, records, store, system, topicTable, topics } = options
  const subscriptionGroups = new SubscriptionGroups(records, () => config)
  const registry = new GroupRegistry()
  const locks = new QueueLocks()
  const producers = new Producers()
  const resets = new PendingResets(system.environment.clock)
  const forbidden = new ForbiddenTopics(options.forbiddenRecords)
  const isNotified = (group: string): boolean =>
    config.notifyConsumerIdsChangedEnable && (subscriptionGroups.find(group)?.notifyConsumerIdsChangedEnable ?? true)
  // The state is outside of the actors: after a failure they go on with the next message.
  const supervision = { kind: 'resume' } as const
  const groups = system.virtual<GroupMessage>('group', name => consumerGroup(name, { registry, locks, isNotified }), {
    idleMs: IDLE_MS,
    supervision,
  })
  const clients = system.spawn(
    'clients',
    clientsBehavior({ config: () => config, subscriptionGroups, topics, producers, registry, locks, groups }),
    { supervision },
  )

  const handlers = new Map<number, Handler>()
  for (const code of CLIENT_REQUESTS) handlers.set(code, request => clients.tell({ kind: 'request', request }))
  handlers.set(
    RequestCode.GET_CONSUMER_LIST_BY_GROUP,
    toGroup(request => {
      groups.get(textField(request.command, 'consumerGroup')).tell({ kind: 'list-members', request })
    }),
  )
  handlers.set(
    RequestCode.GET_CONSUMER_CONNECTION_LIST,
    toGroup(request => {
      groups.get(textField(request.command, 'consumerGroup')).tell({ kind: 'list-connections', request })
    }),
  )
  handlers.set(
    RequestCode.LOCK_BATCH_MQ,
    toGroup(request => {
      const lock = bodyOf(decodeLockBatch(request.command.body))
      groups.get(lock.consumerGroup).tell({ kind: 'lock-queues', request, locks: lock })
    }),
  )
  handlers.set(
    RequestCode.UNLOCK_BATCH_MQ,
    toGroup(request => {
      const unlock = bodyOf(decodeLockBatch(request.command.body))
      groups.get(unlock.consumerGroup).tell({ kind: 'unlock-queues', request, locks: unlock })
    }),
  )
  const offsetOptions = { config, offsets, registry, resets, store, subscriptionGroups, topics: topicTable }
  const answers: [number, Answer][] = [
    ...groupAnswers(subscriptionGroups, offsets, forbidden),
    ...forbiddenAnswers(forbidden, topicTable),
    ...offsetAnswers(offsetOptions),
    ...resetAnswers(offsetOptions),
    ...cloneAnswers(offsetOptions),
    ...clientCallAnswers(offsetOptions),
  ]
  for (const [code, answer] of answers) handlers.set(code, handlerOf(answer))

  const pull = new PullGroups(subscriptionGroups, registry, offsets, resets, forbidden)
  return { handlers, subscriptionGroups, registry, producers, locks, pull }
}

/** Passes a request on to a group's actor; one that names no group is refused here. */
function toGroup(pass: (request: RemotingRequest) => void): Handler {
  return request => {
    try {
      pass(request)
    } catch (error) {
      request.peer.reply(request.command, failureReply(error))
    }
  }
}
