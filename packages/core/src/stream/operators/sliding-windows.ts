import type { EmitPlan } from '../emit.js'
import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { Windowed } from '../window.js'
import type { Aggregation } from './aggregation.js'
import type { OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'
import { Timers } from './timers.js'

type Timed = [timestamp: number, value: unknown]

/**
 * Windows of events at most `differenceMs` apart: one that ends with each event, one that begins behind each. A result is computed
 * from the events themselves, which are kept as long as a window of theirs is open.
 */
export function slidingOperator(
  windows: { readonly differenceMs: number; readonly graceMs: number },
  aggregation: Aggregation,
  emit: EmitPlan,
): OperatorFactory {
  return (host, next, port) => {
    const aggregate = new SlidingAggregate(windows, aggregation, emit, host, next, port('late'))
    return { inputs: [value => aggregate.push(value)], timed: aggregate }
  }
}

class SlidingAggregate implements TimedOperator {
  readonly #differenceMs: number
  readonly #graceMs: number
  readonly #aggregation: Aggregation
  readonly #isFinal: boolean
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #late: Push
  readonly #events: KeyStore<Timed[]>
  /** By the last millisecond of a window plus grace plus one. */
  readonly #timers: Timers
  #watermark: number

  constructor(
    windows: { readonly differenceMs: number; readonly graceMs: number },
    aggregation: Aggregation,
    emit: EmitPlan,
    host: OperatorHost,
    next: Push,
    late: Push,
  ) {
    this.#differenceMs = windows.differenceMs
    this.#graceMs = windows.graceMs
    this.#aggregation = aggregation
    this.#isFinal = emit.kind !== 'updates'
    this.#host = host
    this.#next = next
    this.#late = late
    this.#events = host.keyStore<Timed[]>()
    this.#timers = new Timers(host.windowStore<1>('timers'))
    this.#watermark = host.watermark
  }

  get watermark(): number {
    return this.#watermark - this.#graceMs
  }

  get done(): number {
    return this.#watermark
  }

  push(value: unknown): void {
    const { timestamp, key } = this.#host.context
    // The last window that can hold it ends `differenceMs` behind it.
    if (this.#isClosed(timestamp + this.#differenceMs)) {
      this.#host.late()
      this.#late(value)
      return
    }
    const entry = this.#events.entry(key!)
    const events = (entry.state ??= [])
    let at = events.length
    while (at > 0 && events[at - 1]![0] > timestamp) at--
    events.splice(at, 0, [timestamp, value])
    this.#events.touch(entry)
    const behind = timestamp + 1 + this.#differenceMs
    if (!this.#isClosed(timestamp)) this.#timers.set(timestamp + this.#graceMs + 1, key!)
    this.#timers.set(behind + this.#graceMs + 1, key!)
    if (this.#isFinal) return
    const lasts = new Set<number>()
    for (const [other] of events) {
      if (other >= timestamp && other <= timestamp + this.#differenceMs) lasts.add(other)
      if (other + 1 <= timestamp && timestamp <= other + 1 + this.#differenceMs)
        lasts.add(other + 1 + this.#differenceMs)
    }
    for (const last of [...lasts].sort((a, b) => a - b)) {
      if (this.#isClosed(last)) continue
      const result = this.#result(key!, events, last)
      if (result !== undefined) this.#next(result)
    }
  }

  fireNext(watermark: number): boolean {
    const timer = this.#timers.take(watermark)
    if (timer === undefined) {
      if (watermark > this.#watermark) this.#watermark = watermark
      return false
    }
    const { start: time, key } = timer
    const last = time - this.#graceMs - 1
    const entry = this.#events.entry(key)
    const events = entry.state ?? []
    const result = this.#isFinal ? this.#result(key, events, last) : undefined
    // Windows that close after this one begin later than it.
    const kept = events.filter(([timestamp]) => timestamp > last - this.#differenceMs - 1)
    entry.state = kept.length > 0 ? kept : undefined
    this.#events.touch(entry)
    if (result !== undefined) {
      this.#host.context.timestamp = last
      this.#host.context.key = key
      this.#next(result)
    }
    return true
  }

  #isClosed(last: number): boolean {
    return last + this.#graceMs + 1 <= this.#watermark
  }

  #result(key: Key, events: readonly Timed[], last: number): Windowed<Key, unknown> | undefined {
    const start = last - this.#differenceMs
    const states = this.#aggregation.init()
    let count = 0
    for (const [timestamp, value] of events) {
      if (timestamp < start || timestamp > last) continue
      this.#aggregation.add(states, value)
      count++
    }
    if (count === 0) return undefined
    return { key, window: { start, end: last + 1 }, value: this.#aggregation.result(states) }
  }
}
