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
  /** Both states as one; the first is the earlier one. Session windows need it. */
  merge?(first: S, second: S): S
  /** Takes back a value that was added. Aggregates of tables need it. */
  subtract?(state: S, value: T): S
}

/** Named aggregators, computed together in one pass. */
export type AggregateSpec<T> = Readonly<Record<string, Aggregator<T, unknown, unknown>>>

/** What an `AggregateSpec` yields: the same names with their results. */
export type AggregateResult<S> = {
  readonly [N in keyof S]: S[N] extends { result(state: never): infer R } ? R : never
}

/** What can be computed over values: named aggregators, or a single one. */
export type Aggregate<T> = AggregateSpec<T> | Aggregator<T, unknown, unknown>

/** What an `Aggregate` yields. */
export type ResultOf<A> = A extends { add(...args: never): unknown; result(state: never): infer R }
  ? R
  : AggregateResult<A>

/** An aggregator of one's own: lets the compiler find its types. */
export function aggregator<T, S, R>(parts: Aggregator<T, S, R>): Aggregator<T, S, R> {
  return parts
}

/** Number of values. */
export function count(): Aggregator<unknown, number, number> {
  return {
    kind: 'count',
    init: () => 0,
    add: state => state + 1,
    result: state => state,
    merge: (first, second) => first + second,
    subtract: state => state - 1,
  }
}

/** Sum, as floating point. */
export function sum<T>(select: (value: T) => number): Aggregator<T, number, number> {
  return {
    kind: 'sum',
    init: () => 0,
    add: (state, value) => state + select(value),
    result: state => state,
    merge: (first, second) => first + second,
    subtract: (state, value) => state - select(value),
  }
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
    merge: (first, second) => [first[0] + second[0], first[1] + second[1]],
    subtract(state, value) {
      state[0] -= select(value)
      state[1]--
      return state
    },
  }
}

/** Smallest. */
export function min<T>(select: (value: T) => number): Aggregator<T, number, number> {
  return {
    kind: 'min',
    init: () => Number.POSITIVE_INFINITY,
    add: (state, value) => Math.min(state, select(value)),
    result: state => state,
    merge: Math.min,
  }
}

/** Largest. */
export function max<T>(select: (value: T) => number): Aggregator<T, number, number> {
  return {
    kind: 'max',
    init: () => Number.NEGATIVE_INFINITY,
    add: (state, value) => Math.max(state, select(value)),
    result: state => state,
    merge: Math.max,
  }
}

/** Every value, in the order in which they came. */
export function toArray<T>(): Aggregator<T, T[], readonly T[]> {
  return {
    kind: 'toArray',
    init: () => [],
    add(state, value) {
      state.push(value)
      return state
    },
    result: state => [...state],
    merge: (first, second) => [...first, ...second],
  }
}

/** Number of different selected values: exact, keeps each of them. */
export function distinctCount<T>(
  select: (value: T) => string | number,
): Aggregator<T, [count: number, seen: Record<string, 1>], number> {
  return {
    kind: 'distinctCount',
    init: () => [0, {}],
    add(state, value) {
      const selected = select(value)
      const name = typeof selected === 'number' ? String(selected) : `s${selected}`
      if (state[1][name] === undefined) {
        state[1][name] = 1
        state[0]++
      }
      return state
    },
    result: ([seenCount]) => seenCount,
    merge(first, second) {
      const seen = { ...first[1], ...second[1] }
      return [Object.keys(seen).length, seen]
    },
  }
}

/** The `n` values that come first by `compare` (negative when the first argument does); of equals the earlier ones. */
export function top<T>(n: number, compare: (a: T, b: T) => number): Aggregator<T, T[], readonly T[]> {
  const insert = (state: T[], value: T): T[] => {
    if (state.length === n && compare(value, state[n - 1]!) >= 0) return state
    let at = state.length
    while (at > 0 && compare(value, state[at - 1]!) < 0) at--
    state.splice(at, 0, value)
    if (state.length > n) state.pop()
    return state
  }
  return {
    kind: `top ${n}`,
    init: () => [],
    add: insert,
    result: state => [...state],
    merge: (first, second) => second.reduce(insert, first),
  }
}
