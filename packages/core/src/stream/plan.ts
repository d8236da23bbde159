import { MillraceError } from '../errors.js'
import type { KeyByNode, OperatorNode, SourceNode, StreamGraph, StreamNode, Upstream } from './graph.js'
import type { Key } from './key.js'
import { msgpack } from './serde.js'

/** What a stage reads: the user's topic, or what the tasks of other stages sent for a key-by. */
export interface StageInput {
  /** Id of the source or key-by. */
  readonly id: string
  readonly topic: string
  readonly queueCount: number
  readonly idleMs: number
  readonly from:
    | { readonly kind: 'source'; readonly node: SourceNode }
    | { readonly kind: 'repartition'; readonly node: KeyByNode; readonly senders: number }
}

/**
 * A part of a pipeline that runs inside one task: everything between topics. Task `i` reads queue `i` of each input that
 * has so many, and all queues of global ones.
 */
export interface Stage {
  /** Id of its first input. */
  readonly id: string
  readonly queueCount: number
  readonly inputs: readonly StageInput[]
  /** The operators behind the inputs, topologically ordered; key-bys that end the stage are included. */
  readonly nodes: readonly StreamNode[]
}

/** How a pipeline is laid over topics and tasks. */
export interface Plan {
  readonly stages: readonly Stage[]
  /** Ids of the key-bys that go through a topic. */
  readonly repartitioned: ReadonlySet<string>
}

/** Name of the internal topic of a key-by. */
export function repartitionTopic(pipelineId: string, keyBy: string): string {
  return `${pipelineId}-${keyBy}-repartition`
}

/** Stages that turned out to be one. */
interface Region {
  merged: Region | undefined
  readonly inputs: StageInput[]
  readonly nodes: StreamNode[]
  queueCount: number
}

/**
 * Splits a graph at the key-bys that must move records between queues. One that need not: its input has a single queue,
 * or its function is the very `key` of the source topic and only filters lie between. What is merged or joined runs in one task; the
 * sides of a join whose numbers of queues differ are moved to equal ones.
 * A repartition topic that does not exist yet should get as many queues as the stage that feeds it.
 * @param queueCount  number of queues of a topic; undefined when there is no such topic.
 * @throws MillraceError TOPIC_NOT_FOUND for a source
 */
export function planPipeline(
  pipelineId: string,
  graph: StreamGraph,
  queueCount: (topic: string) => number | undefined,
): Plan {
  return new Planner(pipelineId, queueCount).plan(graph)
}

class Planner {
  readonly #pipelineId: string
  readonly #queueCount: (topic: string) => number | undefined
  readonly #regions: Region[] = []
  readonly #regionOf = new Map<string, Region>()
  readonly #keyedBySource = new Map<string, (value: never) => Key>()
  readonly #repartitioned = new Set<string>()

  constructor(pipelineId: string, queueCount: (topic: string) => number | undefined) {
    this.#pipelineId = pipelineId
    this.#queueCount = queueCount
  }

  plan(graph: StreamGraph): Plan {
    for (const node of graph) {
      if (node.role === 'source') {
        if (!node.isGlobal) this.#source(node)
      } else this.#place(node, graph)
    }
    const stages: Stage[] = []
    for (const region of this.#regions) {
      if (region.merged !== undefined) continue
      const { inputs, nodes, queueCount } = region
      stages.push({ id: inputs[0]!.id, inputs, nodes, queueCount })
    }
    return { stages, repartitioned: this.#repartitioned }
  }

  #source(node: SourceNode): void {
    const input = this.#sourceInput(node)
    this.#open(node.id, { merged: undefined, inputs: [input], nodes: [], queueCount: input.queueCount })
    if (node.topic.key !== undefined) this.#keyedBySource.set(`${node.id}:out`, node.topic.key as (value: never) => Key)
  }

  #sourceInput(node: SourceNode): StageInput {
    const { topic } = node
    const count = this.#queueCount(topic.name)
    if (count === undefined)
      throw new MillraceError(
        'TOPIC_NOT_FOUND',
        `pipeline "${this.#pipelineId}" reads topic "${topic.name}", which does not exist; create it first`,
      )
    return { id: node.id, topic: topic.name, queueCount: count, idleMs: topic.idleMs, from: { kind: 'source', node } }
  }

  #place(original: Exclude<StreamNode, SourceNode>, graph: StreamGraph): void {
    let node = original
    if (node.role === 'operator' && node.isKeyed && node.inputs.length > 1) node = this.#copartition(node, graph)
    const regions = node.inputs.filter(input => !isGlobal(graph, input.id)).map(input => this.#find(input.id))
    const region = regions.reduce((one, other) => this.#merge(one, other))
    for (const input of node.inputs) {
      const global = graph.find(other => other.id === input.id && other.role === 'source' && other.isGlobal)
      if (global?.role !== 'source' || region.inputs.some(({ id }) => id === global.id)) continue
      region.inputs.push(this.#sourceInput(global))
    }
    region.nodes.push(node)
    this.#regionOf.set(node.id, region)
    const [input] = node.inputs
    const key = this.#keyedBySource.get(`${input!.id}:${input!.port}`)
    if (key !== undefined && node.role === 'operator' && node.keepsValues && node.inputs.length === 1)
      for (const port of portsOf(graph, node.id)) this.#keyedBySource.set(`${node.id}:${port}`, key)
    if (node.role !== 'key-by' || region.queueCount === 1) return
    if (node.key !== undefined && node.key === key) return
    // Keys that a table's rows have already: they are where they belong.
    if (node.key === undefined) return
    this.#exchange(node, region, this.#queueCount(repartitionTopic(this.#pipelineId, node.id)) ?? region.queueCount)
  }

  /** Ends `from` at a key-by, and begins a stage behind it. */
  #exchange(node: KeyByNode, from: Region, queueCount: number): void {
    const topic = repartitionTopic(this.#pipelineId, node.id)
    const idleMs = Math.max(...from.inputs.map(input => input.idleMs))
    const input: StageInput = {
      id: node.id,
      topic,
      queueCount,
      idleMs,
      from: { kind: 'repartition', node, senders: from.queueCount },
    }
    this.#repartitioned.add(node.id)
    this.#open(node.id, { merged: undefined, inputs: [input], nodes: [], queueCount })
  }

  /** Moves the sides of a join that do not have as many queues as the widest. */
  #copartition(node: OperatorNode, graph: StreamGraph): OperatorNode {
    const sides = node.inputs.map(input => (isGlobal(graph, input.id) ? undefined : this.#find(input.id)))
    const counts = sides.map(side => side?.queueCount ?? 0)
    const widest = Math.max(...counts)
    if (counts.every(count => count === 0 || count === widest)) return node
    const inputs = node.inputs.map((input, side): Upstream => {
      const region = sides[side]
      if (region === undefined || region.queueCount === widest) return input
      const id = `${node.id}-${side === 0 ? 'left' : 'right'}`
      const keyBy: KeyByNode = {
        role: 'key-by',
        id,
        kind: 'key-by',
        inputs: [input],
        detail: undefined,
        deadLetters: undefined,
        key: undefined,
        value: msgpack<unknown>(),
      }
      region.nodes.push(keyBy)
      this.#exchange(keyBy, region, widest)
      return { id, port: 'out' }
    })
    return { ...node, inputs }
  }

  #open(id: string, region: Region): void {
    this.#regions.push(region)
    this.#regionOf.set(id, region)
  }

  #find(id: string): Region {
    let region = this.#regionOf.get(id)!
    while (region.merged !== undefined) region = region.merged
    return region
  }

  #merge(one: Region, other: Region): Region {
    if (one === other) return one
    const [kept, gone] = this.#regions.indexOf(one) < this.#regions.indexOf(other) ? [one, other] : [other, one]
    gone.merged = kept
    kept.inputs.push(...gone.inputs)
    kept.nodes.push(...gone.nodes)
    kept.queueCount = Math.max(kept.queueCount, gone.queueCount)
    return kept
  }
}

function isGlobal(graph: StreamGraph, id: string): boolean {
  return graph.some(node => node.id === id && node.role === 'source' && node.isGlobal)
}

/** Output ports of an operator that are read. */
function portsOf(graph: StreamGraph, id: string): ReadonlySet<string> {
  const ports = new Set<string>(['out'])
  for (const node of graph) for (const input of node.inputs) if (input.id === id) ports.add(input.port)
  return ports
}

/** Queues of an input that task `queue` reads. */
export function queuesOfInput(input: StageInput, queue: number): readonly number[] {
  if (input.from.kind === 'source' && input.from.node.isGlobal)
    return Array.from({ length: input.queueCount }, (_, index) => index)
  return queue < input.queueCount ? [queue] : []
}

/** What state depends on, by the operator or input that it belongs to. Functions cannot be compared. */
export type StateTopology = Readonly<Record<string, string>>

/**
 * What the state of a stage depends on: an operator whose line is the same can go on with its state. Operators without state may come
 * and go.
 */
export function stateTopology(stage: Stage): StateTopology {
  const topology: Record<string, string> = {}
  for (const node of stage.nodes)
    if (node.role === 'operator' && node.state !== undefined) topology[node.id] = node.state
  // With another number of queues, keys move between tasks, away from their state.
  const queues = Object.keys(topology).length > 0 ? ` with ${stage.queueCount} queues` : ''
  for (const input of stage.inputs) topology[input.id] = `${input.from.kind} "${input.topic}"${queues}`
  return topology
}

/**
 * Compares what state was made by with what would use it.
 * @returns ids whose state is to be deleted: none unless `migrate`, which lets operators go and come by name.
 * @throws MillraceError TOPOLOGY_CHANGED when the state cannot go on.
 */
export function checkTopology(
  task: string,
  stored: StateTopology,
  current: StateTopology,
  migrate: boolean,
): readonly string[] {
  const gone = Object.keys(stored).filter(id => current[id] === undefined)
  const added = Object.keys(current).filter(id => stored[id] === undefined)
  const changed = Object.keys(stored).filter(id => current[id] !== undefined && current[id] !== stored[id])
  if (changed.length === 0 && (migrate || (gone.length === 0 && added.length === 0))) return gone
  const had = list([...gone, ...changed], stored)
  const has = list([...added, ...changed], current)
  const advice =
    changed.length === 0
      ? 'Run it with migrate: true to drop the state of what is gone and begin what is new empty; '
      : 'Give the changed operators new names, '
  throw new MillraceError(
    'TOPOLOGY_CHANGED',
    `the state of task "${task}" was made by another topology: it had ${had}, the pipeline now has ${has}. ` +
      `${advice}or give the pipeline a new id, or delete its state directory to begin anew`,
    { detail: { gone, added, changed } },
  )
}

function list(ids: readonly string[], topology: StateTopology): string {
  return ids.length === 0 ? 'nothing more' : ids.map(id => `[${id}: ${topology[id]}]`).join(' ')
}
