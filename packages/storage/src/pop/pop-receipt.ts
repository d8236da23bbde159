import type { PopOrder } from './pop-order.js'

/** Messages that one receipt can cover: a bit each. */
export const RECEIPT_MESSAGES_MAX = 32

/** One queue of one topic as a group pops it. */
export class PopQueue {
  /** Receipts in memory by start offset; several of one start hang together by `PopReceipt.next`. */
  readonly receipts = new Map<number, PopReceipt>()
  /** State of ordered consumption; undefined while nothing is out. Written by `PopReceipts.setOrder`. */
  order: PopOrder | undefined
  isOrderDirty = false
  /** The queue's own row has to be written. */
  isNew = false
  /** Changed since the journal heard of the queue last. */
  isUnlogged = false
  isLogged = false
  isOrderUnlogged = false
  /** Where the group goes on, if that changed since. */
  unloggedOffset: number | undefined

  constructor(
    /** Stands for the three names in keys of receipts; never given twice. */
    readonly number: number,
    readonly group: string,
    readonly topic: string,
    readonly queueId: number,
  ) {}
}

/** What one pop took from one queue, and which of it is still to be acknowledged. */
export class PopReceipt {
  /** Receipt of the same queue and start offset with another due time. */
  next: PopReceipt | undefined
  /** On disk (or on its way there). */
  isStored = false
  /** Changed since it was written last. */
  isDirty = false
  /** Changed since the journal heard of it last, if it ever did. */
  isUnlogged = false
  isLogged = false
  /** Its time is over and its messages are being put into the retry topic: acknowledgements come too late. */
  isReviving = false

  constructor(
    readonly queue: PopQueue,
    readonly startOffset: number,
    /** Milliseconds. */
    readonly popTime: number,
    /** Milliseconds: pop time and invisible time. */
    readonly dueMs: number,
    readonly messageCount: number,
    /** Distances of the messages from the start offset, ascending; undefined: 0, 1, 2, … */
    readonly distances: readonly number[] | undefined,
    /** A bit per message that is not acknowledged. */
    public open: number,
  ) {}

  /** Which message of the receipt is at `offset`; -1 when none is. */
  indexOf(offset: number): number {
    const distance = offset - this.startOffset
    if (this.distances !== undefined) return this.distances.indexOf(distance)
    return distance >= 0 && distance < this.messageCount ? distance : -1
  }

  /** Offsets that are not acknowledged, ascending. */
  openOffsets(): number[] {
    const offsets: number[] = []
    for (let i = 0; i < this.messageCount; i++)
      if (this.open & (1 << i)) offsets.push(this.startOffset + (this.distances?.[i] ?? i))
    return offsets
  }
}
