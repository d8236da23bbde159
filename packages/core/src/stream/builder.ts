import type { OperatorFunction } from 'rxjs'
import { MillraceError } from '../errors.js'
import type { AggregateResult, AggregateSpec } from './aggregator.js'
import { describeGraph, mermaid, type PipelineDescription } from './describe.js'
import type { SinkNode, StreamGraph, StreamNode } from './graph.js'
import type { Key } from './key.js'
import type { Serde } from './serde.js'
import { msgpack } from './serde.js'
import type { Topic } from './topic.js'
import type { Windowed, WindowSpec } from './window.js'

/** A pipeline as data: what `describe` shows, the test driver tests and the engine runs. */
export interface Pipeline {
  readonly id: string
  readonly graph: StreamGraph
  describe(): PipelineDescription
  /** The graph as Mermaid flowchart text. */
  mermaid(): string
}

/** Starts a stream from a topic. */
export type Source = <T>(topic: Topic<T>) => Stream<T>

/** The end of a stream. */
export interface Sink {
  readonly id: string
  readonly topic: string
}

/**
 * Builds a pipeline. `id` names its consumer group, its state and its internal topics: keep it, and its state is kept.
 * @throws MillraceError INVALID_ARGUMENT for an id that is no group name, an operator that leads nowhere, or a name used twice.
 */
export function pipeline(id: string, build: (source: Source) => Sink | readonly Sink[]): Pipeline {
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(id))
    throw new MillraceError('INVALID_ARGUMENT', `"${id}" is not a pipeline id; use 1 to 64 of a-z A-Z 0-9 _ -`)
  const builder = new GraphBuilder(id)
  build(topic => new Stream(builder, builder.source(topic as Topic<unknown>)))
  const graph = builder.finish()
  return { id, graph, describe: () => describeGraph(id, graph), mermaid: () => mermaid(graph) }
}

class GraphBuilder {
  readonly #nodes: StreamNode[] = []
  readonly #counts = new Map<string, number>()

  constructor(readonly pipelineId: string) {}

  source(topic: Topic<unknown>): string {
    for (const node of this.#nodes)
      if (node.kind === 'source' && node.topic.name === topic.name) {
        if (node.topic === topic) return node.id
        throw this.#refused(`reads topic "${topic.name}" by two definitions; share one`)
      }
    return this.add({ kind: 'source', id: this.id('source'), topic })
  }

  id(kind: string, name?: string): string {
    if (name !== undefined) {
      if (!/^[a-zA-Z0-9_-]{1,32}$/.test(name))
        throw this.#refused(`names an operator "${name}"; use 1 to 32 of a-z A-Z 0-9 _ -`)
      return name
    }
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    return `${kind}-${count}`
  }

  add(node: StreamNode): string {
    if (this.#nodes.some(other => other.id === node.id))
      throw this.#refused(`has two operators named "${node.id}"; rename one`)
    this.#nodes.push(node)
    return node.id
  }

  finish(): StreamGraph {
    const inputs = new Set(this.#nodes.map(node => (node.kind === 'source' ? undefined : node.input)))
    for (const node of this.#nodes)
      if (node.kind !== 'sink' && !inputs.has(node.id))
        throw this.#refused(`has operator "${node.id}", which leads nowhere; end it with .to(topic) or remove it`)
    if (this.#nodes.length === 0) throw this.#refused('is empty; start it with source(topic)')
    return this.#nodes
  }

  #refused(what: string): MillraceError {
    return new MillraceError('INVALID_ARGUMENT', `pipeline "${this.pipelineId}" ${what}`)
  }
}

/**
 * Records of one type on their way through a pipeline. Each method adds an operator and returns the stream behind it; a stream
 * may be used more than once. Functions run once per record, in order, must return synchronously, and an error that one of
 * them throws stops the task, which its supervisor restarts from the last commit.
 */
export class Stream<T> {
  readonly #builder: GraphBuilder
  readonly #node: string

  /** @internal */
  constructor(builder: GraphBuilder, node: string) {
    this.#builder = builder
    this.#node = node
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
    return this.#add('pipe', id => ({
      kind: 'pipe',
      id,
      input: this.#node,
      operators: operators as readonly OperatorFunction<unknown, unknown>[],
    }))
  }

  map<R>(project: (value: T) => R): Stream<R> {
    return this.#add('map', id => ({ kind: 'map', id, input: this.#node, apply: project as (value: unknown) => R }))
  }

  /** Keeps the values that pass; a type guard narrows the type. */
  filter<S extends T>(test: (value: T) => value is S): Stream<S>
  filter(test: (value: T) => boolean): Stream<T>
  filter(test: (value: T) => boolean): Stream<T> {
    return this.#add('filter', id => ({
      kind: 'filter',
      id,
      input: this.#node,
      test: test as (value: unknown) => boolean,
    }))
  }

  flatMap<R>(project: (value: T) => Iterable<R>): Stream<R> {
    const apply = project as (value: unknown) => Iterable<R>
    return this.#add('flat-map', id => ({ kind: 'flat-map', id, input: this.#node, apply }))
  }

  /** Looks at each value without changing the stream. Runs again for records that are read again after a crash. */
  peek(effect: (value: T) => void): Stream<T> {
    const apply = effect as (value: unknown) => void
    return this.#add('peek', id => ({ kind: 'peek', id, input: this.#node, apply }))
  }

  /**
   * Groups by a key: all values of a key meet in one task. When the source's queues do not already hold each key in one
   * place, they travel through the topic `<pipeline>-<name>-repartition`, encoded with `value` (default MessagePack).
   */
  keyBy<K extends Key>(
    key: (value: T) => K,
    options: { readonly name?: string; readonly value?: Serde<T> } = {},
  ): KeyedStream<K, T> {
    const id = this.#builder.id('key-by', options.name)
    const value = (options.value ?? msgpack<T>()) as Serde<unknown>
    this.#builder.add({ kind: 'key-by', id, input: this.#node, key: key as (value: unknown) => K, value })
    return new KeyedStream(this.#builder, id)
  }

  /**
   * Sends each value to a topic, with the topic's own key if it has one, otherwise with the key of `keyBy`. The queue is
   * that of the key; without a key, each task has one queue.
   */
  to(topic: Topic<T>): Sink {
    const id = this.#builder.id('sink')
    const node: SinkNode = { kind: 'sink', id, input: this.#node, topic: topic as unknown as Topic<unknown> }
    this.#builder.add(node)
    return { id, topic: topic.name }
  }

  #add<R>(kind: string, make: (id: string) => StreamNode): Stream<R> {
    return new Stream<R>(this.#builder, this.#builder.add(make(this.#builder.id(kind))))
  }
}

/** Records grouped by a key. */
export class KeyedStream<K extends Key, T> {
  readonly #builder: GraphBuilder
  readonly #node: string

  /** @internal */
  constructor(builder: GraphBuilder, node: string) {
    this.#builder = builder
    this.#node = node
  }

  /** Cuts each key's records by event time. */
  window(window: WindowSpec): WindowedStream<K, T> {
    return new WindowedStream(this.#builder, this.#node, window)
  }
}

/** Records grouped by key and window. */
export class WindowedStream<K extends Key, T> {
  readonly #builder: GraphBuilder
  readonly #node: string
  readonly #window: WindowSpec

  /** @internal */
  constructor(builder: GraphBuilder, node: string, window: WindowSpec) {
    this.#builder = builder
    this.#node = node
    this.#window = window
  }

  /**
   * Computes `spec` over each key and window. `emit: 'final'` (default) gives one result when the window closes, with
   * event time `window.end - 1`; `'updates'` gives the result so far after every record, with that record's event time, and
   * nothing at the close. `name` keeps the state attached when operators are added around it.
   */
  aggregate<S extends AggregateSpec<T>>(
    spec: S,
    options: { readonly name?: string; readonly emit?: 'final' | 'updates' } = {},
  ): AggregatedStream<K, T, AggregateResult<S>> {
    const id = this.#builder.id('aggregate', options.name)
    const node: StreamNode = {
      kind: 'aggregate',
      id,
      input: this.#node,
      window: this.#window,
      spec: spec as AggregateSpec<unknown>,
      emit: options.emit ?? 'final',
    }
    return new AggregatedStream<K, T, AggregateResult<S>>(this.#builder, this.#builder.add(node))
  }
}

/** Results per key and window. */
export class AggregatedStream<K extends Key, T, R> extends Stream<Windowed<K, R>> {
  readonly #builder: GraphBuilder
  readonly #node: string

  /** @internal */
  constructor(builder: GraphBuilder, node: string) {
    super(builder, node)
    this.#builder = builder
    this.#node = node
  }

  /** The values that came after their window had closed. They are counted whether or not this is used. */
  late(): Stream<T> {
    const id = this.#builder.id('late')
    return new Stream<T>(this.#builder, this.#builder.add({ kind: 'late', id, input: this.#node }))
  }
}
