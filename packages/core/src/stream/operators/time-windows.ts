import type { EmitPlan } from '../emit.js'
import type { ErrorPolicy } from '../error-policy.js'
import type { Key } from '../key.js'
import type { WindowStore } from '../stores/window-store.js'
import type { Windowed } from '../window.js'
import type { Aggregation } from './aggregation.js'
import type { Operator, OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'
import { Timers } from './timers.js'

interface TimeWindows {
  readonly sizeMs: number
  readonly advanceMs: number
  readonly graceMs: number
}

/** Aggregates per key and tumbling or hopping window. */
export function timeWindowOperator(
  windows: TimeWindows,
  aggregation: Aggregation,
  emit: EmitPlan,
  policy?: ErrorPolicy,
): OperatorFactory {
  return (host, next, port): Operator => {
    const aggregate = new TimeWindowAggregate(windows, aggregation, emit, policy, host, next, port('late'))
    return { inputs: [value => aggregate.push(value)], timed: aggregate }
  }
}

class TimeWindowAggregate implements TimedOperator {
  readonly #sizeMs: number
  readonly #advanceMs: number
  readonly #graceMs: number
  readonly #aggregation: Aggregation
  readonly #emit: EmitPlan
  readonly #policy: ErrorPolicy | undefined
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #late: Push
  readonly #store: WindowStore<unknown[]>
  /** Ends of windows whose result on time is still to come. */
  readonly #ends: Timers | undefined
  #watermark: number

  constructor(
    windows: TimeWindows,
    aggregation: Aggregation,
    emit: EmitPlan,
    policy: ErrorPolicy | undefined,
    host: OperatorHost,
    next: Push,
    late: Push,
  ) {
    this.#sizeMs = windows.sizeMs
    this.#advanceMs = windows.advanceMs
    this.#graceMs = windows.graceMs
    this.#aggregation = aggregation
    this.#emit = emit
    this.#policy = policy
    this.#host = host
    this.#next = next
    this.#late = late
    this.#store = host.windowStore<unknown[]>()
    this.#ends = emit.kind === 'on-time' ? new Timers(host.windowStore<1>('ends')) : undefined
    this.#watermark = host.watermark
    host.publish({
      get: () => undefined,
      range: () => [],
      fetch: (key, from, to) => this.#fetch(key, from, to),
    })
  }

  get watermark(): number {
    return this.#watermark - this.#graceMs
  }

  get done(): number {
    return this.#watermark
  }

  push(value: unknown): void {
    const { timestamp } = this.#host.context
    const advance = this.#advanceMs
    const last = Math.floor(timestamp / advance) * advance
    const closed = this.#watermark - this.#sizeMs - this.#graceMs
    if (last <= closed) {
      this.#host.late()
      this.#late(value)
      return
    }
    if (advance === this.#sizeMs) {
      this.#add(last, value)
      return
    }
    let first = last
    while (first - advance + this.#sizeMs > timestamp && first - advance > closed) first -= advance
    for (let start = first; start <= last; start += advance) this.#add(start, value)
  }

  fireNext(watermark: number): boolean {
    if (this.#ends !== undefined && this.#fireOnTime(this.#ends, watermark)) return true
    const closed = watermark - this.#sizeMs - this.#graceMs
    for (;;) {
      const first = this.#store.firstStart
      if (first === undefined || first > closed) break
      const taken = this.#store.takeFirst()
      if (taken === undefined) continue
      if (this.#emit.kind === 'final') this.#give(taken.start, taken.key, taken.state)
      return true
    }
    if (watermark > this.#watermark) this.#watermark = watermark
    return false
  }

  #add(start: number, value: unknown): void {
    const { context } = this.#host
    const key = context.key!
    const entry = this.#store.entry(start, key)
    const isNew = entry.state === undefined
    const states = (entry.state ??= this.#aggregation.init())
    try {
      this.#aggregation.add(states, value)
    } catch (cause) {
      this.#host.failed(cause, value, this.#policy)
      return
    } finally {
      this.#store.touch(entry)
    }
    const emit = this.#emit
    if (emit.kind === 'final') return
    if (emit.kind === 'updates') {
      this.#next(this.#result(start, key, states))
      return
    }
    const end = start + this.#sizeMs
    if (end <= this.#watermark) {
      this.#next(this.#result(start, key, states))
      return
    }
    if (isNew) this.#ends!.set(end, key)
    if (emit.earlyMs === Number.POSITIVE_INFINITY) return
    // The slot of the last early result lies behind the aggregators' states.
    const slot = Math.floor((context.timestamp - start) / emit.earlyMs)
    const place = this.#aggregation.size
    if (isNew) states[place] = slot
    else if (slot > (states[place] as number)) {
      states[place] = slot
      this.#next(this.#result(start, key, states))
    }
  }

  #fireOnTime(ends: Timers, watermark: number): boolean {
    const due = ends.take(watermark)
    if (due === undefined) return false
    const start = due.start - this.#sizeMs
    const states = this.#store.get(start, due.key)
    if (states !== undefined) this.#give(start, due.key, states)
    return true
  }

  #give(start: number, key: Key, states: readonly unknown[]): void {
    const { context } = this.#host
    context.timestamp = start + this.#sizeMs - 1
    context.key = key
    this.#next(this.#result(start, key, states))
  }

  #result(start: number, key: Key, states: readonly unknown[]): Windowed<Key, unknown> {
    return { key, window: { start, end: start + this.#sizeMs }, value: this.#aggregation.result(states) }
  }

  *#fetch(key: Key, from: number, to: number): Generator<{ readonly start: number; readonly value: unknown }> {
    for (const { start, state } of this.#store.fetch(key, from, to))
      yield { start, value: this.#aggregation.result(state) }
  }
}
