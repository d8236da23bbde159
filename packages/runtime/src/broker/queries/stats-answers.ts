import { type Clock, type JsonInput, type MessageQueue, RequestCode, ResponseCode } from '@millrace/core'
import type { ConsumerOffsets, MessageStore } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { addressText } from '../../requests/address.js'
import { type Answer, jsonReply, Refusal } from '../../requests/answer.js'
import { asJson } from '../../requests/body.js'
import { booleanField, optionalTextField, textField } from '../../requests/fields.js'
import { type BrokerCounters, GROUP, TOPIC } from '../counters.js'
import type { GroupRegistry } from '../groups/group-registry.js'
import type { SubscriptionGroups } from '../groups/subscription-groups.js'
import type { Topic } from '../topics/topic.js'
import type { TopicTable } from '../topics/topic-table.js'
import { storeTimestampAt } from './stored-time.js'

export interface StatsOptions {
  readonly clock: Clock
  readonly config: BrokerConfig
  readonly counters: BrokerCounters
  readonly store: MessageStore
  readonly topics: TopicTable
  readonly offsets: ConsumerOffsets
  readonly registry: GroupRegistry
  readonly subscriptionGroups: SubscriptionGroups
}

/** Requests about how far topics and groups are, by code. behaviour.md §18 */
export function statsAnswers(options: StatsOptions): [number, Answer][] {
  const { offsets, registry } = options
  return [
    [RequestCode.GET_TOPIC_STATS_INFO, request => topicStatsReply(options, request)],
    [RequestCode.GET_CONSUME_STATS, request => consumeStatsReply(options, request)],
    [RequestCode.GET_BROKER_CONSUME_STATS, request => allConsumeStatsReply(options, request)],
    [
      RequestCode.QUERY_TOPIC_CONSUME_BY_WHO,
      ({ command }) => {
        const topic = textField(command, 'topic')
        return jsonReply({ groupList: [...new Set([...registry.subscribersOf(topic), ...offsets.groupsOf(topic)])] })
      },
    ],
    [
      RequestCode.QUERY_TOPICS_BY_CONSUMER,
      ({ command, peer }) =>
        jsonReply({ brokerAddr: addressText(peer.local), topicList: offsets.topicsOf(textField(command, 'group')) }),
    ],
    [
      RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER,
      ({ command }) => {
        const group = textField(command, 'group')
        const topic = textField(command, 'topic')
        const data = registry.find(group)?.subscriptions.get(topic)
        return jsonReply({ group, subscriptionData: data && asJson(data), topic })
      },
    ],
  ]
}

function topicStatsReply(options: StatsOptions, { command }: RemotingRequest): Reply {
  const { store } = options
  const name = textField(command, 'topic')
  const topic = options.topics.find(name)
  if (!topic) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `topic[${name}] not exist`)
  const offsetTable = new Map(
    queuesOf(topic, options.config, Math.max(topic.readQueueNums, topic.writeQueueNums)).map(queue => {
      const maxOffset = store.maxOffset(name, queue.queueId)
      const lastUpdateTimestamp = storeTimestampAt(store, name, queue.queueId, maxOffset - 1) ?? 0
      return [queue, { lastUpdateTimestamp, maxOffset, minOffset: store.minOffset(name, queue.queueId) }] as const
    }),
  )
  return jsonReply({ offsetTable, topicPutTps: topicPutTps(options, topic) })
}

interface QueueProgress {
  readonly brokerOffset: number
  readonly consumerOffset: number
  /** Store time of the last message that the group has consumed, milliseconds; 0: none. */
  readonly lastTimestamp: number
  readonly pullOffset: number
}

/** Queues of the named topics, or of every topic the group has committed for. */
function consumeStatsReply(options: StatsOptions, { command }: RemotingRequest): Reply {
  const group = textField(command, 'consumerGroup')
  const named = [optionalTextField(command, 'topic'), ...(optionalTextField(command, 'topicList')?.split(';') ?? [])]
  const wanted = named.filter(name => name !== undefined && name !== '') as string[]
  const topics = wanted.length > 0 ? topicsNamed(options, wanted) : topicsOf(options, group)
  const offsetTable = new Map(topics.flatMap(topic => progressOf(options, group, topic, topic.readQueueNums)))
  const consumeTps = topics.reduce((sum, topic) => sum + groupGetTps(options, topic, group), 0)
  return jsonReply({ consumeTps, offsetTable: asTable(offsetTable) })
}

/**
 * [317]: progress of every group, of ordered topics alone if asked. Messages count as under way when they were pulled and
 * not committed; that is not known here, so none are (RocketMQ subtracts from 0 and shows a negative number).
 */
function allConsumeStatsReply(options: StatsOptions, { command, peer }: RemotingRequest): Reply {
  const isOrder = booleanField(command, 'isOrder', false)
  let totalDiff = 0
  const consumeStatsList = options.subscriptionGroups.names().map(group => {
    const topics = topicsOf(options, group).filter(topic => !isOrder || topic.order)
    const stats = topics.map(topic => {
      const offsetTable = new Map(progressOf(options, group, topic, topic.writeQueueNums))
      for (const { brokerOffset, consumerOffset } of offsetTable.values()) totalDiff += brokerOffset - consumerOffset
      return { consumeTps: groupGetTps(options, topic, group), offsetTable: asTable(offsetTable) }
    })
    return new Map([[group, stats]])
  })
  return jsonReply({ brokerAddr: addressText(peer.local), consumeStatsList, totalDiff, totalInflightDiff: 0 })
}

/** Topics that the group has committed for, and still subscribes to if it is online. */
function topicsOf(options: StatsOptions, group: string): Topic[] {
  const subscriptions = options.registry.find(group)?.subscriptions
  const names = options.offsets.topicsOf(group)
  return topicsNamed(
    options,
    subscriptions === undefined || subscriptions.size === 0 ? names : names.filter(name => subscriptions.has(name)),
  )
}

function topicsNamed({ topics }: StatsOptions, names: readonly string[]): Topic[] {
  return names.flatMap(name => topics.find(name) ?? [])
}

function progressOf(
  { config, offsets, store }: StatsOptions,
  group: string,
  topic: Topic,
  count: number,
): [MessageQueue, QueueProgress][] {
  const committed = offsets.queues(group, topic.name)
  return queuesOf(topic, config, count).map(queue => {
    const consumerOffset = committed.get(queue.queueId) ?? 0
    return [
      queue,
      {
        brokerOffset: store.maxOffset(topic.name, queue.queueId),
        consumerOffset,
        lastTimestamp: storeTimestampAt(store, topic.name, queue.queueId, consumerOffset - 1) ?? 0,
        pullOffset: consumerOffset,
      },
    ]
  })
}

function asTable(table: ReadonlyMap<MessageQueue, QueueProgress>): ReadonlyMap<MessageQueue, JsonInput> {
  return table as ReadonlyMap<MessageQueue, { readonly [name: string]: number } & QueueProgress>
}

/** Messages per second over the last minute. */
function topicPutTps({ clock, counters }: StatsOptions, topic: Topic): number {
  const now = clock.monotonic()
  return counters.topic(topic)?.growth(counters.times, 'minute', now, TOPIC.messages, TOPIC.requests).tps ?? 0
}

function groupGetTps({ clock, counters }: StatsOptions, topic: Topic, group: string): number {
  const meter = counters.topic(topic)?.groups.get(group)
  return meter?.growth(counters.times, 'minute', clock.monotonic(), GROUP.messages, GROUP.requests).tps ?? 0
}

function queuesOf(topic: Topic, { brokerName }: BrokerConfig, count: number): MessageQueue[] {
  return Array.from({ length: count }, (_, queueId) => ({ brokerName, queueId, topic: topic.name }))
}
