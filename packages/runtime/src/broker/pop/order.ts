import { formatOffsetInfo } from '@millrace/core'
import type { PopOrder } from '@millrace/storage'

/** When a message of an order is visible again, milliseconds. */
function visibleAt(order: PopOrder, index: number): number {
  return order.visibleAt[index] ?? order.popTime + order.invisibleMs
}

/**
 * When the queue can be popped again: when all messages that are out are acknowledged or visible again. At most `nowMs`
 * means now. The request that got them may always ask again.
 */
export function freeAt(order: PopOrder | undefined, attemptId: string | undefined): number {
  if (order === undefined || (attemptId !== undefined && attemptId === order.attemptId)) return 0
  let latest = 0
  for (let i = 0; i < order.offsets.length; i++)
    if ((order.acknowledged & (1 << i)) === 0) latest = Math.max(latest, visibleAt(order, i))
  return latest
}

export interface OrderedPop {
  readonly popTime: number
  readonly invisibleMs: number
  readonly offsets: readonly number[]
  readonly attemptId: string | undefined
}

/** The state after `pop`: what was out before and comes again counts up, unless the same request asked again. */
export function popped(before: PopOrder | undefined, pop: OrderedPop): PopOrder {
  const isRepeat = before?.attemptId !== undefined && before.attemptId === pop.attemptId
  const counts: Record<number, number> = isRepeat ? { ...before.counts } : {}
  if (before !== undefined && !isRepeat)
    for (const offset of pop.offsets)
      if (before.offsets.includes(offset)) counts[offset] = (before.counts[offset] ?? 0) + 1
  return { ...pop, acknowledged: 0, done: doneOffsets(before, pop.offsets[0]), visibleAt: {}, counts }
}

/** Offsets from `first` on that are acknowledged although one before them is not: they do not come again. */
export function doneOffsets(order: PopOrder | undefined, first: number): number[] {
  if (order === undefined) return []
  const acknowledged = order.offsets.filter((_, i) => order.acknowledged & (1 << i))
  return [...order.done, ...acknowledged].filter(offset => offset >= first).sort((a, b) => a - b)
}

export interface Acknowledged {
  readonly order: PopOrder
  /** Where the group's offset is now. */
  readonly nextOffset: number
}

/** Undefined: the handle is of another pop, or the message was not in it. */
export function acknowledgeOrdered(order: PopOrder, offset: number, popTime: number): Acknowledged | undefined {
  const index = order.offsets.indexOf(offset)
  if (popTime !== order.popTime || index < 0) return undefined
  const acknowledged = (order.acknowledged | (1 << index)) >>> 0
  const firstOpen = order.offsets.findIndex((_, i) => (acknowledged & (1 << i)) === 0)
  return {
    order: { ...order, acknowledged },
    nextOffset: firstOpen < 0 ? order.offsets[order.offsets.length - 1] + 1 : order.offsets[firstOpen],
  }
}

/** Undefined: as `acknowledgeOrdered`. */
export function changeVisibility(
  order: PopOrder,
  offset: number,
  popTime: number,
  visibleAtMs: number,
): PopOrder | undefined {
  const index = order.offsets.indexOf(offset)
  if (popTime !== order.popTime || index < 0) return undefined
  return { ...order, visibleAt: { ...order.visibleAt, [index]: visibleAtMs } }
}

/**
 * Text of `orderCountInfo` for one queue: messages that came before with their count, then the least count of the queue,
 * which old clients read.
 */
export function orderCountInfo({ counts, offsets }: PopOrder, retryFlag: string, queueId: number): string {
  const again = offsets.filter(offset => (counts[offset] ?? 0) > 0)
  const least = again.length < offsets.length ? 0 : Math.min(...again.map(offset => counts[offset]))
  return formatOffsetInfo([
    ...again.map(offset => ({ retryFlag, queue: `qo${queueId}%${offset}`, offsets: [counts[offset]] })),
    { retryFlag, queue: String(queueId), offsets: [least] },
  ])
}
