import type { Cancel } from '../../ports/scheduler.js'
import type { ErrorPolicy } from '../error-policy.js'
import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { WindowStore } from '../stores/window-store.js'

/** Takes one value; event time and key are in the `RecordContext`. */
export type Push = (value: unknown) => void

/** What travels with the value being processed. One per task, changed in place: no object per record. */
export interface RecordContext {
  timestamp: number
  key: Key | undefined
}

/** What operators need of their task. */
export interface OperatorHost {
  readonly id: string
  readonly context: RecordContext
  /** Index of the task's queue. */
  readonly queue: number
  /** Event time up to which this operator had given its results when the task was committed; minus infinity at first. */
  readonly watermark: number
  /** Wall clock, milliseconds. */
  now(): number
  /** States by key, kept from commit to commit. `name` tells the stores of an operator apart. */
  keyStore<S>(name?: string): KeyStore<S>
  /** States by time and key. */
  windowStore<S>(name?: string): WindowStore<S>
  /** Makes a store readable by queries under the operator's id. */
  publish(store: QueryableStore): void
  /** A record came too late for its window. */
  late(): void
  /** Handles a failure as `policy` says: throws for `stop`. */
  failed(cause: unknown, value: unknown, policy: ErrorPolicy | undefined): void
  /** Runs `work` later, by wall clock. */
  after(delayMs: number, work: () => void): Cancel
  /** Something that was waited for has come: the task takes its next turn. */
  wake(): void
  onClose(cleanup: () => void): void
}

/** What interactive queries read. Values are what the pipeline's types say. */
export interface QueryableStore {
  get(key: Key): unknown
  /** In the order of encoded keys, `from` and `to` inclusive. */
  range(from: Key | undefined, to: Key | undefined, limit: number): Iterable<readonly [Key, unknown]>
  /** Results of the open windows of a key that begin in [from, to]. */
  fetch(key: Key, from: number, to: number): Iterable<{ readonly start: number; readonly value: unknown }>
}

/** An operator that acts when time moves. */
export interface TimedOperator {
  /** Takes one step of what is due at the watermark of its input; false when nothing is left, and then it has moved on to it. */
  fireNext(watermark: number): boolean
  /** No output of it comes before this event time. */
  readonly watermark: number
  /** What it has moved on to. */
  readonly done: number
  /** Takes one step of what is due by wall clock, or has been answered; false when nothing is. */
  tick?(now: number): boolean
  /** It holds as much as it may: the task reads nothing before that changes. */
  readonly isBusy?: boolean
}

export interface Operator {
  /** One per input of its node. */
  readonly inputs: readonly Push[]
  readonly timed?: TimedOperator
}

/** Makes an operator for one task. `port` gives the consumers of an output port; `next` are those of `out`. */
export type OperatorFactory = (host: OperatorHost, next: Push, port: (name: string) => Push) => Operator
