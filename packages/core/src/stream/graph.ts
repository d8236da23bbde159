import type { DeadLetterRecord, ErrorPolicy } from './error-policy.js'
import type { Key } from './key.js'
import type { OperatorFactory } from './operators/operator.js'
import type { Serde } from './serde.js'
import type { Topic } from './topic.js'

// Values are `unknown` in here: the builder's types are what makes a graph well-typed, and nothing else makes graphs.

/** What an operator reads: the output `port` of another. Most have only `out`. */
export interface Upstream {
  readonly id: string
  readonly port: string
}

interface NodeBase {
  /** Unique in its graph, and the same as long as no operator of its kind is added before it. */
  readonly id: string
  /** What it is, for people: `map`, `aggregate`, `join`. */
  readonly kind: string
  readonly inputs: readonly Upstream[]
  /** What else there is to say, for people. */
  readonly detail: string | undefined
  /** Other topics that it sends to. */
  readonly deadLetters: Topic<DeadLetterRecord> | undefined
}

export interface SourceNode extends NodeBase {
  readonly role: 'source'
  readonly topic: Topic<unknown>
  /** Every task reads all of its queues. */
  readonly isGlobal: boolean
  /** Values that are null, and empty bodies, are deletions. */
  readonly hasDeletions: boolean
  /** What happens to bodies that cannot be read; default `skip`. */
  readonly policy: ErrorPolicy | undefined
}

/** Groups records; becomes a topic between two stages where records have to move. */
export interface KeyByNode extends NodeBase {
  readonly role: 'key-by'
  /** Undefined keeps the key that the record has. */
  readonly key: ((value: unknown) => Key) | undefined
  /** Serde of the repartition topic, if one is needed. */
  readonly value: Serde<unknown>
}

export interface OperatorNode extends NodeBase {
  readonly role: 'operator'
  /** Passes values on as they are, so that a key which is a function of the value stays the same. */
  readonly keepsValues: boolean
  /** Its outputs come at the event times of the first input only: the others do not hold it back. */
  readonly isTimedByFirst: boolean
  /** Its inputs must bring each key to the same task. */
  readonly isKeyed: boolean
  /** What its stored state depends on; undefined for operators without state. */
  readonly state: string | undefined
  readonly make: OperatorFactory
}

export interface SinkNode extends NodeBase {
  readonly role: 'sink'
  readonly topic: Topic<unknown>
  /** When consumers shall see it, milliseconds since the epoch. */
  readonly deliverAt: ((value: unknown) => Date | number) | undefined
}

export type StreamNode = SourceNode | KeyByNode | OperatorNode | SinkNode

/** Operators in an order in which each comes after its inputs. */
export type StreamGraph = readonly StreamNode[]

/** Topics that a pipeline reads or writes by name, internal ones left out. */
export function topicsOf(graph: StreamGraph): readonly string[] {
  const names = new Set<string>()
  for (const node of graph) {
    if (node.role === 'source' || node.role === 'sink') names.add(node.topic.name)
    if (node.deadLetters !== undefined) names.add(node.deadLetters.name)
  }
  return [...names]
}
