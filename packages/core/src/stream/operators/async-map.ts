import { MillraceError } from '../../errors.js'
import type { Cancel } from '../../ports/scheduler.js'
import { type Duration, durationMs } from '../duration.js'
import type { ErrorPolicy } from '../error-policy.js'
import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'

export interface AsyncOptions {
  /** Calls under way at a time; default 16. The task reads no further while it has that many. */
  readonly concurrency?: number
  /** Whether results leave in the order of their inputs; default true. */
  readonly ordered?: boolean
  /** How long one call may take; default 30 s. A call that takes longer has failed, whatever comes of it. */
  readonly timeout?: Duration
  /** Calls again after a failure: how often, and how long after the first; each further wait is twice as long. Default none. */
  readonly retry?: { readonly count: number; readonly delay?: Duration }
  /** What happens when the last attempt has failed; default `stop`. */
  readonly onError?: ErrorPolicy
}

/** An input that has no result yet, as it is stored. */
type Pending = [timestamp: number, key: Key | null, value: unknown, watermark: number]

interface Call {
  readonly number: number
  readonly pending: Pending
  attempt: number
  outcome: { readonly value: unknown } | { readonly error: unknown } | undefined
  cancel: Cancel | undefined
}

const CONCURRENCY = 16
const TIMEOUT_MS = 30_000
const RETRY_DELAY_MS = 100

/**
 * Calls a function that answers later. Inputs without a result are part of the state: after a crash they are called again, so that calls
 * happen at least once and results count once.
 * @param hasOutput  false for functions whose result is nobody's: a sink.
 */
export function asyncOperator(
  project: (value: unknown, signal: AbortSignal) => Promise<unknown>,
  options: AsyncOptions,
  hasOutput = true,
): OperatorFactory {
  return (host, next) => {
    const map = new AsyncMap(project, options, hasOutput, host, next)
    return { inputs: [value => map.push(value)], timed: map }
  }
}

class AsyncMap implements TimedOperator {
  readonly #project: (value: unknown, signal: AbortSignal) => Promise<unknown>
  readonly #concurrency: number
  readonly #isOrdered: boolean
  readonly #timeoutMs: number
  readonly #retries: number
  readonly #delayMs: number
  readonly #policy: ErrorPolicy | undefined
  readonly #hasOutput: boolean
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #store: KeyStore<Pending>
  /** In the order of their inputs. */
  readonly #calls = new Map<number, Call>()
  readonly #aborted = new AbortController()
  #running = 0
  readonly #answered: Call[] = []
  /** Those that wait for a place among the running. */
  readonly #waiting: Call[] = []
  #number = 0
  #watermark: number

  constructor(
    project: (value: unknown, signal: AbortSignal) => Promise<unknown>,
    options: AsyncOptions,
    hasOutput: boolean,
    host: OperatorHost,
    next: Push,
  ) {
    this.#project = project
    this.#concurrency = options.concurrency ?? CONCURRENCY
    this.#isOrdered = options.ordered ?? true
    this.#timeoutMs = durationMs(options.timeout ?? TIMEOUT_MS)
    this.#retries = options.retry?.count ?? 0
    this.#delayMs = durationMs(options.retry?.delay ?? RETRY_DELAY_MS)
    this.#policy = options.onError
    this.#hasOutput = hasOutput
    this.#host = host
    this.#next = next
    this.#store = host.keyStore<Pending>()
    this.#watermark = host.watermark
    host.onClose(() => {
      this.#aborted.abort()
      for (const call of this.#calls.values()) call.cancel?.()
    })
    // Numbers are keys, and keys are in the order of their text: sort them.
    const stored = [...this.#store.range(undefined, undefined, Number.MAX_SAFE_INTEGER)]
    for (const [number, pending] of stored.sort(([a], [b]) => (a as number) - (b as number)))
      this.#add(number as number, pending)
  }

  /** Results of what is pending come no earlier than the watermark under which it came. */
  get watermark(): number {
    for (const { pending } of this.#calls.values()) return Math.min(pending[3], this.#watermark)
    return this.#watermark
  }

  get done(): number {
    return this.#watermark
  }

  get isBusy(): boolean {
    return this.#calls.size >= this.#concurrency
  }

  push(value: unknown): void {
    const { timestamp, key } = this.#host.context
    const pending: Pending = [timestamp, key ?? null, value, this.#watermark]
    this.#add(this.#number + 1, pending)
    this.#store.set(this.#number, pending)
  }

  fireNext(watermark: number): boolean {
    if (watermark > this.#watermark) this.#watermark = watermark
    return false
  }

  tick(): boolean {
    const call = this.#nextAnswered()
    if (call === undefined) return false
    this.#calls.delete(call.number)
    this.#store.set(call.number, undefined)
    const { context } = this.#host
    const [timestamp, key, value] = call.pending
    context.timestamp = timestamp
    context.key = key ?? undefined
    const outcome = call.outcome!
    if ('error' in outcome) this.#host.failed(outcome.error, value, this.#policy)
    else if (this.#hasOutput) this.#next(outcome.value)
    return true
  }

  #nextAnswered(): Call | undefined {
    if (!this.#isOrdered) return this.#answered.shift()
    for (const call of this.#calls.values()) return call.outcome === undefined ? undefined : call
    return undefined
  }

  #add(number: number, pending: Pending): void {
    this.#number = Math.max(this.#number, number)
    const call: Call = { number, pending, attempt: 0, outcome: undefined, cancel: undefined }
    this.#calls.set(number, call)
    if (this.#running < this.#concurrency) this.#start(call)
    else this.#waiting.push(call)
  }

  #start(call: Call): void {
    this.#running++
    this.#attempt(call)
  }

  #attempt(call: Call): void {
    const { attempt } = call
    const settle = (outcome: Call['outcome']): void => {
      // An answer after the timeout, or after the task has ended, is nobody's.
      if (call.attempt !== attempt || call.outcome !== undefined || this.#aborted.signal.aborted) return
      call.cancel?.()
      this.#settle(call, outcome!)
    }
    call.cancel = this.#host.after(this.#timeoutMs, () =>
      settle({
        error: new MillraceError('TIMEOUT', `operator "${this.#host.id}" had no answer for ${this.#timeoutMs} ms`),
      }),
    )
    let promise: Promise<unknown>
    try {
      promise = Promise.resolve(this.#project(call.pending[2], this.#aborted.signal))
    } catch (error) {
      promise = Promise.reject(error)
    }
    promise.then(
      value => settle({ value }),
      (error: unknown) => settle({ error }),
    )
  }

  #settle(call: Call, outcome: NonNullable<Call['outcome']>): void {
    if ('error' in outcome && call.attempt < this.#retries) {
      const delay = this.#delayMs * 2 ** call.attempt
      call.attempt++
      call.cancel = this.#host.after(delay, () => this.#attempt(call))
      return
    }
    call.outcome = outcome
    this.#running--
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) this.#start(waiting)
    if (!this.#isOrdered) this.#answered.push(call)
    this.#host.wake()
  }
}
