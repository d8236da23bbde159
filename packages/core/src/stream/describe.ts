import type { StreamGraph, StreamNode } from './graph.js'
import { describeWindow } from './window.js'

/** One operator of a pipeline, as plain data. */
export interface OperatorDescription {
  readonly id: string
  readonly kind: StreamNode['kind']
  /** Id of the operator it reads from; undefined for sources. */
  readonly input: string | undefined
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
      input: node.kind === 'source' ? undefined : node.input,
      topic: node.kind === 'source' || node.kind === 'sink' ? node.topic.name : undefined,
      detail: detailOf(node),
    })),
  }
}

/** Mermaid flowchart text: topics as cylinders, stateful operators as double boxes. */
export function mermaid(graph: StreamGraph): string {
  const lines = ['flowchart LR']
  for (const node of graph) {
    lines.push(`  ${node.id}${shapeOf(node)}`)
    if (node.kind === 'late') lines.push(`  ${node.input} -. late .-> ${node.id}`)
    else if (node.kind !== 'source') lines.push(`  ${node.input} --> ${node.id}`)
  }
  return `${lines.join('\n')}\n`
}

function shapeOf(node: StreamNode): string {
  switch (node.kind) {
    case 'source':
    case 'sink':
      return `[("${node.topic.name}")]`
    case 'aggregate':
      return `[["${node.id}<br/>${detailOf(node)}"]]`
    default:
      return `["${node.id}"]`
  }
}

function detailOf(node: StreamNode): string | undefined {
  if (node.kind !== 'aggregate') return undefined
  const names = Object.entries(node.spec).map(([name, aggregator]) => `${name}: ${aggregator.kind}`)
  return `${describeWindow(node.window)}; ${names.join(', ')}`
}
