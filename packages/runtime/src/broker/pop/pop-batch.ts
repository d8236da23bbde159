import { type Clock, formatExtraInfo, formatOffsetInfo, type OffsetInfo, ORDERED_REVIVE_QUEUE } from '@millrace/core'
import type { LogStore, PopReceipts } from '@millrace/storage'
import type { MessageFilter } from '../filter/message-filter.js'
import { HEAD_BYTES_MAX, MessageRead } from '../pull/message-read.js'
import { doneOffsets, freeAt, orderCountInfo, popped } from './order.js'
import type { PopOffsets } from './pop-offsets.js'
import type { PopRequest } from './pop-request.js'
import { rewriteRecord, rewrittenBytesMax } from './retry-record.js'

/** All receipts of unordered pops name this queue of the revive topic: receipts are kept elsewhere here. */
const REVIVE_QUEUE = 0
const BODY_BYTES_FIRST = 64 * 1024

/** One queue to pop from. */
export interface PopSource {
  readonly topic: string
  readonly queueId: number
  /** '0' the topic itself, '1' and '2' its retry topic, by version. */
  readonly retryFlag: string
}

export interface PopLimits {
  readonly brokerName: string
  readonly bytesMax: number
  /** Messages of retry topics go out as they are stored. */
  readonly showsRetryTopic: boolean
}

/**
 * What one pop takes, queue by queue: messages as they go out, receipts, and the texts of the answer's header.
 * One object, reused for every pop; `begin` empties it.
 */
export class PopBatch {
  messageCount = 0
  /** Messages that are left in the queues looked at. */
  restCount = 0
  /** Earliest time at which a queue that is blocked now can be popped; 0 when none is. */
  freeAtMs = 0
  popTime = 0
  /** A queue's messages could not be read. */
  hasUnreadable = false
  private body: Buffer = Buffer.allocUnsafeSlow(BODY_BYTES_FIRST)
  private bodyEnd = 0
  private starts: OffsetInfo[] = []
  private offsets: OffsetInfo[] = []
  private orderCounts: string[] = []
  private readonly messages: MessageRead

  constructor(
    private readonly store: LogStore,
    private readonly receipts: PopReceipts,
    private readonly popOffsets: PopOffsets,
    private readonly limits: () => PopLimits,
    clock: Clock,
  ) {
    this.messages = new MessageRead(store, clock)
  }

  begin(nowMs: number): void {
    this.messageCount = 0
    this.restCount = 0
    this.freeAtMs = 0
    this.popTime = nowMs
    this.hasUnreadable = false
    this.bodyEnd = 0
    this.starts = []
    this.offsets = []
    this.orderCounts = []
  }

  /** Messages, back to back; valid until the next `begin`. */
  get bytes(): Buffer {
    return this.body.subarray(0, this.bodyEnd)
  }

  /** Header of the answer. remoting.md §10, code 200050 */
  fields(request: PopRequest): Record<string, string> {
    return {
      popTime: String(this.popTime),
      invisibleTime: String(request.invisibleMs),
      reviveQid: String(request.isOrdered ? ORDERED_REVIVE_QUEUE : REVIVE_QUEUE),
      restNum: String(this.restCount),
      startOffsetInfo: formatOffsetInfo(this.starts),
      msgOffsetInfo: formatOffsetInfo(this.offsets),
      ...(this.orderCounts.length > 0 && { orderCountInfo: this.orderCounts.join(';') }),
    }
  }

  /** Takes from one queue what is still wanted. */
  take(request: PopRequest, source: PopSource, filter: MessageFilter | undefined): void {
    const { messages, popOffsets } = this
    const { group, isOrdered } = request
    const { queueId, topic } = source
    const start = popOffsets.begin(group, topic, queueId, request.initMode)
    if (isOrdered) {
      const free = freeAt(this.receipts.find(group, topic, queueId)?.order, request.attemptId)
      if (free > this.popTime) {
        this.freeAtMs = this.freeAtMs === 0 ? free : Math.min(this.freeAtMs, free)
        return
      }
    }
    const wanted = request.messagesMax - this.messageCount
    const queue = this.store.queue(this.store.topic(topic), queueId)
    if (wanted <= 0) {
      this.restCount += Math.max(0, this.store.visibleOffset(queue) - start)
      return
    }
    const limits = { messagesMax: wanted, bytesMax: Math.max(1, this.limits().bytesMax - this.bodyEnd) }
    messages.read(queue, start, filter, limits)
    if (
      messages.status === 'offset too small' ||
      messages.status === 'offset too large' ||
      (messages.status === 'empty queue' && start > 0)
    ) {
      popOffsets.moveTo(group, topic, queueId, messages.nextOffset)
      messages.read(queue, messages.nextOffset, filter, limits)
    }
    if (messages.status === 'unreadable') this.hasUnreadable = true
    else if (messages.status === 'nothing matched') popOffsets.moveTo(group, topic, queueId, messages.nextOffset)
    else if (messages.status === 'found') this.hand(request, source)
    this.restCount += Math.max(0, messages.maxOffset - messages.nextOffset)
  }

  /** Adds what a pop would get from one queue, and takes nothing. */
  look(request: Pick<PopRequest, 'group' | 'messagesMax'>, { queueId, topic }: PopSource): void {
    const { messages } = this
    const start = this.popOffsets.peek(request.group, topic, queueId)
    const queue = this.store.queue(this.store.topic(topic), queueId)
    this.restCount += Math.max(0, this.store.visibleOffset(queue) - start)
    const wanted = request.messagesMax - this.messageCount
    if (wanted <= 0) return
    messages.read(queue, start, undefined, { messagesMax: wanted, bytesMax: this.limits().bytesMax })
    if (messages.status !== 'found') return
    this.reserve(messages.end - HEAD_BYTES_MAX)
    this.bodyEnd += messages.buffer.copy(this.body, this.bodyEnd, HEAD_BYTES_MAX, messages.end)
    this.messageCount += messages.messageCount
  }

  /** Hands out what `messages` holds, and records it. */
  private hand(request: PopRequest, source: PopSource): void {
    const { messages, receipts } = this
    const { group, invisibleMs, isOrdered } = request
    const { queueId, retryFlag, topic } = source
    const offsets: number[] = []
    const ends: number[] = []
    for (let at = HEAD_BYTES_MAX; at < messages.end; at += messages.buffer.readInt32BE(at)) {
      offsets.push(offsetOf(messages.buffer, at))
      ends.push(at)
    }
    const first = offsets[0]
    const queue = receipts.queue(group, topic, queueId)
    const hidden = isOrdered ? doneOffsets(queue.order, first) : NONE
    const visible = hidden.length === 0 ? offsets : offsets.filter(offset => !hidden.includes(offset))
    if (visible.length === 0) {
      // Everything here is done, which moves the offset; the next pop goes on behind it.
      receipts.setOrder(queue, undefined)
      this.popOffsets.moveTo(group, topic, queueId, messages.nextOffset)
      return
    }
    if (isOrdered) {
      const order = popped(queue.order, {
        popTime: this.popTime,
        invisibleMs,
        offsets: visible,
        attemptId: request.attemptId,
      })
      receipts.setOrder(queue, order)
      this.popOffsets.moveTo(group, topic, queueId, visible[0])
      this.orderCounts.push(orderCountInfo(order, retryFlag, queueId))
    } else {
      receipts.add(queue, first, this.popTime, invisibleMs, offsets)
      this.popOffsets.moveTo(group, topic, queueId, messages.nextOffset)
    }
    this.starts.push({ retryFlag, queue: String(queueId), offsets: [first] })
    this.offsets.push({ retryFlag, queue: String(queueId), offsets: visible })
    this.messageCount += visible.length
    if (hidden.length === 0 && (retryFlag === '0' || this.limits().showsRetryTopic)) {
      this.reserve(messages.end - HEAD_BYTES_MAX)
      this.bodyEnd += messages.buffer.copy(this.body, this.bodyEnd, HEAD_BYTES_MAX, messages.end)
      return
    }
    for (let i = 0; i < offsets.length; i++)
      if (hidden.length === 0 || !hidden.includes(offsets[i]))
        this.append(request, source, first, offsets[i], ends[i], ends[i + 1] ?? messages.end)
  }

  /** Adds one message, under the name of the topic that was asked for and with its handle when it was retried. */
  private append(
    request: PopRequest,
    source: PopSource,
    startOffset: number,
    offset: number,
    from: number,
    to: number,
  ): void {
    const { buffer } = this.messages
    const { brokerName, showsRetryTopic } = this.limits()
    if (source.retryFlag !== '0' && !showsRetryTopic) {
      const handle = formatExtraInfo({
        checkpointOffset: startOffset,
        popTime: this.popTime,
        invisibleTime: request.invisibleMs,
        reviveQueueId: REVIVE_QUEUE,
        retryFlag: source.retryFlag,
        brokerName,
        queueId: source.queueId,
        queueOffset: offset,
      })
      const topic = this.store.topic(request.topic).bytes
      this.reserve(to - from + rewrittenBytesMax(topic, handle))
      const end = rewriteRecord(buffer, from, to, this.body, this.bodyEnd, topic, handle)
      if (end > 0) {
        this.bodyEnd = end
        return
      }
    }
    this.reserve(to - from)
    this.bodyEnd += buffer.copy(this.body, this.bodyEnd, from, to)
  }

  private reserve(sizeBytes: number): void {
    if (this.bodyEnd + sizeBytes <= this.body.length) return
    const grown = Buffer.allocUnsafeSlow((this.bodyEnd + sizeBytes) * 2)
    this.body.copy(grown, 0, 0, this.bodyEnd)
    this.body = grown
  }
}

const NONE: readonly number[] = []
const WORD = 0x1_0000_0000

function offsetOf(record: Buffer, at: number): number {
  return record.readUInt32BE(at + 20) * WORD + record.readUInt32BE(at + 24)
}
