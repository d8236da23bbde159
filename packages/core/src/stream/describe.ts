import type { StreamGraph, StreamNode } from './graph.js'

/** One operator of a pipeline, as plain data. */
export interface OperatorDescription {
  readonly id: string
  readonly kind: string
  /** Ids of the operators it reads from; `id:port` for an output other than the main one. */
  readonly inputs: readonly string[]
  /** Topic of a source or sink. */
  readonly topic: string | undefined
  /** What else there is to say, for people: window, aggregates. */
  readonly detail: string | undefined
}

/** A pipeline's graph as plain data, in topological order. */
export interface PipelineDescription {
  readonly id: string
  readonly operators: readonly OperatorDescription[]
}

export function describeGraph(id: string, graph: StreamGraph): PipelineDescription {
  return {
    id,
    operators: graph.map(node => ({
      id: node.id,
      kind: node.kind,
      inputs: node.inputs.map(({ id: input, port }) => (port === 'out' ? input : `${input}:${port}`)),
      topic: node.role === 'source' || node.role === 'sink' ? node.topic.name : undefined,
      detail: node.detail,
    })),
  }
}

/** Mermaid flowchart text: topics as cylinders, stateful operators as double boxes, side outputs as dotted arrows. */
export function mermaid(graph: StreamGraph): string {
  const lines = ['flowchart LR']
  for (const node of graph) {
    lines.push(`  ${node.id}${shapeOf(node)}`)
    for (const { id, port } of node.inputs)
      lines.push(port === 'out' ? `  ${id} --> ${node.id}` : `  ${id} -. ${port} .-> ${node.id}`)
  }
  return `${lines.join('\n')}\n`
}

function shapeOf(node: StreamNode): string {
  if (node.role === 'source' || node.role === 'sink') return `[("${node.topic.name}")]`
  if (node.role === 'operator' && node.state !== undefined) return `[["${node.id}<br/>${node.detail ?? node.kind}"]]`
  return `["${node.id}"]`
}
