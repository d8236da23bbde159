import { assert } from '@millrace/core'

const COMPACT_OVER = 1_024

/**
 * Offsets of one queue that were handed out, in queue order, and which of them are finished.
 *
 * Invariants: offsets grow; `commitOffset` never passes an unfinished message; with nothing in flight it is `nextOffset`.
 */
export class OffsetWindow {
  /** Offsets handed out; a finished one is stored as -1. The first `#head` slots are released. */
  #slots: number[] = []
  #head = 0
  /** Ticket of the first slot. */
  #firstTicket = 0
  #nextOffset: number

  constructor(nextOffset: number) {
    this.#nextOffset = nextOffset
  }

  /** The next offset to pull. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Messages handed out and not released: unfinished ones, and finished ones behind them. */
  get inFlight(): number {
    return this.#slots.length - this.#head
  }

  /** Where a consumer that starts anew must continue. */
  get commitOffset(): number {
    return this.#head < this.#slots.length ? (this.#slots[this.#head] as number) : this.#nextOffset
  }

  /** Hands out `offset`. Returns the ticket with which it is finished. */
  add(offset: number): number {
    assert(offset >= this.#nextOffset, 'offsets of a queue grow', { offset, nextOffset: this.#nextOffset })
    this.#nextOffset = offset + 1
    return this.#firstTicket + this.#slots.push(offset) - 1
  }

  /** All before `nextOffset` has been looked at: filtered messages leave no ticket. */
  advance(nextOffset: number): void {
    if (nextOffset > this.#nextOffset) this.#nextOffset = nextOffset
  }

  finish(ticket: number): void {
    const index = ticket - this.#firstTicket
    if (index < this.#head) return
    this.#slots[index] = -1
    while (this.#head < this.#slots.length && this.#slots[this.#head] === -1) this.#head++
    if (this.#head > COMPACT_OVER && this.#head * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head)
      this.#firstTicket += this.#head
      this.#head = 0
    }
  }
}
