/**
 * Folds the values of one key and window into a result. The state must be plain data (what MessagePack keeps); it
 * belongs to the engine, so `add` may change it in place and return it. Must be deterministic.
 */
export interface Aggregator<T, S, R> {
  /** Part of the stored topology: two aggregators of the same kind read each other's state. */
  readonly kind: string
  init(): S
  add(state: S, value: T): S
  result(state: S): R
}

/** Named aggregators, computed together in one pass. */
export type AggregateSpec<T> = Readonly<Record<string, Aggregator<T, unknown, unknown>>>

/** What an `AggregateSpec` yields: the same names with their results. */
export type AggregateResult<S> = {
  readonly [N in keyof S]: S[N] extends { result(state: never): infer R } ? R : never
}

/** Number of values. */
export function count(): Aggregator<unknown, number, number> {
  return { kind: 'count', init: () => 0, add: state => state + 1, result: state => state }
}

/** Sum, as floating point. */
export function sum<T>(select: (value: T) => number): Aggregator<T, number, number> {
  return { kind: 'sum', init: () => 0, add: (state, value) => state + select(value), result: state => state }
}

/** Arithmetic mean. */
export function mean<T>(select: (value: T) => number): Aggregator<T, [sum: number, count: number], number> {
  return {
    kind: 'mean',
    init: () => [0, 0],
    add(state, value) {
      state[0] += select(value)
      state[1]++
      return state
    },
    result: ([total, values]) => total / values,
  }
}

/** Smallest. */
export function min<T>(select: (value: T) => number): Aggregator<T, number, number> {
  return {
    kind: 'min',
    init: () => Number.POSITIVE_INFINITY,
    add: (state, value) => Math.min(state, select(value)),
    result: state => state,
  }
}

/** Largest. */
export function max<T>(select: (value: T) => number): Aggregator<T, number, number> {
  return {
    kind: 'max',
    init: () => Number.NEGATIVE_INFINITY,
    add: (state, value) => Math.max(state, select(value)),
    result: state => state,
  }
}
