import { MillraceError } from '../errors.js'
import type { Environment } from '../ports/environment.js'
import type { ReplyTo } from './types.js'

/** The actor that was asked. */
export interface Asked {
  readonly path: string
  /** Asks it has not answered; undefined when there are none. */
  asks: PendingAsk[] | undefined
}

/** One ask that waits: on the list of the actor that was asked, and on the list of its deadline. */
export class PendingAsk implements ReplyTo<unknown> {
  readonly asked: Asked
  readonly deadlines: DeadlineList
  readonly dueMs: number
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: Error) => void
  /** What was told to the actor, to recognise it when it is lost. */
  message: unknown
  isSettled = false
  /** Position in `asked.asks`. */
  index = 0
  previous: PendingAsk | undefined
  next: PendingAsk | undefined

  constructor(
    asked: Asked,
    deadlines: DeadlineList,
    dueMs: number,
    resolve: (value: unknown) => void,
    reject: (error: Error) => void,
  ) {
    this.asked = asked
    this.deadlines = deadlines
    this.dueMs = dueMs
    this.#resolve = resolve
    this.#reject = reject
  }

  readonly tell = (value: unknown): void => {
    if (this.#settle()) this.#resolve(value)
  }

  readonly fail = (error: Error): void => {
    if (this.#settle()) this.#reject(error)
  }

  register(message: unknown): void {
    this.message = message
    this.deadlines.add(this)
    const { asks } = this.asked
    if (asks === undefined) this.asked.asks = [this]
    else this.index = asks.push(this) - 1
  }

  #settle(): boolean {
    if (this.isSettled) return false
    this.isSettled = true
    // An answer given while the message is being made comes before registration.
    const { asks } = this.asked
    if (asks?.[this.index] !== this) return true
    const last = asks.pop()!
    if (last !== this) {
      asks[this.index] = last
      last.index = this.index
    }
    if (asks.length === 0) this.asked.asks = undefined
    this.deadlines.remove(this)
    return true
  }
}

/** Asks with the same `deadlineMs`, in the order they are due; one timer for all of them. */
export class DeadlineList {
  readonly #environment: Environment
  readonly #delayMs: number
  readonly #onEmpty: (delayMs: number) => void
  #first: PendingAsk | undefined
  #last: PendingAsk | undefined
  #isArmed = false

  constructor(environment: Environment, delayMs: number, onEmpty: (delayMs: number) => void) {
    this.#environment = environment
    this.#delayMs = delayMs
    this.#onEmpty = onEmpty
  }

  /** When an ask that starts now is due, in monotonic milliseconds. */
  dueMs(): number {
    return this.#environment.clock.monotonic() + this.#delayMs
  }

  add(ask: PendingAsk): void {
    ask.previous = this.#last
    if (this.#last) this.#last.next = ask
    else this.#first = ask
    this.#last = ask
    if (!this.#isArmed) this.#arm(this.#delayMs)
  }

  remove(ask: PendingAsk): void {
    if (ask.previous) ask.previous.next = ask.next
    else this.#first = ask.next
    if (ask.next) ask.next.previous = ask.previous
    else this.#last = ask.previous
    ask.previous = ask.next = undefined
  }

  #arm(delayMs: number): void {
    this.#isArmed = true
    // It stays armed after the asks were answered, so it must not keep an idle process alive.
    this.#environment.scheduler.after(delayMs, this.#expire, { unref: true })
  }

  readonly #expire = (): void => {
    this.#isArmed = false
    const nowMs = this.#environment.clock.monotonic()
    while (this.#first && this.#first.dueMs <= nowMs) {
      const { asked, fail } = this.#first
      const message = `actor "${asked.path}" gave no answer within ${this.#delayMs} ms; it is overloaded, stuck, or does not answer this message`
      fail(new MillraceError('TIMEOUT', message))
    }
    // Timers may fire a fraction early.
    if (this.#first) this.#arm(Math.max(1, Math.ceil(this.#first.dueMs - nowMs)))
    else this.#onEmpty(this.#delayMs)
  }
}

/** All asks of a system that wait. */
export class Asks {
  readonly #environment: Environment
  readonly #lists = new Map<number, DeadlineList>()
  #recent: DeadlineList | undefined
  #recentDelayMs = Number.NaN

  constructor(environment: Environment) {
    this.#environment = environment
  }

  listFor(delayMs: number): DeadlineList {
    if (delayMs === this.#recentDelayMs) return this.#recent!
    let list = this.#lists.get(delayMs)
    if (!list) {
      list = new DeadlineList(this.#environment, delayMs, emptyDelayMs => this.#forget(emptyDelayMs))
      this.#lists.set(delayMs, list)
    }
    this.#recent = list
    this.#recentDelayMs = delayMs
    return list
  }

  #forget(delayMs: number): void {
    this.#lists.delete(delayMs)
    if (delayMs === this.#recentDelayMs) this.#recentDelayMs = Number.NaN
  }
}

/** Fails the asks whose messages are in `lost`; they are on the list of the actor the messages were told to. */
export function failAsksOf(asked: Asked, lost: readonly unknown[], error: Error): void {
  if (!asked.asks) return
  const messages = new Set(lost)
  for (const ask of asked.asks.filter(pending => messages.has(pending.message))) ask.fail(error)
}

export function failAllAsks(asked: Asked, error: Error): void {
  for (const ask of asked.asks?.slice() ?? []) ask.fail(error)
}
