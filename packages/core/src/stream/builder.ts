import { describeGraph, mermaid, type PipelineDescription } from './describe.js'
import type { ErrorPolicy } from './error-policy.js'
import type { StreamGraph } from './graph.js'
import { GraphBuilder } from './graph-builder.js'
import type { Key } from './key.js'
import { tableOperator } from './operators/table.js'
import { type Sink, Stream } from './stream.js'
import { GlobalTable, Table } from './table.js'
import type { KeyedTopic, Topic } from './topic.js'

/** A pipeline as data: what `describe` shows, the test driver tests and the engine runs. */
export interface Pipeline {
  readonly id: string
  readonly graph: StreamGraph
  describe(): PipelineDescription
  /** The graph as Mermaid flowchart text. */
  mermaid(): string
}

export interface SourceOptions {
  /** What happens to bodies that cannot be read: default `skip`. */
  readonly onError?: ErrorPolicy
}

/** Starts streams and tables from topics. */
export interface Source {
  <T>(topic: Topic<T>, options?: SourceOptions): Stream<T>
  /** The last value of each key of a topic; values that are `null`, and empty bodies, delete. */
  table<T, K extends Key>(
    topic: KeyedTopic<T, K>,
    options?: SourceOptions & { readonly name?: string },
  ): Table<K, NonNullable<T>>
  /** The same, whole in every task: for tables that are small, looked up by keys that the stream is not grouped by. */
  globalTable<T, K extends Key>(topic: KeyedTopic<T, K>, options?: SourceOptions): GlobalTable<K, NonNullable<T>>
}

export interface PipelineDefaults {
  /** What operators do with records that they fail on, where they do not say; default `stop`. */
  readonly onError?: ErrorPolicy
}

type End = Sink | { readonly isTable: true }

/**
 * Builds a pipeline. `id` names its consumer group, its state and its internal topics: keep it, and its state is kept.
 * @throws MillraceError INVALID_ARGUMENT for an id that is no group name, an operator that leads nowhere, or a name used twice.
 */
export function pipeline(
  id: string,
  build: (source: Source) => End | readonly End[],
  defaults: PipelineDefaults = {},
): Pipeline {
  const builder = new GraphBuilder(id, defaults.onError)
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(id))
    throw builder.refused('has an id that is no name; use 1 to 64 of a-z A-Z 0-9 _ -')
  build(sourceOf(builder))
  const graph = builder.finish()
  return { id, graph, describe: () => describeGraph(id, graph), mermaid: () => mermaid(graph) }
}

function sourceOf(builder: GraphBuilder): Source {
  const from = (topic: Topic<never>, use: 'stream' | 'table' | 'global-table', options: SourceOptions = {}) =>
    builder.source(topic as unknown as Topic<unknown>, use, options.onError ?? defaultPolicy(builder))
  const tables = (input: ReturnType<typeof from>, name: string | undefined) =>
    builder.operator('table', [input], tableOperator(), {
      name,
      detail: 'last value',
      isKeyed: true,
      state: 'table of last value',
    })
  const source = <T>(topic: Topic<T>, options?: SourceOptions): Stream<T> =>
    new Stream<T>(builder, from(topic as unknown as Topic<never>, 'stream', options))
  return Object.assign(source, {
    table<T, K extends Key>(topic: KeyedTopic<T, K>, options?: SourceOptions & { readonly name?: string }) {
      const input = from(topic as unknown as Topic<never>, 'table', options)
      return new Table<K, NonNullable<T>>(
        builder,
        tables(input, options?.name),
        upstream => new Stream(builder, upstream),
      )
    },
    globalTable<T, K extends Key>(topic: KeyedTopic<T, K>, options?: SourceOptions) {
      const input = from(topic as unknown as Topic<never>, 'global-table', options)
      return new GlobalTable<K, NonNullable<T>>(input)
    },
  }) as Source
}

/** Bodies that cannot be read stop nothing unless asked; a dead-letter topic for all errors takes them too. */
function defaultPolicy({ defaultPolicy }: GraphBuilder): ErrorPolicy | undefined {
  return typeof defaultPolicy === 'object' ? defaultPolicy : undefined
}
