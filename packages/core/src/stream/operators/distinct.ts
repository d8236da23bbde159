import type { KeyStore } from '../stores/key-store.js'
import type { OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'
import { Timers } from './timers.js'

/** Passes the first value of each key; with `withinMs` again once that much event time has gone by since. */
export function distinctOperator(withinMs: number): OperatorFactory {
  return (host, next) => {
    const distinct = new Distinct(withinMs, host, next)
    return { inputs: [value => distinct.push(value)], timed: distinct }
  }
}

class Distinct implements TimedOperator {
  readonly #withinMs: number
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #seen: KeyStore<number>
  readonly #timers: Timers
  #watermark: number

  constructor(withinMs: number, host: OperatorHost, next: Push) {
    this.#withinMs = withinMs
    this.#host = host
    this.#next = next
    this.#seen = host.keyStore<number>()
    this.#timers = new Timers(host.windowStore<1>('timers'))
    this.#watermark = host.watermark
  }

  get watermark(): number {
    return this.#watermark
  }

  get done(): number {
    return this.#watermark
  }

  push(value: unknown): void {
    const { timestamp, key } = this.#host.context
    const entry = this.#seen.entry(key!)
    if (entry.state !== undefined && Math.abs(timestamp - entry.state) < this.#withinMs) return
    if (entry.state === undefined || timestamp > entry.state) {
      entry.state = timestamp
      this.#seen.touch(entry)
      if (Number.isFinite(this.#withinMs)) this.#timers.set(timestamp + this.#withinMs, key!)
    }
    this.#next(value)
  }

  fireNext(watermark: number): boolean {
    const timer = this.#timers.take(watermark)
    if (timer === undefined) {
      if (watermark > this.#watermark) this.#watermark = watermark
      return false
    }
    const seen = this.#seen.get(timer.key)
    if (seen !== undefined && seen + this.#withinMs <= timer.start) this.#seen.set(timer.key, undefined)
    return true
  }
}
