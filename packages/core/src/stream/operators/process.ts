import type { ErrorPolicy } from '../error-policy.js'
import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'
import { Timers } from './timers.js'

/** What a process function can see and do. One object per task, used again for each call: do not keep it. */
export interface ProcessContext<K extends Key, S, R> {
  readonly key: K
  /** Event time of the record, or the time that the timer was set for. */
  readonly timestamp: number
  /** No event before this is expected; minus infinity at first. */
  readonly watermark: number
  /** Wall clock, milliseconds. */
  readonly now: number
  /** State of the key; undefined when there is none, and to delete it. Plain data. Assign it after changing it in place. */
  state: S | undefined
  /** Sends a value on, with the key and the timestamp of this call. */
  emit(value: R): void
  /** `onTimer` is called for this key once the watermark has reached `time`. Several for the same time are one. */
  setTimer(time: number): void
  clearTimer(time: number): void
  /** The same by wall clock. */
  setProcessingTimer(time: number): void
  clearProcessingTimer(time: number): void
}

export interface ProcessFunction<K extends Key, T, S, R> {
  onRecord(value: T, context: ProcessContext<K, S, R>): void
  onTimer?(context: ProcessContext<K, S, R>, timer: 'event' | 'processing'): void
}

export function processOperator(
  work: ProcessFunction<Key, unknown, unknown, unknown>,
  policy?: ErrorPolicy,
): OperatorFactory {
  return (host, next) => {
    const process = new Process(work, policy, host, next)
    return { inputs: [value => process.push(value)], timed: process }
  }
}

class Process implements TimedOperator, ProcessContext<Key, unknown, unknown> {
  readonly #work: ProcessFunction<Key, unknown, unknown, unknown>
  readonly #policy: ErrorPolicy | undefined
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #store: KeyStore<unknown>
  readonly #timers: Timers
  readonly #processingTimers: Timers
  #watermark: number
  // Of the call under way.
  #key: Key = ''
  #timestamp = 0

  constructor(
    work: ProcessFunction<Key, unknown, unknown, unknown>,
    policy: ErrorPolicy | undefined,
    host: OperatorHost,
    next: Push,
  ) {
    this.#work = work
    this.#policy = policy
    this.#host = host
    this.#next = next
    this.#store = host.keyStore<unknown>()
    this.#timers = new Timers(host.windowStore<1>('timers'))
    this.#processingTimers = new Timers(host.windowStore<1>('processing-timers'))
    this.#watermark = host.watermark
    host.publish({
      get: key => this.#store.get(key),
      range: (from, to, limit) => this.#store.range(from, to, limit),
      fetch: () => [],
    })
  }

  get watermark(): number {
    return this.#watermark
  }

  get done(): number {
    return this.#watermark
  }

  get key(): Key {
    return this.#key
  }

  get timestamp(): number {
    return this.#timestamp
  }

  get now(): number {
    return this.#host.now()
  }

  get state(): unknown {
    return this.#store.get(this.#key)
  }

  set state(state: unknown) {
    const entry = this.#store.entry(this.#key)
    entry.state = state
    this.#store.touch(entry)
  }

  emit(value: unknown): void {
    const { context } = this.#host
    const { key, timestamp } = this
    context.key = key
    context.timestamp = timestamp
    this.#next(value)
  }

  setTimer(time: number): void {
    this.#timers.set(Math.floor(time), this.#key)
  }

  clearTimer(time: number): void {
    this.#timers.clear(Math.floor(time), this.#key)
  }

  setProcessingTimer(time: number): void {
    this.#processingTimers.set(Math.floor(time), this.#key)
  }

  clearProcessingTimer(time: number): void {
    this.#processingTimers.clear(Math.floor(time), this.#key)
  }

  push(value: unknown): void {
    const { context } = this.#host
    this.#key = context.key!
    this.#timestamp = context.timestamp
    try {
      this.#work.onRecord(value, this)
    } catch (cause) {
      this.#host.failed(cause, value, this.#policy)
    }
  }

  fireNext(watermark: number): boolean {
    const timer = this.#timers.take(watermark)
    if (timer === undefined) {
      if (watermark > this.#watermark) this.#watermark = watermark
      return false
    }
    this.#fire(timer, 'event')
    return true
  }

  tick(now: number): boolean {
    const timer = this.#processingTimers.take(now)
    if (timer === undefined) return false
    this.#fire(timer, 'processing')
    return true
  }

  #fire({ start, key }: { readonly start: number; readonly key: Key }, kind: 'event' | 'processing'): void {
    this.#key = key
    this.#timestamp = start
    try {
      this.#work.onTimer?.(this, kind)
    } catch (cause) {
      this.#host.failed(cause, undefined, this.#policy)
    }
  }
}
