import type { Clock } from '../ports/clock.js'
import type { Scheduler } from '../ports/scheduler.js'

/** Messages and drains after which actors give way to I/O and timers. About a millisecond of small messages. */
const UNITS_PER_RUN = 16_384
/** A ready list that grew beyond this is given back once it is empty. */
const READY_KEPT_MAX = 65_536

/** Something with a mailbox. */
export interface Drainable {
  /** Handles what waits. Returns what it cost: one plus the messages handled. Never throws. */
  drain(): number
}

/**
 * Decides which actor runs next. One callback of the scheduler serves all actors that are ready, so a tell costs no
 * closure and no scheduler call of its own.
 */
export class Dispatcher {
  /** When the next or current run was asked for, in whole monotonic milliseconds: the age of what waits. */
  scheduledAtMs = 0
  readonly #scheduler: Scheduler
  readonly #clock: Clock
  readonly #isPerTurn: boolean
  #ready: (Drainable | undefined)[] = []
  #begin = 0
  #end = 0
  #isScheduled = false
  /**
   * Left over all runs: chains of short runs (an ask awaited in a loop) must give way too. Giving way once more than needed
   * costs nothing, so it is not reset when the event loop turns.
   */
  #unitsLeft = UNITS_PER_RUN

  constructor(scheduler: Scheduler, clock: Clock, isPerTurn: boolean) {
    this.#scheduler = scheduler
    this.#clock = clock
    this.#isPerTurn = isPerTurn
  }

  add(drainable: Drainable): void {
    this.#ready[this.#end++] = drainable
    if (!this.#isScheduled) this.#schedule(this.#isPerTurn)
  }

  #schedule(isPerTurn: boolean): void {
    this.#isScheduled = true
    this.scheduledAtMs = Math.trunc(this.#clock.monotonic())
    if (isPerTurn) this.#scheduler.turn(this.#run)
    else this.#scheduler.microtask(this.#run)
  }

  readonly #run = (): void => {
    // Per turn: what becomes ready from here on belongs to the next turn.
    const turnEnd = this.#isPerTurn ? this.#end : Number.POSITIVE_INFINITY
    while (this.#begin < this.#end && this.#begin < turnEnd && this.#unitsLeft > 0) {
      this.#unitsLeft -= this.#take(Math.min(this.#end, turnEnd)).drain()
    }
    if (this.#unitsLeft <= 0) this.#unitsLeft = UNITS_PER_RUN
    this.#isScheduled = false
    if (this.#begin < this.#end) {
      this.#ready = this.#ready.slice(this.#begin, this.#end)
      this.#end -= this.#begin
      this.#begin = 0
      this.#schedule(true)
      return
    }
    this.#begin = this.#end = 0
    if (this.#ready.length > READY_KEPT_MAX) this.#ready = []
  }

  #take(end: number): Drainable {
    const ready = this.#ready
    const first = this.#begin++
    const drainable = ready[first]!
    const chosen = first + (this.#scheduler.choose?.(end - first) ?? 0)
    if (chosen === first) {
      ready[first] = undefined
      return drainable
    }
    const other = ready[chosen]!
    ready[chosen] = drainable
    ready[first] = undefined
    return other
  }
}
