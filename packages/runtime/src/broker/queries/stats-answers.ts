import { type MessageQueue, RequestCode, ResponseCode } from '@millrace/core'
import type { ConsumerOffsets, MessageStore } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { addressText } from '../../requests/address.js'
import { type Answer, jsonReply, Refusal } from '../../requests/answer.js'
import { asJson } from '../../requests/body.js'
import { optionalTextField, textField } from '../../requests/fields.js'
import type { GroupRegistry } from '../groups/group-registry.js'
import type { Topic } from '../topics/topic.js'
import type { TopicTable } from '../topics/topic-table.js'
import { storeTimestampAt } from './stored-time.js'

export interface StatsOptions {
  readonly config: BrokerConfig
  readonly store: MessageStore
  readonly topics: TopicTable
  readonly offsets: ConsumerOffsets
  readonly registry: GroupRegistry
}

/** Requests about how far topics and groups are, by code. behaviour.md §18 */
export function statsAnswers(options: StatsOptions): [number, Answer][] {
  const { offsets, registry } = options
  return [
    [RequestCode.GET_TOPIC_STATS_INFO, request => topicStatsReply(options, request)],
    [RequestCode.GET_CONSUME_STATS, request => consumeStatsReply(options, request)],
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
  return jsonReply({ offsetTable, topicPutTps: 0 })
}

/** Queues of the named topics, or of every topic the group has committed for. */
function consumeStatsReply(options: StatsOptions, { command }: RemotingRequest): Reply {
  const { config, offsets, store, topics } = options
  const group = textField(command, 'consumerGroup')
  const named = [optionalTextField(command, 'topic'), ...(optionalTextField(command, 'topicList')?.split(';') ?? [])]
  const wanted = named.filter(name => name !== undefined && name !== '') as string[]
  const offsetTable = new Map<MessageQueue, { readonly [name: string]: number }>()
  for (const name of wanted.length > 0 ? wanted : offsets.topicsOf(group)) {
    const topic = topics.find(name)
    if (!topic) continue
    for (const queue of queuesOf(topic, config, topic.readQueueNums)) {
      const consumerOffset = offsets.get(group, name, queue.queueId) ?? 0
      offsetTable.set(queue, {
        brokerOffset: store.maxOffset(name, queue.queueId),
        consumerOffset,
        lastTimestamp: storeTimestampAt(store, name, queue.queueId, consumerOffset - 1) ?? 0,
        pullOffset: consumerOffset,
      })
    }
  }
  return jsonReply({ consumeTps: 0, offsetTable })
}

function queuesOf(topic: Topic, { brokerName }: BrokerConfig, count: number): MessageQueue[] {
  return Array.from({ length: count }, (_, queueId) => ({ brokerName, queueId, topic: topic.name }))
}
