import { CommandFlag, RequestCode, ResponseCode } from '@millrace/core'
import type { ConsumerOffsets, MessageStore } from '@millrace/storage'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal } from '../../requests/answer.js'
import { asJson } from '../../requests/body.js'
import { booleanField, integerField, textField } from '../../requests/fields.js'
import type { TopicTable } from '../topics/topic-table.js'
import type { PendingResets } from './pending-resets.js'
import type { SubscriptionGroups } from './subscription-groups.js'

export interface OffsetOptions {
  readonly offsets: ConsumerOffsets
  readonly store: Pick<MessageStore, 'entry' | 'logEnd' | 'maxOffset' | 'minOffset'>
  readonly topics: TopicTable
  readonly subscriptionGroups: SubscriptionGroups
  readonly resets: PendingResets
}

/**
 * A queue whose first message is no further back in the log than this counts as young: a group without offset starts
 * at its beginning. RocketMQ takes 40 % of the machine's memory.
 */
const YOUNG_LOG_BYTES = 2 ** 30

/** Requests about consumer offsets, by code. behaviour.md §8 */
export function offsetAnswers(options: OffsetOptions): [number, Answer][] {
  return [
    [RequestCode.QUERY_CONSUMER_OFFSET, request => queryReply(options, request)],
    [RequestCode.UPDATE_CONSUMER_OFFSET, request => update(options, request)],
    [RequestCode.GET_ALL_CONSUMER_OFFSET, () => allOffsetsReply(options.offsets)],
  ]
}

function queryReply({ offsets, store }: OffsetOptions, { command }: RemotingRequest): Reply {
  const group = textField(command, 'consumerGroup')
  const topic = textField(command, 'topic')
  const queueId = integerField(command, 'queueId')
  const committed = offsets.get(group, topic, queueId)
  if (committed !== undefined) return offsetReply(committed)
  if (!booleanField(command, 'setZeroIfNotFound', true))
    throw new Refusal(ResponseCode.QUERY_NOT_FOUND, 'Not found, do not set to zero, maybe this group boot first')
  if (isYoung(store, topic, queueId)) return offsetReply(0)
  throw new Refusal(ResponseCode.QUERY_NOT_FOUND, 'Not found, maybe this group boot first')
}

/** Nothing of the queue has been deleted, and its first message is recent, or there is none yet. */
export function isYoung(store: OffsetOptions['store'], topic: string, queueId: number): boolean {
  if (store.minOffset(topic, queueId) > 0) return false
  const first = store.entry(topic, queueId, 0)
  return first === undefined ? store.maxOffset(topic, queueId) === 0 : store.logEnd - first.position < YOUNG_LOG_BYTES
}

function offsetReply(offset: number): Reply {
  return { ...DONE, extFields: { offset: String(offset) } }
}

/**
 * A one-way commit is stored with the next flush; one that is answered is on stable storage before the answer.
 * Lower offsets are taken: operators go back that way. Some clients commit −1 where they have none: ignored.
 */
async function update(options: OffsetOptions, { command }: RemotingRequest): Promise<Reply> {
  const { offsets, resets, subscriptionGroups, topics } = options
  const group = textField(command, 'consumerGroup')
  const topicName = textField(command, 'topic')
  const queueId = integerField(command, 'queueId')
  const offset = integerField(command, 'commitOffset')
  if (!subscriptionGroups.ensure(group))
    throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} not exist!`)
  const topic = topics.find(topicName)
  if (!topic) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topicName} not exist!`)
  if (queueId < 0 || queueId >= Math.max(topic.readQueueNums, topic.writeQueueNums))
    throw new Refusal(ResponseCode.INVALID_PARAMETER, `topic ${topicName} has no queue ${queueId}`)
  if (offset < 0 || resets.isPending(group, topicName, queueId)) return DONE
  offsets.set(group, topicName, queueId, offset)
  if ((command.flag & CommandFlag.ONEWAY) === 0) await offsets.flush()
  return DONE
}

function allOffsetsReply(offsets: ConsumerOffsets): Reply {
  const groupTopicMap = new Map([...offsets.groups()].map(group => [group, offsets.topicsOf(group)]))
  const offsetTable = new Map<string, ReadonlyMap<number, number>>()
  for (const [group, topics] of groupTopicMap)
    for (const topic of topics) offsetTable.set(`${topic}@${group}`, offsets.queues(group, topic))
  return jsonReply({ dataVersion: asJson(offsets.version), groupTopicMap, offsetTable })
}
