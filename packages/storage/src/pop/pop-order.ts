/**
 * What is out of a queue that a group consumes in order: plain data, replaced as a whole.
 * @see RocketMQ `ConsumerOrderInfoManager.OrderInfo`
 */
export interface PopOrder {
  /** Milliseconds; part of the handles. */
  readonly popTime: number
  readonly invisibleMs: number
  /** Offsets that were handed out, ascending. */
  readonly offsets: readonly number[]
  /** A bit per offset that is acknowledged. */
  readonly acknowledged: number
  /** Offsets that earlier pops handed out and that are acknowledged, although one before them is not. */
  readonly done: readonly number[]
  /** Message (by index) → when it is visible again, where that was changed. */
  readonly visibleAt: Readonly<Record<number, number>>
  /** Offset → how often it was handed out before. */
  readonly counts: Readonly<Record<number, number>>
  /** Names the request that got the messages: repeated, it gets them again. */
  readonly attemptId: string | undefined
}
