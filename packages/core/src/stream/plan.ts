import { MillraceError } from '../errors.js'
import type { KeyByNode, SourceNode, StreamGraph, StreamNode } from './graph.js'
import { describeWindow } from './window.js'

/** A part of a pipeline that runs inside one task: everything between topics. One task per queue of `topic`. */
export interface Stage {
  /** Id of the operator that it starts with. */
  readonly id: string
  readonly topic: string
  readonly queueCount: number
  /** `source` reads values of the user's topic; `repartition` reads what the tasks of `from` sent for the key-by. */
  readonly input:
    | { readonly kind: 'source'; readonly node: SourceNode }
    | { readonly kind: 'repartition'; readonly node: KeyByNode; readonly from: Stage }
  /** The operators after the input, topologically ordered; key-bys that end the stage are included. */
  readonly nodes: readonly StreamNode[]
  readonly idleMs: number
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

/**
 * Splits a graph at the key-bys that must move records between queues. One that need not: its input has a single queue,
 * or its function is the very `key` of the source topic and only filters lie between.
 * A repartition topic that does not exist yet should get as many queues as the stage that feeds it.
 * @param queueCount  number of queues of a topic; undefined when there is no such topic.
 * @throws MillraceError TOPIC_NOT_FOUND for a source
 */
export function planPipeline(
  pipelineId: string,
  graph: StreamGraph,
  queueCount: (topic: string) => number | undefined,
): Plan {
  const stages: (Stage & { nodes: StreamNode[] })[] = []
  const stageOf = new Map<string, Stage & { nodes: StreamNode[] }>()
  const repartitioned = new Set<string>()
  const keyedBySource = new Map<string, SourceNode>()

  for (const node of graph) {
    if (node.kind === 'source') {
      const count = queueCount(node.topic.name)
      if (count === undefined)
        throw new MillraceError(
          'TOPIC_NOT_FOUND',
          `pipeline "${pipelineId}" reads topic "${node.topic.name}", which does not exist; create it first`,
        )
      const stage = {
        id: node.id,
        topic: node.topic.name,
        queueCount: count,
        input: { kind: 'source' as const, node },
        nodes: [],
        idleMs: node.topic.idleMs,
      }
      stages.push(stage)
      stageOf.set(node.id, stage)
      keyedBySource.set(node.id, node)
      continue
    }
    const from = stageOf.get(node.input)!
    from.nodes.push(node)
    stageOf.set(node.id, from)
    const source = keyedBySource.get(node.input)
    if (source !== undefined && (node.kind === 'filter' || node.kind === 'peek')) keyedBySource.set(node.id, source)
    if (node.kind !== 'key-by' || from.queueCount === 1 || node.key === source?.topic.key) continue
    const topic = repartitionTopic(pipelineId, node.id)
    const stage = {
      id: node.id,
      topic,
      queueCount: queueCount(topic) ?? from.queueCount,
      input: { kind: 'repartition' as const, node, from },
      nodes: [],
      idleMs: from.idleMs,
    }
    stages.push(stage)
    stageOf.set(node.id, stage)
    repartitioned.add(node.id)
  }
  return { stages, repartitioned }
}

/**
 * What the state of a stage depends on, a line each: equal lines can go on with the state, others cannot.
 * Functions cannot be compared, and operators without state may come and go.
 */
export function stateTopology(stage: Stage): readonly string[] {
  const aggregates = stage.nodes.filter(node => node.kind === 'aggregate')
  // With another number of queues, keys move between tasks, away from their state.
  const queues = aggregates.length > 0 ? ` with ${stage.queueCount} queues` : ''
  const lines = [`${stage.input.kind} "${stage.topic}"${queues}`]
  for (const node of aggregates) {
    const fields = Object.entries(node.spec).map(([name, aggregator]) => `${name}: ${aggregator.kind}`)
    lines.push(`${node.id} over ${describeWindow({ ...node.window, graceMs: 0 })} of ${fields.join(', ')}`)
  }
  return lines
}

/** @throws MillraceError TOPOLOGY_CHANGED when state made by `stored` cannot go on with `current`. */
export function checkTopology(task: string, stored: readonly string[], current: readonly string[]): void {
  const gone = stored.filter(line => !current.includes(line))
  const added = current.filter(line => !stored.includes(line))
  if (gone.length === 0 && added.length === 0) return
  throw new MillraceError(
    'TOPOLOGY_CHANGED',
    `the state of task "${task}" was made by another topology: it had ${list(gone)}, the pipeline now has ${list(added)}. ` +
      'Give the pipeline a new id, or delete its state directory to begin anew',
    { detail: { gone, added } },
  )
}

function list(lines: readonly string[]): string {
  return lines.length === 0 ? 'nothing more' : lines.map(line => `[${line}]`).join(' ')
}
