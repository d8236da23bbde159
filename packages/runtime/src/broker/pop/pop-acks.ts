import {
  type BatchAck,
  type Clock,
  decodeBatchAck,
  type ExtraInfo,
  ORDERED_REVIVE_QUEUE,
  parseExtraInfo,
  popRetryTopic,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import type { ConsumerOffsets, MessageStore, PopReceipts } from '@millrace/storage'
import type { RemotingRequest } from '../../listener/peer.js'
import { DONE, type Handler, Refusal } from '../../requests/answer.js'
import { bodyOf } from '../../requests/body.js'
import { integerField, textField } from '../../requests/fields.js'
import type { Topics } from '../topics/topics.js'
import type { CommitReplies, ReplyPeer } from './commit-replies.js'
import { acknowledgeOrdered, changeVisibility, freeAt } from './order.js'
import { checkQueue } from './pop-checks.js'

export interface PopAckOptions {
  readonly clock: Clock
  readonly offsets: ConsumerOffsets
  readonly receipts: PopReceipts
  readonly replies: CommitReplies
  readonly store: Pick<MessageStore, 'maxOffset' | 'minOffset'>
  readonly topics: Topics
  /** An ordered queue can be popped again. */
  readonly onFree: (topic: string, group: string, queueId: number) => void
}

/** One message of one pop, as its consumer names it. */
interface Handle {
  readonly group: string
  /** Where the message is stored: the retry topic, for a retried one. */
  readonly topic: string
  readonly queueId: number
  readonly offset: number
  readonly startOffset: number
  readonly popTime: number
  readonly invisibleMs: number
  readonly isOrdered: boolean
}

/** What consumers say about messages that they popped [200051] [200151] [200053], by code. behaviour.md §15 */
export function popAcks(options: PopAckOptions): Map<number, Handler> {
  return new Map<number, Handler>([
    [RequestCode.ACK_MESSAGE, request => ack(options, request)],
    [RequestCode.BATCH_ACK_MESSAGE, request => batchAck(options, request)],
    [RequestCode.CHANGE_MESSAGE_INVISIBLETIME, request => change(options, request)],
  ])
}

/** A handle that is void, used twice or expired is answered as one that is not: the message is not this consumer's any more. */
function ack(options: PopAckOptions, { command, peer }: RemotingRequest): void {
  const handle = readHandle(command)
  checkQueue(options, handle.topic, handle.queueId)
  const { max, min } = bounds(options, handle.topic, handle.queueId)
  if (handle.offset < min || handle.offset > max)
    throw new Refusal(
      ResponseCode.NO_MESSAGE,
      `offset is illegal, key:${handle.topic}@${handle.queueId}, commit:${handle.offset}, store:${min}~${max}`,
    )
  const freed = acknowledge(options, handle)
  options.replies.add(peer as unknown as ReplyPeer, command, DONE)
  if (freed) options.onFree(handle.topic, handle.group, handle.queueId)
}

function batchAck(options: PopAckOptions, { command, peer }: RemotingRequest): void {
  const acks = command.body === undefined ? [] : bodyOf(decodeBatchAck(command.body)).acks
  if (acks.length === 0) throw new Refusal(ResponseCode.NO_MESSAGE, 'the batch acknowledges nothing')
  const freed = acks.filter(each => acknowledgeBatch(options, each))
  options.replies.add(peer as unknown as ReplyPeer, command, DONE)
  for (const { consumerGroup, queueId, topic } of freed) options.onFree(topic, consumerGroup, queueId)
}

/** True: an ordered queue is free again. */
function acknowledgeBatch(options: PopAckOptions, each: BatchAck): boolean {
  const topic = realTopic(each)
  const { max, min } = bounds(options, topic, each.queueId)
  let freed = false
  for (const bit of each.bits) {
    const offset = each.startOffset + bit
    if (offset < min || offset > max) continue
    freed =
      acknowledge(options, {
        group: each.consumerGroup,
        topic,
        queueId: each.queueId,
        offset,
        startOffset: each.startOffset,
        popTime: each.popTime,
        invisibleMs: each.invisibleTime,
        isOrdered: each.reviveQueueId === ORDERED_REVIVE_QUEUE,
      }) || freed
  }
  return freed
}

/** Takes one message off the group's hands. True: an ordered queue is free again. */
function acknowledge(options: PopAckOptions, handle: Handle): boolean {
  const { clock, offsets, receipts } = options
  const { group, offset, popTime, queueId, topic } = handle
  const queue = receipts.find(group, topic, queueId)
  if (queue === undefined) return false
  if (!handle.isOrdered) {
    const receipt = receipts.receipt(queue, handle.startOffset, popTime + handle.invisibleMs)
    if (receipt !== undefined) receipts.acknowledge(receipt, offset)
    return false
  }
  const { order } = queue
  if (order === undefined || offset < (offsets.get(group, topic, queueId) ?? 0)) return false
  const acknowledged = acknowledgeOrdered(order, offset, popTime)
  if (acknowledged === undefined) return false
  receipts.setOrder(queue, acknowledged.order)
  receipts.moveTo(queue, acknowledged.nextOffset)
  return freeAt(acknowledged.order, undefined) <= clock.now()
}

/** The message is visible again so long from now on; a new handle takes the place of the old one. */
function change(options: PopAckOptions, { command, peer }: RemotingRequest): void {
  const { clock, receipts, replies, store } = options
  const handle = readHandle(command)
  const invisibleMs = integerField(command, 'invisibleTime')
  checkQueue(options, handle.topic, handle.queueId)
  const { group, offset, queueId, topic } = handle
  if (offset < store.minOffset(topic, queueId) || offset >= store.maxOffset(topic, queueId))
    throw new Refusal(ResponseCode.NO_MESSAGE, `queue ${queueId} of topic ${topic} holds no message at ${offset}`)
  const now = clock.now()
  const queue = receipts.find(group, topic, queueId)
  let popTime = now
  let isFree = false
  if (handle.isOrdered) {
    // The pop time names the batch: it stays, and the invisible time is counted from it.
    popTime = handle.popTime
    const changed = queue?.order && changeVisibility(queue.order, offset, popTime, now + invisibleMs)
    if (queue !== undefined && changed !== undefined) {
      receipts.setOrder(queue, changed)
      isFree = freeAt(changed, undefined) <= now
    }
  } else if (queue !== undefined) {
    const receipt = receipts.receipt(queue, handle.startOffset, handle.popTime + handle.invisibleMs)
    if (receipt !== undefined && receipts.acknowledge(receipt, offset))
      receipts.add(queue, offset, now, invisibleMs, [offset])
  }
  replies.add(peer as unknown as ReplyPeer, command, {
    ...DONE,
    extFields: {
      popTime: String(popTime),
      invisibleTime: String(now + invisibleMs - popTime),
      reviveQid: String(handle.isOrdered ? ORDERED_REVIVE_QUEUE : handle.reviveQueueId),
    },
  })
  if (isFree) options.onFree(topic, group, queueId)
}

/** @throws Refusal 1 when a field is missing or the handle is none */
function readHandle(command: RemotingRequest['command']): Handle & Pick<ExtraInfo, 'reviveQueueId'> {
  const text = textField(command, 'extraInfo')
  const info = parseExtraInfo(text)
  if (info === undefined)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `extraInfo "${text.slice(0, 80)}" is no handle; send property POP_CK of the message that was popped`,
    )
  return {
    group: textField(command, 'consumerGroup'),
    topic: textField(command, 'topic'),
    queueId: integerField(command, 'queueId'),
    offset: integerField(command, 'offset'),
    startOffset: info.checkpointOffset,
    popTime: info.popTime,
    invisibleMs: info.invisibleTime,
    reviveQueueId: info.reviveQueueId,
    isOrdered: info.reviveQueueId === ORDERED_REVIVE_QUEUE,
  }
}

/** @throws Refusal 1 */
function realTopic({ consumerGroup, retryFlag, topic }: BatchAck): string {
  switch (retryFlag) {
    case '0':
      return topic
    case '1':
      return popRetryTopic(consumerGroup, topic, 1)
    case '2':
      return popRetryTopic(consumerGroup, topic, 2)
    default:
      throw new Refusal(
        ResponseCode.SYSTEM_ERROR,
        `"${retryFlag}" is no mark of a retry topic; send 0, 1 or 2 as the handle has it`,
      )
  }
}

function bounds(
  { store, topics }: PopAckOptions,
  topic: string,
  queueId: number,
): { readonly min: number; readonly max: number } {
  // Nothing is kept about a queue that does not exist.
  if (topics.find(topic) === undefined || queueId < 0) return { min: 0, max: -1 }
  return { min: store.minOffset(topic, queueId), max: store.maxOffset(topic, queueId) }
}
