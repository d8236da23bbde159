import { type Clock, type JsonInput, type MessageQueue, RequestCode, ResponseCode } from '@millrace/core'
import type { ConsumerOffsets, MessageStore } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, jsonReply, Refusal } from '../../requests/answer.js'
import { asJson } from '../../requests/body.js'
import { integerField, optionalTextField, textField } from '../../requests/fields.js'
import type { GroupRegistry } from '../groups/group-registry.js'
import type { TopicTable } from '../topics/topic-table.js'
import { storeTimestampAt } from './stored-time.js'

export interface ConsumeOptions {
  readonly clock: Clock
  readonly config: BrokerConfig
  readonly store: MessageStore
  readonly topics: TopicTable
  readonly offsets: ConsumerOffsets
  readonly registry: GroupRegistry
}

/** Entries of one queue in an answer at most. */
const ENTRIES_MAX = 1000
/** What a reader takes for "nothing to correct"; RocketMQ's is Long.MAX_VALUE. */
const NO_CORRECTION = Number.MAX_SAFE_INTEGER

/** Requests about single queues and how a group consumes them, by code. behaviour.md §9, §18 */
export function consumeAnswers(options: ConsumeOptions): [number, Answer][] {
  return [
    [RequestCode.QUERY_CONSUME_TIME_SPAN, request => timeSpanReply(options, request)],
    [RequestCode.QUERY_CORRECTION_OFFSET, request => correctionReply(options, request)],
    [RequestCode.QUERY_CONSUME_QUEUE, request => queueReply(options, request)],
  ]
}

/** [303]: from when to when the messages of a topic are, and where between a group is. */
function timeSpanReply({ clock, config, offsets, store, topics }: ConsumeOptions, { command }: RemotingRequest): Reply {
  const name = textField(command, 'topic')
  const group = textField(command, 'group')
  const topic = topics.find(name)
  if (!topic) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `topic[${name}] not exist`)
  const consumeTimeSpanSet = Array.from({ length: topic.writeQueueNums }, (_, queueId) => {
    const time = (offset: number): number | undefined => storeTimestampAt(store, name, queueId, offset)
    const maxOffset = store.maxOffset(name, queueId)
    const consumed = offsets.get(group, name, queueId) ?? 0
    // RocketMQ writes −1 where there is no message.
    const minTimeStamp = time(store.minOffset(name, queueId)) ?? -1
    const consumeTimeStamp = (consumed > 0 ? time(consumed - 1) : undefined) ?? minTimeStamp
    const next = consumed < maxOffset ? time(consumed) : undefined
    const messageQueue: MessageQueue = { brokerName: config.brokerName, queueId, topic: name }
    return {
      consumeTimeStamp,
      delayTime: next === undefined ? 0 : Math.max(0, clock.now() - next),
      maxTimeStamp: time(maxOffset - 1) ?? -1,
      messageQueue: asJson(messageQueue),
      minTimeStamp,
    }
  })
  return jsonReply({ consumeTimeSpanSet: consumeTimeSpanSet.map(withTexts) })
}

function withTexts(span: {
  readonly consumeTimeStamp: number
  readonly delayTime: number
  readonly maxTimeStamp: number
  readonly messageQueue: JsonInput
  readonly minTimeStamp: number
}): JsonInput {
  return {
    ...span,
    consumeTimeStampStr: timeText(span.consumeTimeStamp),
    maxTimeStampStr: timeText(span.maxTimeStamp),
    minTimeStampStr: timeText(span.minTimeStamp),
  }
}

/** `2026-11-22#17:57:00:769`, local time, as RocketMQ's tools write it. */
function timeText(ms: number): string {
  const date = new Date(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const millis = String(date.getMilliseconds()).padStart(3, '0')
  return `${day}#${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}:${millis}`
}

/**
 * [308]: the smallest offset per queue among the groups that consume a topic, those of `filterGroups` left out; a queue of
 * which the compared group is not ahead needs no correction. @see RocketMQ `ConsumerOffsetManager`
 */
function correctionReply({ offsets, store }: ConsumeOptions, { command }: RemotingRequest): Reply {
  const topic = textField(command, 'topic')
  const compared = offsets.queues(textField(command, 'compareGroup'), topic)
  const left = new Set(optionalTextField(command, 'filterGroups')?.split(',') ?? [])
  const smallest = new Map<number, number>()
  for (const group of offsets.groupsOf(topic).filter(name => !left.has(name)))
    for (const [queueId, offset] of offsets.queues(group, topic))
      if (offset >= store.minOffset(topic, queueId))
        smallest.set(queueId, Math.min(offset, smallest.get(queueId) ?? offset))
  for (const [queueId, offset] of smallest)
    if (offset > (compared.get(queueId) ?? Number.MAX_SAFE_INTEGER)) smallest.set(queueId, NO_CORRECTION)
  return jsonReply({ correctionOffsets: smallest })
}

/** [321]: entries of one queue, and what a group subscribes to. */
function queueReply({ registry, store, topics }: ConsumeOptions, { command }: RemotingRequest): Reply {
  const name = textField(command, 'topic')
  const queueId = integerField(command, 'queueId')
  const index = integerField(command, 'index')
  const count = Math.max(0, Math.min(integerField(command, 'count'), ENTRIES_MAX))
  const topic = topics.find(name)
  if (!topic) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `topic[${name}] not exist`)
  if (queueId < 0 || queueId >= Math.max(topic.readQueueNums, topic.writeQueueNums))
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `${queueId}@${name} is not exist!`)
  const group = optionalTextField(command, 'consumerGroup')
  const subscriptionData = group === undefined ? undefined : registry.find(group)?.subscriptions.get(name)
  const maxQueueIndex = store.maxOffset(name, queueId)
  const minQueueIndex = store.minOffset(name, queueId)
  if (index < minQueueIndex || index >= maxQueueIndex)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `Index ${index} of ${queueId}@${name} is not in the queue: it has ${minQueueIndex} to ${maxQueueIndex}, the end excluded`,
    )
  const queueData: JsonInput[] = []
  for (let offset = index; offset < Math.min(maxQueueIndex, index + count); offset++) {
    const entry = store.entry(name, queueId, offset)
    if (!entry) break
    queueData.push({ eval: false, physicOffset: entry.position, physicSize: entry.sizeBytes, tagsCode: entry.tagHash })
  }
  return jsonReply({
    filterData: subscriptionData && 'null',
    maxQueueIndex,
    minQueueIndex,
    queueData,
    subscriptionData: subscriptionData && asJson(subscriptionData),
  })
}
