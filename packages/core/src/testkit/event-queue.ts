import type { Random } from '../ports/random.js'

/** Work at a moment of virtual time. */
export interface SimulatedEvent {
  readonly atMs: number
  /** Decides among events of one moment; random, so that the seed orders what nobody promised to order. */
  readonly tie: number
  /** Sequence number; decides among equal ties. */
  readonly id: number
  readonly work: () => void
  /** An unref event does not keep `runUntilIdle` going. */
  readonly isUnref: boolean
  isCancelled: boolean
}

/** Binary heap by time, tie and id. Cancelled events stay until their time comes. */
export class EventQueue {
  readonly #random: Random
  readonly #heap: SimulatedEvent[] = []
  #nextId = 0
  /** Events that are neither cancelled nor unref. */
  pendingCount = 0

  constructor(random: Random) {
    this.#random = random
  }

  add(atMs: number, work: () => void, isUnref: boolean): SimulatedEvent {
    const tie = this.#random.next()
    const event: SimulatedEvent = { atMs, tie, id: this.#nextId++, work, isUnref, isCancelled: false }
    if (!isUnref) this.pendingCount++
    const heap = this.#heap
    let index = heap.push(event) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
    return event
  }

  cancel(event: SimulatedEvent): void {
    if (event.isCancelled) return
    event.isCancelled = true
    if (!event.isUnref) this.pendingCount--
  }

  /** Takes the next event if it is due at `untilMs` or before; it counts as cancelled from then on. */
  take(untilMs: number): SimulatedEvent | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || (first.atMs > untilMs && !first.isCancelled)) return undefined
      this.#removeFirst()
      if (first.isCancelled) continue
      this.cancel(first)
      return first
    }
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function isBefore(one: SimulatedEvent, other: SimulatedEvent): boolean {
  if (one.atMs !== other.atMs) return one.atMs < other.atMs
  if (one.tie !== other.tie) return one.tie < other.tie
  return one.id < other.id
}
