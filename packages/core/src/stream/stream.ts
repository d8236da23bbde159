import type { OperatorFunction } from 'rxjs'
import { MillraceError } from '../errors.js'
import type { Aggregate, AggregateSpec, Aggregator, ResultOf } from './aggregator.js'
import { type Duration, durationMs, formatDuration } from './duration.js'
import { type Emit, planEmit } from './emit.js'
import type { ErrorPolicy } from './error-policy.js'
import type { Upstream } from './graph.js'
import type { GraphBuilder } from './graph-builder.js'
import type { Key } from './key.js'
import { Aggregation, describeSpec, isAggregator } from './operators/aggregation.js'
import { type AsyncOptions, asyncOperator } from './operators/async-map.js'
import { countWindowOperator } from './operators/count-windows.js'
import { distinctOperator } from './operators/distinct.js'
import { intervalJoin, type JoinSpan } from './operators/interval-join.js'
import type { OperatorFactory } from './operators/operator.js'
import { type ProcessFunction, processOperator } from './operators/process.js'
import { sessionOperator } from './operators/session-windows.js'
import { slidingOperator } from './operators/sliding-windows.js'
import {
  branchOperator,
  filterOperator,
  flatMapOperator,
  mapOperator,
  mergeOperator,
  peekOperator,
  rxOperator,
} from './operators/stateless.js'
import { aggregateOperator, reduceOperator, tableOperator } from './operators/table.js'
import { type JoinKind, streamTableJoin } from './operators/table-joins.js'
import { timeWindowOperator } from './operators/time-windows.js'
import type { Serde } from './serde.js'
import { type GlobalTable, Table } from './table.js'
import type { Topic, TopicOf } from './topic.js'
import { describeWindow, type Windowed, type WindowSpec } from './window.js'

/** The end of a stream. */
export interface Sink {
  readonly id: string
  /** Undefined for functions. */
  readonly topic: string | undefined
}

/** What every operator takes. */
export interface OperatorOptions {
  /** Keeps the operator's id, and its state, when others are added around it. */
  readonly name?: string
  /** What happens to a record that the operator's function throws on; default: the pipeline's, which is `stop`. */
  readonly onError?: ErrorPolicy
}

/** How far apart in event time two values may be and still join. */
export interface JoinWindow {
  /** Symmetric, or how far before and after the left value the right one may be. `Infinity` keeps both sides for ever. */
  readonly within: Duration | { readonly before: Duration; readonly after: Duration }
  readonly grace?: Duration
  readonly name?: string
}

type Branches<T> = Readonly<Record<string, (value: T) => boolean>>
// biome-ignore lint/suspicious/noExplicitAny: only `any` matches guards of every type
type Narrowed<T, F> = F extends (value: any) => value is infer S ? S : T

/**
 * Records of one type on their way through a pipeline. Each method adds an operator and returns the stream behind it; a stream
 * may be used more than once. Functions run once per record, in order, and must return synchronously; only `mapAsync` and `forEach` wait.
 */
export class Stream<T> {
  /** @internal */
  readonly builder: GraphBuilder
  /** @internal */
  readonly upstream: Upstream

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream) {
    this.builder = builder
    this.upstream = upstream
  }

  /**
   * Any RxJS operators that answer synchronously. They see the records of one task; each output takes event time and key
   * of the record that caused it. What such an operator keeps (`scan`, `bufferCount`, `distinct`) is kept in memory only: it is
   * lost on restart, and commits do not wait for it; use `aggregate` for state that lasts. An operator that emits later
   * (`delay`, `debounceTime`, `mergeMap` of a promise) is refused when it does: the task stops with an error, since
   * nothing could say which input that output acknowledges. After `take(n)` completes, further records are dropped.
   */
  pipe<A>(a: OperatorFunction<T, A>): Stream<A>
  pipe<A, B>(a: OperatorFunction<T, A>, b: OperatorFunction<A, B>): Stream<B>
  pipe<A, B, C>(a: OperatorFunction<T, A>, b: OperatorFunction<A, B>, c: OperatorFunction<B, C>): Stream<C>
  pipe<A, B, C, D>(
    a: OperatorFunction<T, A>,
    b: OperatorFunction<A, B>,
    c: OperatorFunction<B, C>,
    d: OperatorFunction<C, D>,
  ): Stream<D>
  pipe(...operators: readonly OperatorFunction<never, unknown>[]): Stream<unknown> {
    return this.#next('pipe', rxOperator(operators as readonly OperatorFunction<unknown, unknown>[]))
  }

  map<R>(project: (value: T) => R, options: OperatorOptions = {}): Stream<R> {
    return this.#next('map', mapOperator(project as Untyped, this.#policy(options)), options)
  }

  /** Keeps the values that pass; a type guard narrows the type. */
  filter<S extends T>(test: (value: T) => value is S, options?: OperatorOptions): Stream<S>
  filter(test: (value: T) => boolean, options?: OperatorOptions): Stream<T>
  filter(test: (value: T) => boolean, options: OperatorOptions = {}): Stream<T> {
    const make = filterOperator(test as (value: unknown) => boolean, this.#policy(options))
    return this.#next('filter', make, { ...options, keepsValues: true })
  }

  flatMap<R>(project: (value: T) => Iterable<R>, options: OperatorOptions = {}): Stream<R> {
    const apply = project as (value: unknown) => Iterable<unknown>
    return this.#next('flat-map', flatMapOperator(apply, this.#policy(options)), options)
  }

  /** Looks at each value without changing the stream. Runs again for records that are read again after a crash. */
  peek(effect: (value: T) => void, options: OperatorOptions = {}): Stream<T> {
    const make = peekOperator(effect as (value: unknown) => void, this.#policy(options))
    return this.#next('peek', make, { ...options, keepsValues: true })
  }

  /**
   * Splits the stream: each value goes to the first branch whose test it passes, in the order in which they are named; what passes none goes
   * to `rest`. Branches that are not used drop their values.
   * @see Kafka Streams `KStream#split`
   */
  branch<B extends Branches<T>>(
    branches: B,
    options: OperatorOptions = {},
  ): { readonly [N in keyof B]: Stream<Narrowed<T, B[N]>> } & { readonly rest: Stream<T> } {
    if ('rest' in branches) throw this.builder.refused('names a branch "rest", which is what passes no branch')
    const tests = Object.entries(branches) as [string, (value: unknown) => boolean][]
    const make = branchOperator(tests, this.#policy(options))
    const { id } = this.#next('branch', make, { ...options, keepsValues: true }).upstream
    const streams = [...Object.keys(branches), 'rest'].map(
      port => [port, new Stream<T>(this.builder, { id, port })] as const,
    )
    return Object.fromEntries(streams) as never
  }

  /** The records of both streams, in the order in which they come. */
  merge<U>(other: Stream<U>, options: { readonly name?: string } = {}): Stream<T | U> {
    return new Stream(
      this.builder,
      this.builder.operator('merge', [this.upstream, other.upstream], mergeOperator(2), options),
    )
  }

  /**
   * Calls a function that answers later, `concurrency` times at once, with timeout and retries. Results have the key and event time of
   * their input. What waits for an answer is part of the state (values must be plain data): after a crash it is called again.
   */
  mapAsync<R>(
    project: (value: T, signal: AbortSignal) => Promise<R>,
    options: AsyncOptions & { readonly name?: string } = {},
  ): Stream<R> {
    const { concurrency = 16, ordered = true } = options
    return this.#next('async-map', asyncOperator(project as never, { ...options, ...policyOf(this, options) }), {
      ...options,
      detail: `${ordered ? 'ordered' : 'unordered'}, ${concurrency} at once`,
      state: 'async-map',
    })
  }

  /**
   * Hands each value to a function, at least once: a sink that is not a topic. Options as with `mapAsync`; what was called is not called again
   * once a commit has covered it.
   */
  forEach(
    effect: (value: T, signal: AbortSignal) => Promise<void> | void,
    options: AsyncOptions & { readonly name?: string } = {},
  ): Sink {
    const project = async (value: unknown, signal: AbortSignal): Promise<unknown> => effect(value as T, signal)
    const { id } = this.#next('for-each', asyncOperator(project, { ...options, ...policyOf(this, options) }, false), {
      ...options,
      state: 'async-map',
    }).upstream
    return { id, topic: undefined }
  }

  /**
   * Groups by a key: all values of a key meet in one task. When the source's queues do not already hold each key in one
   * place, they travel through the topic `<pipeline>-<name>-repartition`, encoded with `value` (default MessagePack).
   */
  keyBy<K extends Key>(
    key: (value: T) => K,
    options: { readonly name?: string; readonly value?: Serde<T> } = {},
  ): KeyedStream<K, T> {
    const { name, value } = options
    const grouped = this.builder.keyBy(this.upstream, key as (value: unknown) => K, {
      name,
      value: value as Serde<unknown> | undefined,
    })
    return new KeyedStream(this.builder, grouped)
  }

  /** Looks each value up in a table that every task holds, by any key. `join` drops values without a row. */
  joinGlobal<K extends Key, V, R>(
    table: GlobalTable<K, V>,
    key: (value: T) => K | undefined,
    joiner: (value: T, row: V) => R,
    options: { readonly name?: string } = {},
  ): Stream<R> {
    return this.#joinGlobal('inner', table, key as never, joiner as never, options)
  }

  /** As `joinGlobal`, with `undefined` where there is no row. */
  leftJoinGlobal<K extends Key, V, R>(
    table: GlobalTable<K, V>,
    key: (value: T) => K | undefined,
    joiner: (value: T, row: V | undefined) => R,
    options: { readonly name?: string } = {},
  ): Stream<R> {
    return this.#joinGlobal('left', table, key as never, joiner as never, options)
  }

  /**
   * Sends each value to a topic, with the topic's own key if it has one, otherwise with the key of `keyBy`. The queue is
   * that of the key; without a key, each task has one queue. `deliverAt` says when consumers shall see it (RocketMQ's timer
   * messages); a time that has passed means at once.
   */
  to(topic: TopicOf<T>, options: { readonly deliverAt?: (value: T) => Date | number } = {}): Sink {
    const deliverAt = options.deliverAt as ((value: unknown) => Date | number) | undefined
    const { id } = this.builder.sink(this.upstream, topic as unknown as Topic<unknown>, deliverAt)
    return { id, topic: topic.name }
  }

  #joinGlobal<R>(
    kind: 'inner' | 'left',
    table: GlobalTable<Key, unknown>,
    key: (value: unknown) => Key | undefined,
    joiner: (value: unknown, row: unknown) => R,
    options: { readonly name?: string },
  ): Stream<R> {
    const joined = this.builder.operator('join', [this.upstream, table.upstream], streamTableJoin(kind, joiner, key), {
      ...options,
      detail: `${kind}, with a global table`,
      isTimedByFirst: true,
      state: 'global-table',
    })
    return new Stream<R>(this.builder, joined)
  }

  #policy(options: OperatorOptions): ErrorPolicy | undefined {
    return options.onError ?? this.builder.defaultPolicy
  }

  #next<R>(kind: string, make: OperatorFactory, parts: Parameters<GraphBuilder['operator']>[3] = {}): Stream<R> {
    return new Stream<R>(this.builder, this.builder.operator(kind, [this.upstream], make, parts))
  }
}

type Untyped = (value: unknown) => unknown

/** An output of a pipeline's graph, whatever its type. */
interface Place {
  readonly builder: GraphBuilder
  readonly upstream: Upstream
}

function policyOf(stream: Place, options: { readonly onError?: ErrorPolicy }): { onError?: ErrorPolicy } {
  const policy = options.onError ?? stream.builder.defaultPolicy
  return policy === undefined ? {} : { onError: policy }
}

/** Records grouped by a key. */
export class KeyedStream<K extends Key, T> {
  /** @internal */
  readonly builder: GraphBuilder
  /** @internal */
  readonly upstream: Upstream

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream) {
    this.builder = builder
    this.upstream = upstream
  }

  /** Cuts each key's records into windows. */
  window(window: WindowSpec): WindowedStream<K, T> {
    return new WindowedStream(this.builder, this.upstream, window)
  }

  /** Number of values of each key, so far. */
  count(options: { readonly name?: string } = {}): Table<K, number> {
    const counter: Aggregator<T, number, number> = { kind: 'count', init: () => 0, add: n => n + 1, result: n => n }
    return this.aggregate(counter, options)
  }

  /** Folds the values of each key, so far: named aggregators, or a single one. */
  aggregate<A extends Aggregate<T>>(spec: A, options: OperatorOptions = {}): Table<K, ResultOf<A>> {
    const aggregation = new Aggregation(spec as AggregateSpec<unknown>)
    const detail = describeSpec(spec as AggregateSpec<never>)
    return this.#table('aggregate', aggregateOperator(aggregation, this.#policy(options)), detail, options)
  }

  /** Combines the values of each key, so far, two at a time. */
  reduce(reducer: (first: T, second: T) => T, options: OperatorOptions = {}): Table<K, T> {
    return this.#table('reduce', reduceOperator(reducer as never, this.#policy(options)), 'reduce', options)
  }

  /** The last value of each key; `null` and `undefined` delete it. */
  toTable(options: { readonly name?: string } = {}): Table<K, NonNullable<T>> {
    return this.#table('table', tableOperator(), 'last value', options)
  }

  /**
   * The first value of each key, and with `within` the first after that much event time since the last one that passed. The values in
   * between are dropped.
   */
  distinct(options: { readonly within?: Duration; readonly name?: string } = {}): Stream<T> {
    const withinMs = options.within === undefined ? Number.POSITIVE_INFINITY : durationMs(options.within)
    const detail = options.within === undefined ? 'for ever' : `within ${formatDuration(withinMs)}`
    return this.#stream('distinct', distinctOperator(withinMs), detail, options)
  }

  /** Keeps state and timers per key, and emits what it likes: for everything else. */
  process<S, R>(work: ProcessFunction<K, T, S, R>, options: OperatorOptions = {}): Stream<R> {
    return this.#stream('process', processOperator(work as never, this.#policy(options)), 'process', options)
  }

  /** Pairs of values of a key whose event times are close enough. */
  join<U, R>(other: KeyedStream<K, U>, window: JoinWindow, joiner: (left: T, right: U) => R): Stream<R>
  /** Each value with the row of its key in a table, at the time it comes; values without a row are dropped. */
  join<V, R>(table: Table<K, V>, joiner: (value: T, row: V) => R, options?: { readonly name?: string }): Stream<R>
  join(other: Place, ...rest: readonly unknown[]): unknown {
    return this.#join('inner', other, rest)
  }

  /** As `join`; a left value without a partner comes with `undefined`, once nothing can join it any more. */
  leftJoin<U, R>(other: KeyedStream<K, U>, window: JoinWindow, joiner: (left: T, right: U | undefined) => R): Stream<R>
  /** As `join`; without a row the joiner gets `undefined`. */
  leftJoin<V, R>(
    table: Table<K, V>,
    joiner: (value: T, row: V | undefined) => R,
    options?: { readonly name?: string },
  ): Stream<R>
  leftJoin(other: Place, ...rest: readonly unknown[]): unknown {
    return this.#join('left', other, rest)
  }

  /** As `leftJoin`, for values of either side. */
  outerJoin<U, R>(
    other: KeyedStream<K, U>,
    window: JoinWindow,
    joiner: (left: T | undefined, right: U | undefined) => R,
  ): Stream<R> {
    return this.#join('outer', other, [window, joiner])
  }

  /** The records, for operators that need no key; they keep it. */
  values(): Stream<T> {
    return new Stream(this.builder, this.upstream)
  }

  #join<R>(kind: JoinKind, other: Place, rest: readonly unknown[]): Stream<R> {
    const inputs = [this.upstream, other.upstream]
    if (other instanceof Table) {
      const [joiner, options = {}] = rest as [never, { readonly name?: string }?]
      const make = streamTableJoin(kind === 'left' ? 'left' : 'inner', joiner)
      const parts = { ...options, detail: `${kind}, with a table`, isKeyed: true, isTimedByFirst: true, state: 'table' }
      return new Stream<R>(this.builder, this.builder.operator('join', inputs, make, parts))
    }
    const [window, joiner] = rest as [JoinWindow, never]
    const span = spanOf(window)
    const describe = (ms: number): string => (Number.isFinite(ms) ? formatDuration(ms) : 'any time')
    const detail = `${kind}, ${describe(span.beforeMs)} before to ${describe(span.afterMs)} after`
    const parts = { name: window.name, detail, isKeyed: true, state: 'interval-join' }
    return new Stream<R>(this.builder, this.builder.operator('join', inputs, intervalJoin(kind, span, joiner), parts))
  }

  #policy(options: OperatorOptions): ErrorPolicy | undefined {
    return options.onError ?? this.builder.defaultPolicy
  }

  #table<V>(kind: string, make: OperatorFactory, detail: string, options: OperatorOptions): Table<K, V> {
    const parts = { ...options, detail, isKeyed: true, state: `${kind} of ${detail}` }
    const upstream = this.builder.operator(kind, [this.upstream], make, parts)
    return new Table(this.builder, upstream, input => new Stream(this.builder, input))
  }

  #stream<R>(kind: string, make: OperatorFactory, detail: string, options: OperatorOptions): Stream<R> {
    const parts = { ...options, detail, isKeyed: true, state: kind }
    return new Stream(this.builder, this.builder.operator(kind, [this.upstream], make, parts))
  }
}

function spanOf({ within, grace = 0 }: JoinWindow): JoinSpan {
  const graceMs = durationMs(grace)
  const span = (duration: Duration): number =>
    duration === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : durationMs(duration)
  if (typeof within === 'object') return { beforeMs: span(within.before), afterMs: span(within.after), graceMs }
  return { beforeMs: span(within), afterMs: span(within), graceMs }
}

export interface WindowAggregateOptions extends OperatorOptions {
  readonly emit?: Emit
}

/** Records grouped by key and window. */
export class WindowedStream<K extends Key, T> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream
  readonly #window: WindowSpec

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream, window: WindowSpec) {
    this.#builder = builder
    this.#upstream = upstream
    this.#window = window
  }

  /**
   * Computes named aggregators, or a single one, over each key and window. `emit: 'final'` (default) gives one result when the window
   * closes, with event time `window.end - 1`. `name` keeps the state attached when operators are added around it.
   */
  aggregate<A extends Aggregate<T>>(
    spec: A,
    options: WindowAggregateOptions = {},
  ): AggregatedStream<K, T, ResultOf<A>> {
    const window = this.#window
    const detail = `${describeWindow(window)}; ${describeSpec(spec as AggregateSpec<never>)}`
    const parts = {
      ...options,
      detail,
      isKeyed: true,
      state: `${describeWindow({ ...window, graceMs: 0 } as WindowSpec)} of ${describeSpec(spec as AggregateSpec<never>)}`,
    }
    return new AggregatedStream(
      this.#builder,
      this.#builder.operator('aggregate', [this.#upstream], this.#make(spec, options), parts),
    )
  }

  /** Number of values of each key and window. */
  count(options: WindowAggregateOptions = {}): AggregatedStream<K, T, number> {
    const counter: Aggregator<T, number, number> = {
      kind: 'count',
      init: () => 0,
      add: n => n + 1,
      result: n => n,
      merge: (first, second) => first + second,
    }
    return this.aggregate(counter, options)
  }

  /** Combines the values of each key and window two at a time. */
  reduce(reducer: (first: T, second: T) => T, options: WindowAggregateOptions = {}): AggregatedStream<K, T, T> {
    const join = (first: T | null, second: T | null): T | null => {
      if (first === null || second === null) return first ?? second
      return reducer(first, second)
    }
    const aggregator: Aggregator<T, T | null, T> = {
      kind: 'reduce',
      init: () => null,
      add: join,
      result: state => state as T,
      merge: join,
    }
    return this.aggregate(aggregator, options)
  }

  #make(spec: Aggregate<T>, options: WindowAggregateOptions): OperatorFactory {
    const window = this.#window
    const aggregation = new Aggregation(spec as AggregateSpec<unknown>)
    const emit = planEmit(options.emit)
    const policy = options.onError ?? this.#builder.defaultPolicy
    switch (window.kind) {
      case 'tumbling':
        return timeWindowOperator({ ...window, advanceMs: window.sizeMs }, aggregation, emit, policy)
      case 'hopping':
        return timeWindowOperator(window, aggregation, emit, policy)
      case 'sliding':
        this.#refuseOnTime(emit.kind)
        return slidingOperator(window, aggregation, emit)
      case 'session':
        checkMerge(spec as AggregateSpec<never>)
        return sessionOperator(window, aggregation, emit, policy)
      case 'count':
        this.#refuseOnTime(emit.kind)
        return countWindowOperator(window.size, aggregation, emit, policy)
    }
  }

  #refuseOnTime(kind: string): void {
    if (kind === 'on-time')
      throw this.#builder.refused(`asks ${this.#window.kind} windows for early results; they give 'final' or 'updates'`)
  }
}

function checkMerge(spec: Aggregate<never>): void {
  const aggregators = isAggregator(spec) ? [spec] : Object.values(spec)
  for (const aggregator of aggregators)
    if (aggregator.merge === undefined)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `aggregator "${aggregator.kind}" has no merge, which session windows need; give it one`,
      )
}

/** Results per key and window. */
export class AggregatedStream<K extends Key, T, R> extends Stream<Windowed<K, R>> {
  /** The values that came after their window had closed. They are counted whether or not this is used. */
  late(): Stream<T> {
    const { id } = this.upstream
    return new Stream<T>(this.builder, this.builder.operator('late', [{ id, port: 'late' }], mergeOperator(1)))
  }
}
