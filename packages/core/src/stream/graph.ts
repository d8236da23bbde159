import type { OperatorFunction } from 'rxjs'
import type { AggregateSpec } from './aggregator.js'
import type { Key } from './key.js'
import type { Serde } from './serde.js'
import type { Topic } from './topic.js'
import type { WindowSpec } from './window.js'

// Values are `unknown` in here: the builder's types are what makes a graph well-typed, and nothing else makes graphs.

interface Operator {
  /** Unique in its graph, and the same as long as no operator of its kind is added before it. */
  readonly id: string
}

interface Transform extends Operator {
  /** Id of the operator it reads from. */
  readonly input: string
}

export interface SourceNode extends Operator {
  readonly kind: 'source'
  readonly topic: Topic<unknown>
}
interface MapNode extends Transform {
  readonly kind: 'map'
  readonly apply: (value: unknown) => unknown
}
interface FilterNode extends Transform {
  readonly kind: 'filter'
  readonly test: (value: unknown) => boolean
}
interface FlatMapNode extends Transform {
  readonly kind: 'flat-map'
  readonly apply: (value: unknown) => Iterable<unknown>
}
interface PeekNode extends Transform {
  readonly kind: 'peek'
  readonly apply: (value: unknown) => void
}
export interface RxNode extends Transform {
  readonly kind: 'pipe'
  readonly operators: readonly OperatorFunction<unknown, unknown>[]
}
export interface KeyByNode extends Transform {
  readonly kind: 'key-by'
  readonly key: (value: unknown) => Key
  /** Serde of the repartition topic, if one is needed. */
  readonly value: Serde<unknown>
}
export interface AggregateNode extends Transform {
  readonly kind: 'aggregate'
  readonly window: WindowSpec
  readonly spec: AggregateSpec<unknown>
  readonly emit: 'final' | 'updates'
}
/** The values that came too late for the aggregate that is its input. */
export interface LateNode extends Transform {
  readonly kind: 'late'
}
export interface SinkNode extends Transform {
  readonly kind: 'sink'
  readonly topic: Topic<unknown>
}

export type StreamNode =
  | SourceNode
  | MapNode
  | FilterNode
  | FlatMapNode
  | PeekNode
  | RxNode
  | KeyByNode
  | AggregateNode
  | LateNode
  | SinkNode

/** Operators in an order in which each comes after its input. */
export type StreamGraph = readonly StreamNode[]
