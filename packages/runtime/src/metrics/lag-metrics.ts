import type { Clock } from '@millrace/core'
import type { ConsumerOffsets, MessageStore } from '@millrace/storage'
import type { GroupRegistry } from '../broker/groups/group-registry.js'
import { storeTimestampAt } from '../broker/queries/stored-time.js'
import type { TopicTable } from '../broker/topics/topic-table.js'
import { readerLabels } from './broker-metrics.js'
import type { Metric, Sample } from './metric.js'

export interface LagOptions {
  readonly clock: Clock
  readonly offsets: ConsumerOffsets
  readonly registry: GroupRegistry
  readonly store: MessageStore
  readonly topics: TopicTable
}

/** How far a group is behind in one topic. */
export interface Lag {
  readonly group: string
  readonly topic: string
  readonly messages: number
  /** Age of the oldest message that it has not consumed, milliseconds; 0 when there is none. */
  readonly ms: number
}

/** Messages whose age is looked up for one report: each is a read from the log. */
const AGES_MAX = 2_000

/** The lag of every group that has committed for a topic, or has members that subscribe to it. */
export function lags({ clock, offsets, registry, store, topics }: LagOptions): Lag[] {
  const found: Lag[] = []
  let ages = 0
  for (const [group, names] of readTopics(offsets, registry))
    for (const name of names) {
      const topic = topics.find(name)
      if (topic === undefined) continue
      let messages = 0
      let oldest = Number.POSITIVE_INFINITY
      for (let queueId = 0; queueId < topic.readQueueNums; queueId++) {
        const committed = offsets.get(group, name, queueId)
        const next = Math.max(committed ?? 0, store.minOffset(name, queueId))
        const behind = store.maxOffset(name, queueId) - next
        if (behind <= 0) continue
        messages += behind
        if (ages++ < AGES_MAX) oldest = Math.min(oldest, storeTimestampAt(store, name, queueId, next) ?? oldest)
      }
      found.push({ group, topic: name, messages, ms: Math.max(0, Number.isFinite(oldest) ? clock.now() - oldest : 0) })
    }
  return found
}

function readTopics(offsets: ConsumerOffsets, registry: GroupRegistry): Map<string, Set<string>> {
  const byGroup = new Map<string, Set<string>>()
  for (const group of offsets.groups()) byGroup.set(group, new Set(offsets.topicsOf(group)))
  for (const { messageModel, name, subscriptions } of registry.all()) {
    // Broadcasting consumers keep their offsets themselves.
    if (messageModel === 'BROADCASTING') continue
    const topics = byGroup.get(name) ?? new Set()
    for (const topic of subscriptions.keys()) topics.add(topic)
    byGroup.set(name, topics)
  }
  return byGroup
}

export function lagMetrics(options: LagOptions): Metric[] {
  const found = lags(options).map(lag => ({ ...lag, labels: readerLabels(lag.group, lag.topic) }))
  const of = (
    name: string,
    help: string,
    value: (lag: (typeof found)[number]) => number,
    unit?: Metric['unit'],
  ): Metric => ({
    name,
    help,
    kind: 'gauge',
    unit,
    samples: found.map((lag): Sample => ({ labels: lag.labels, value: value(lag) })),
  })
  return [
    of('rocketmq_consumer_lag_messages', 'Consumer lag messages', lag => lag.messages),
    of('rocketmq_consumer_lag_latency', 'Consumer lag time', lag => lag.ms, 'milliseconds'),
    of('rocketmq_consumer_ready_messages', 'Consumer ready messages', lag => lag.messages),
    of('millrace_consumer_lag_seconds', 'Age of the oldest message not consumed', lag => lag.ms / 1000, 'seconds'),
  ]
}
