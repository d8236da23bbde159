import {
  type ActorRef,
  type ActorSystem,
  assert,
  parseDelayLevels,
  popRetryTopic,
  SystemTopic,
  type TopicConfig,
} from '@millrace/core'
import type { KeyValue, MessageStore, MetadataStore } from '@millrace/storage'
import type { BrokerConfig } from '../config/index.js'
import type { NameserverMessage } from '../nameserver/nameserver.js'
import { type Answer, type Handler, handlerOf } from '../requests/answer.js'
import type { BrokerCounters } from './counters.js'
import { DelaySchedule } from './delay/delay-schedule.js'
import { type DeliveryMessage, delayDelivery } from './delay/delivery.js'
import { sendBackAnswers } from './delay/send-back.js'
import { filterAnswers } from './filter/filter-answers.js'
import { createGroups, type Groups } from './groups/groups.js'
import { offsetFlush } from './groups/offset-flush.js'
import { retryTarget } from './groups/retry-policy.js'
import { assignmentAnswers } from './pop/assignment-answers.js'
import { RequestModes } from './pop/request-modes.js'
import { configAnswers } from './queries/config-answers.js'
import { consumeAnswers } from './queries/consume-answers.js'
import { messageAnswers } from './queries/message-answers.js'
import { queueAnswers } from './queries/queue-answers.js'
import { replicaAnswers } from './queries/replica-answers.js'
import { runtimeAnswers } from './queries/runtime-answers.js'
import { statsAnswers } from './queries/stats-answers.js'
import { viewStatsAnswers } from './queries/view-stats-answers.js'
import { Registrar } from './registration/registrar.js'
import { LogPin } from './retention/log-pin.js'
import { DayTotals, statsSampler } from './stats/sampler.js'
import { timerAnswers } from './timer/recall-answers.js'
import { TimerIndex } from './timer/timer-index.js'
import type { TimerMessage } from './timer/timer-messages.js'
import { timerService } from './timer/timer-service.js'
import { SystemTopics } from './topics/system-topics.js'
import { TopicAdmin } from './topics/topic-admin.js'
import { TopicTable } from './topics/topic-table.js'
import { TOPIC_REQUESTS, Topics, topicsBehavior } from './topics/topics.js'
import { createTransactions } from './transaction/create-transactions.js'
import type { TransactionCounters } from './transaction/transaction-counters.js'

export interface BrokerControlOptions {
  readonly system: ActorSystem
  /** Changed in place by administrators [25]: everybody who should notice holds this very object. */
  readonly config: BrokerConfig
  readonly metadata: MetadataStore
  readonly store: MessageStore
  /** Holds the index of pending timers; derived from the log. */
  readonly timerIndex: KeyValue
  /** The nameserver of this process, if it runs here. */
  readonly nameserver: ActorRef<NameserverMessage> | undefined
  /** What the data path counts. */
  readonly counters: BrokerCounters
}

/** A broker without its data path: everything but sends and pulls. */
export interface BrokerControl {
  /** Request code → what serves it. */
  readonly handlers: ReadonlyMap<number, Handler>
  readonly topics: Topics
  readonly topicTable: TopicTable
  readonly groups: Groups
  readonly delay: DelaySchedule
  /** Figures about transactions. */
  readonly transactions: TransactionCounters
  /** What pending messages need of the log. */
  readonly pins: readonly LogPin[]
  /** Where a message for a retry topic goes; the topic exists then. @see retryTarget */
  retryTarget(topic: string, reconsumeTimes: number, maxReconsumeTimes: number | undefined): Promise<string>
  /**
   * Begins to deliver delayed messages and registers with the nameservers; the listener is open on `port`. Resolves
   * when the nameserver of this process shows the broker.
   */
  start(port: number): Promise<void>
  /**
   * Leaves the nameserver of this process, ends the deliveries of delayed messages, and stores consumer offsets: the
   * stores may be closed then. The actors stop with their system. Never rejects.
   */
  stop(): Promise<void>
}

/** Names that retry topics of pops may have: they go with their topic. */
function popRetryTopics(topic: string, groups: readonly string[]): string[] {
  return groups.flatMap(group => [popRetryTopic(group, topic, 1), popRetryTopic(group, topic, 2)])
}

/** Deliveries that take longer to store than this are made again after the next start. */
const STOP_DEADLINE_MS = 10_000

export function createBrokerControl(options: BrokerControlOptions): BrokerControl {
  const { config, counters, metadata, nameserver, store, system, timerIndex } = options
  const { clock, random } = system.environment
  const { offsets } = metadata
  const supervision = { kind: 'resume' } as const

  const systemTopics = new SystemTopics(config)
  const topicTable = new TopicTable(metadata.table<Omit<TopicConfig, 'topicName'>>('topics'), systemTopics.initial())
  const registrar = new Registrar({ system, config, topics: topicTable, nameserver })
  const admin = new TopicAdmin(
    topicTable,
    systemTopics,
    () => config,
    registrar.announce,
    async topic => {
      const retries = popRetryTopics(topic, offsets.groupsOf(topic)).filter(name => topicTable.find(name))
      offsets.removeTopic(topic)
      metadata.receipts.forget({ topic })
      await Promise.all([store.deleteTopic(topic), offsets.flush(), ...retries.map(name => admin.deleteForGroup(name))])
    },
  )
  const topicsActor = system.spawn(
    'topics',
    topicsBehavior(topicTable, admin, systemTopics, () => store.storedTopics()),
    { supervision },
  )
  const topics = new Topics(topicTable, topicsActor)
  const groups = createGroups({
    system,
    config,
    records: metadata.table('groups'),
    forbiddenRecords: metadata.table('forbidden-topics'),
    offsets,
    store,
    topics,
    topicTable,
  })
  const { locks, registry, subscriptionGroups } = groups

  const levels = parseDelayLevels(config.messageDelayLevel)
  assert(levels, 'settings were checked')
  const delay = new DelaySchedule(levels, config, clock)
  const index = new TimerIndex(timerIndex)
  const timerPin = new LogPin(
    () => index.firstDue() === undefined && (index.nextOffset ?? 0) >= store.maxOffset(SystemTopic.TIMER, 0),
  )
  const delayOffsets = metadata.table<number>('delay-offsets')
  const isDelivered = (level: number): boolean =>
    (delayOffsets.get(String(level)) ?? 0) >= store.maxOffset(SystemTopic.SCHEDULE, level - 1)
  const delayPin = new LogPin(() => levels.every((_, at) => isDelivered(at + 1)))

  let delivery: ActorRef<DeliveryMessage> | undefined
  let timers: ActorRef<TimerMessage> | undefined
  const totals = new DayTotals(clock.now())
  const figures = { clock, config, counters, store, topics: topicTable, offsets, registry, subscriptionGroups }
  const answers: [number, Answer][] = [
    ...sendBackAnswers({ config: () => config, counters, subscriptionGroups, topics, store, schedule: delay, random }),
    ...assignmentAnswers({
      config: () => config,
      modes: new RequestModes(metadata.table('message-request-modes'), () => config),
      registry,
      subscriptionGroups,
      topics: topicTable,
    }),
    ...timerAnswers({ config, clock, topics, index, timers: () => timers }),
    ...queueAnswers(store),
    ...messageAnswers(store),
    ...filterAnswers(config),
    ...statsAnswers(figures),
    ...consumeAnswers(figures),
    ...viewStatsAnswers(figures),
    ...replicaAnswers(store),
    ...configAnswers(config, metadata.table('broker-config')),
    ...runtimeAnswers({
      config,
      environment: system.environment,
      store,
      delayOffsets,
      levelCount: levels.length,
      counters,
      totals,
    }),
  ]
  const handlers = new Map<number, Handler>(groups.handlers)
  for (const code of TOPIC_REQUESTS) handlers.set(code, request => topicsActor.tell({ kind: 'request', request }))
  for (const [code, answer] of answers) handlers.set(code, handlerOf(answer))

  const { producers } = groups
  const placed = delay.scheduleOrNow.bind(delay)
  const transactions = createTransactions({ system, config, metadata, store, producers, topics, placed })
  for (const [code, handler] of transactions.handlers) handlers.set(code, handler)
  return {
    handlers,
    topics,
    topicTable,
    groups,
    delay,
    transactions: transactions.counters,
    pins: [delayPin, timerPin],
    retryTarget: (topic, reconsumeTimes, maxReconsumeTimes) =>
      retryTarget({ clock, locks, subscriptionGroups, topics }, topic, reconsumeTimes, maxReconsumeTimes),
    async start(port) {
      delivery = system.spawn(
        'delay',
        delayDelivery({ schedule: delay, store, offsets: delayOffsets, pin: delayPin }),
        {
          supervision,
        },
      )
      const onStored = (hint: (due: number) => void): void => delay.watchTimers(hint)
      timers = system.spawn('timers', timerService({ index, store, pin: timerPin, onStored }), { supervision })
      const isTopic = (name: string, id: number): boolean => topicTable.find(name)?.id === id
      const isGroup = (name: string): boolean => subscriptionGroups.find(name) !== undefined
      system.spawn('stats', statsSampler({ counters, isTopic, isGroup, totals }), { supervision })
      system.spawn('offset-flush', offsetFlush(offsets, config.flushConsumerOffsetInterval), { supervision })
      await registrar.start(port)
    },
    async stop() {
      registrar.stop()
      const ended = [delivery, timers].map(actor =>
        actor?.ask<void>(reply => ({ kind: 'stop', reply }), STOP_DEADLINE_MS),
      )
      delivery = timers = undefined
      const settled = transactions.stop(STOP_DEADLINE_MS)
      // What fails here has been reported by its store, and costs repeats at most: stopping goes on.
      await Promise.allSettled([...ended, settled, offsets.flush()])
    },
  }
}
