import { MillraceError } from '../errors.js'
import type { Aggregate, AggregateSpec, Aggregator, ResultOf } from './aggregator.js'
import type { Upstream } from './graph.js'
import type { GraphBuilder } from './graph-builder.js'
import type { Key } from './key.js'
import { Aggregation, describeSpec, isAggregator } from './operators/aggregation.js'
import type { OperatorFactory } from './operators/operator.js'
import {
  type GroupChange,
  groupAggregateOperator,
  mapValuesOperator,
  regroupOperator,
  tableFilterOperator,
  toStreamOperator,
} from './operators/table.js'
import {
  foreignKeyJoin,
  type JoinKind,
  type Reference,
  type ReferenceResult,
  referenceResults,
  referencesOperator,
  tableTableJoin,
} from './operators/table-joins.js'
import type { Stream } from './stream.js'

/** A row of a table, or with `undefined` its deletion. */
export interface KeyValue<K extends Key, V> {
  readonly key: K
  readonly value: V
}

interface Named {
  readonly name?: string
}

/** An output of a pipeline's graph, whatever its type. */
interface Place {
  readonly builder: GraphBuilder
  readonly upstream: Upstream
}

type StreamMaker = <T>(upstream: Upstream) => Stream<T>

/** A value per key that changes. What flows out of it are changes; each update is passed on. */
export class Table<K extends Key, V> {
  /** A table may end a pipeline: it can be asked. */
  readonly isTable = true
  /** @internal */
  readonly builder: GraphBuilder
  /** @internal */
  readonly upstream: Upstream
  readonly #stream: StreamMaker

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream, stream: StreamMaker) {
    this.builder = builder
    this.upstream = upstream
    this.#stream = stream
  }

  /** The rows that pass. */
  filter(test: (value: V, key: K) => boolean): Table<K, V> {
    return this.#table('filter', [this.upstream], tableFilterOperator(test as never))
  }

  /** The same keys with other values. The function may run more than once for a value. */
  mapValues<R>(project: (value: V, key: K) => R): Table<K, R> {
    return this.#table('map', [this.upstream], mapValuesOperator(project as never))
  }

  /** Every change as a record: the key and its new value, or `undefined` when the row was deleted. */
  toStream(): Stream<KeyValue<K, V | undefined>> {
    return this.#stream(this.builder.operator('to-stream', [this.upstream], toStreamOperator()))
  }

  /** Rows with the same key in both tables. */
  join<W, R>(other: Table<K, W>, joiner: (left: V, right: W) => R, options?: Named): Table<K, R>
  /** Rows of this table with the row of the other that `foreignKey` names. */
  join<F extends Key, W, R>(
    other: Table<F, W>,
    foreignKey: (value: V) => F | undefined,
    joiner: (left: V, right: W) => R,
    options?: Named,
  ): Table<K, R>
  join(other: Place, ...rest: readonly unknown[]): unknown {
    return this.#anyJoin('inner', other, rest)
  }

  leftJoin<W, R>(other: Table<K, W>, joiner: (left: V, right: W | undefined) => R, options?: Named): Table<K, R>
  leftJoin<F extends Key, W, R>(
    other: Table<F, W>,
    foreignKey: (value: V) => F | undefined,
    joiner: (left: V, right: W | undefined) => R,
    options?: Named,
  ): Table<K, R>
  leftJoin(other: Place, ...rest: readonly unknown[]): unknown {
    return this.#anyJoin('left', other, rest)
  }

  outerJoin<W, R>(
    other: Table<K, W>,
    joiner: (left: V | undefined, right: W | undefined) => R,
    options: Named = {},
  ): Table<K, R> {
    return this.#join<R>('outer', other, joiner as never, options)
  }

  /** Groups the rows by another key, for `aggregate`; rows that change leave their old group. */
  groupBy<G extends Key>(key: (value: V, key: K) => G, options: Named = {}): GroupedTable<G, V> {
    const regrouped = this.builder.operator('group-by', [this.upstream], regroupOperator(key as never))
    const keyed = this.builder.keyBy(regrouped, change => (change as GroupChange).key, options)
    return new GroupedTable(this.builder, keyed, this.#stream)
  }

  #anyJoin(kind: 'inner' | 'left', other: Place, rest: readonly unknown[]): unknown {
    const [first, second, third] = rest as [never, unknown, Named?]
    if (typeof second === 'function') return this.#foreignKeyJoin(kind, other, first, second as never, third ?? {})
    return this.#join(kind, other, first, (second as Named | undefined) ?? {})
  }

  #join<R>(kind: JoinKind, other: Place, joiner: never, options: Named): Table<K, R> {
    const parts = { ...options, detail: `${kind}, tables`, isKeyed: true, state: 'table-join' }
    return this.#table('join', [this.upstream, other.upstream], tableTableJoin(kind, joiner), parts)
  }

  #foreignKeyJoin(kind: 'inner' | 'left', other: Place, foreignKey: never, joiner: never, { name }: Named): unknown {
    const { builder } = this
    const named = (part: string): { name?: string } => (name === undefined ? {} : { name: `${name}-${part}` })
    const references = builder.operator('references', [this.upstream], referencesOperator(foreignKey), {
      ...named('references'),
      state: 'references',
    })
    const byForeignKey = builder.keyBy(references, value => (value as Reference).foreignKey, named('foreign'))
    const joined = builder.operator('join', [byForeignKey, other.upstream], foreignKeyJoin(kind, joiner), {
      ...(name === undefined ? {} : { name }),
      detail: `${kind}, by foreign key`,
      isKeyed: true,
      state: 'foreign-key-join',
    })
    const byKey = builder.keyBy(joined, value => (value as ReferenceResult).key, named('back'))
    return this.#table('results', [byKey], referenceResults(), { ...named('results'), state: 'results' })
  }

  #table<R>(
    kind: string,
    inputs: readonly Upstream[],
    make: OperatorFactory,
    parts: Parameters<GraphBuilder['operator']>[3] = {},
  ): Table<K, R> {
    return new Table(this.builder, this.builder.operator(kind, inputs, make, parts), this.#stream)
  }
}

/** Rows of a table in groups. */
export class GroupedTable<G extends Key, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream
  readonly #stream: StreamMaker

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream, stream: StreamMaker) {
    this.#builder = builder
    this.#upstream = upstream
    this.#stream = stream
  }

  /**
   * Folds the rows of each group; a row that changes is subtracted as it was and added as it is.
   * @throws MillraceError INVALID_ARGUMENT for an aggregator that cannot subtract
   */
  aggregate<A extends Aggregate<V>>(spec: A, options: Named = {}): Table<G, ResultOf<A>> {
    const untyped = spec as Aggregate<never>
    for (const aggregator of isAggregator(untyped) ? [untyped] : Object.values(untyped))
      if (aggregator.subtract === undefined)
        throw new MillraceError(
          'INVALID_ARGUMENT',
          `aggregator "${aggregator.kind}" cannot subtract, which tables need; give it a subtract`,
        )
    const detail = describeSpec(untyped)
    const upstream = this.#builder.operator(
      'aggregate',
      [this.#upstream],
      groupAggregateOperator(new Aggregation(spec as AggregateSpec<unknown>)),
      { ...options, detail, isKeyed: true, state: `groups of ${detail}` },
    )
    return new Table(this.#builder, upstream, this.#stream)
  }

  /** Number of rows of each group. */
  count(options: Named = {}): Table<G, number> {
    const counter: Aggregator<V, number, number> = {
      kind: 'count',
      init: () => 0,
      add: n => n + 1,
      result: n => n,
      subtract: n => n - 1,
    }
    return this.aggregate(counter, options)
  }
}

/** A table that every task holds whole, for `Stream.joinGlobal`. */
export class GlobalTable<K extends Key, V> {
  /** @internal */
  readonly upstream: Upstream
  /** Only the compiler asks. */
  declare readonly row: KeyValue<K, V>

  /** @internal */
  constructor(upstream: Upstream) {
    this.upstream = upstream
  }
}
