import { MillraceError } from '../errors.js'
import { deadLettersOf, type ErrorPolicy } from './error-policy.js'
import type { KeyByNode, OperatorNode, SinkNode, SourceNode, StreamGraph, StreamNode, Upstream } from './graph.js'
import type { Key } from './key.js'
import type { OperatorFactory } from './operators/operator.js'
import { msgpack, type Serde } from './serde.js'
import type { Topic } from './topic.js'

/** What there is to say about an operator beside what it does. */
export interface OperatorParts {
  readonly name?: string | undefined
  readonly detail?: string
  readonly keepsValues?: boolean
  readonly isKeyed?: boolean
  readonly isTimedByFirst?: boolean
  /** What its state depends on. */
  readonly state?: string
  readonly onError?: ErrorPolicy | undefined
}

/** Collects the operators of one pipeline. */
export class GraphBuilder {
  readonly pipelineId: string
  readonly defaultPolicy: ErrorPolicy | undefined
  readonly #nodes: StreamNode[] = []
  readonly #counts = new Map<string, number>()

  constructor(pipelineId: string, defaultPolicy: ErrorPolicy | undefined) {
    this.pipelineId = pipelineId
    this.defaultPolicy = defaultPolicy
  }

  source(topic: Topic<unknown>, use: 'stream' | 'table' | 'global-table', policy: ErrorPolicy | undefined): Upstream {
    for (const node of this.#nodes)
      if (node.role === 'source' && node.topic.name === topic.name) {
        if (node.topic !== topic) throw this.refused(`reads topic "${topic.name}" by two definitions; share one`)
        if (node.kind === (use === 'global-table' ? use : 'source') && node.hasDeletions === (use !== 'stream'))
          return out(node.id)
        throw this.refused(
          `reads topic "${topic.name}" both as a stream and as a table; make the table from the stream: keyBy(…).toTable()`,
        )
      }
    const node: SourceNode = {
      role: 'source',
      id: this.#id('source', undefined),
      kind: use === 'global-table' ? use : 'source',
      inputs: [],
      detail: undefined,
      deadLetters: deadLettersOf(policy),
      topic,
      isGlobal: use === 'global-table',
      hasDeletions: use !== 'stream',
      policy,
    }
    return this.#add(node)
  }

  operator(kind: string, inputs: readonly Upstream[], make: OperatorFactory, parts: OperatorParts = {}): Upstream {
    const policy = parts.onError ?? this.defaultPolicy
    const node: OperatorNode = {
      role: 'operator',
      id: this.#id(kind, parts.name),
      kind,
      inputs,
      detail: parts.detail,
      deadLetters: deadLettersOf(policy),
      keepsValues: parts.keepsValues ?? false,
      isKeyed: parts.isKeyed ?? false,
      isTimedByFirst: parts.isTimedByFirst ?? false,
      state: parts.state,
      make,
    }
    return this.#add(node)
  }

  keyBy(
    input: Upstream,
    key: (value: unknown) => Key,
    options: { readonly name?: string | undefined; readonly value?: Serde<unknown> | undefined } = {},
  ): Upstream {
    const node: KeyByNode = {
      role: 'key-by',
      id: this.#id('key-by', options.name),
      kind: 'key-by',
      inputs: [input],
      detail: undefined,
      deadLetters: undefined,
      key,
      value: options.value ?? msgpack<unknown>(),
    }
    return this.#add(node)
  }

  sink(input: Upstream, topic: Topic<unknown>, deliverAt: SinkNode['deliverAt']): SinkNode {
    const node: SinkNode = {
      role: 'sink',
      id: this.#id('sink', undefined),
      kind: 'sink',
      inputs: [input],
      detail: deliverAt === undefined ? undefined : 'delayed',
      deadLetters: undefined,
      topic,
      deliverAt,
    }
    this.#add(node)
    return node
  }

  finish(): StreamGraph {
    const read = new Set(this.#nodes.flatMap(node => node.inputs.map(input => input.id)))
    for (const node of this.#nodes) {
      const isEnd = node.role === 'sink' || (node.role === 'operator' && (node.kind === 'for-each' || isQueried(node)))
      if (!isEnd && !read.has(node.id))
        throw this.refused(`has operator "${node.id}", which leads nowhere; end it with .to(topic) or remove it`)
    }
    if (this.#nodes.length === 0) throw this.refused('is empty; start it with source(topic)')
    return this.#nodes
  }

  refused(what: string): MillraceError {
    return new MillraceError('INVALID_ARGUMENT', `pipeline "${this.pipelineId}" ${what}`)
  }

  #id(kind: string, name: string | undefined): string {
    if (name !== undefined) {
      if (!/^[a-zA-Z0-9_-]{1,32}$/.test(name))
        throw this.refused(`names an operator "${name}"; use 1 to 32 of a-z A-Z 0-9 _ -`)
      return name
    }
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    return `${kind}-${count}`
  }

  #add(node: StreamNode): Upstream {
    if (this.#nodes.some(other => other.id === node.id))
      throw this.refused(`has two operators named "${node.id}"; rename one`)
    this.#nodes.push(node)
    return out(node.id)
  }
}

/** A table may end a pipeline: it is there to be asked. */
function isQueried(node: OperatorNode): boolean {
  return node.state !== undefined && !/^(key-by|distinct|async-map)$/.test(node.kind)
}

function out(id: string): Upstream {
  return { id, port: 'out' }
}
