import { isRetryTopic } from '@millrace/core'
import type { ConsumerOffsets, LogStore, PopReceipts } from '@millrace/storage'
import { isYoung } from '../groups/offset-answers.js'
import type { PullGroups } from '../groups/pull-groups.js'

/** Start with the first message; anything else: with the last one. */
const INIT_MIN = 0

/**
 * Where a group goes on popping a queue: its consumer offset, which a pop moves past what it hands out. So an operator's
 * reset, `consumerProgress` and a change to pull consumers all mean what they say.
 */
export class PopOffsets {
  constructor(
    private readonly store: LogStore,
    private readonly offsets: ConsumerOffsets,
    private readonly receipts: PopReceipts,
    private readonly groups: PullGroups,
  ) {}

  /** For a pop: takes a pending reset, and fixes the start of a new group. */
  begin(group: string, topic: string, queueId: number, initMode: number): number {
    const reset = this.groups.takeReset(group, topic, queueId)
    if (reset !== undefined) {
      const queue = this.receipts.queue(group, topic, queueId)
      if (queue.order !== undefined) this.receipts.setOrder(queue, undefined)
      this.receipts.moveTo(queue, reset)
      return reset
    }
    const committed = this.offsets.get(group, topic, queueId)
    if (committed !== undefined) return committed
    const first = this.initial(topic, queueId, initMode)
    this.moveTo(group, topic, queueId, first)
    return first
  }

  /** For a look without consequences. */
  peek(group: string, topic: string, queueId: number): number {
    return this.offsets.get(group, topic, queueId) ?? this.store.minOffset(topic, queueId)
  }

  moveTo(group: string, topic: string, queueId: number, offset: number): void {
    this.receipts.moveTo(this.receipts.queue(group, topic, queueId), offset)
  }

  /** Messages of a queue that the group has not popped. */
  rest(group: string, topic: string, queueId: number): number {
    return Math.max(0, this.store.maxOffset(topic, queueId) - this.peek(group, topic, queueId))
  }

  /** @see RocketMQ `PopMessageProcessor#getInitOffset` with `initPopOffsetByCheckMsgInMem` */
  private initial(topic: string, queueId: number, initMode: number): number {
    if (initMode === INIT_MIN || isRetryTopic(topic)) return this.store.minOffset(topic, queueId)
    if (isYoung(this.store, topic, queueId)) return 0
    return Math.max(0, this.store.maxOffset(topic, queueId) - 1)
  }
}
