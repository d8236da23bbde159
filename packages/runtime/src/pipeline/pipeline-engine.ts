import {
  type ActorRef,
  type ActorSystem,
  assert,
  createActorSystem,
  type Environment,
  type Guarantee,
  type Key,
  MillraceError,
  type Pipeline,
  type Plan,
  planPipeline,
  type QueryableStore,
  queuesOfInput,
  type Stage,
  type StateBackend,
  taskName,
  topicsOf,
} from '@millrace/core'
import { type Observable, Subject } from 'rxjs'
import { pipelineTask, type TaskMessage, type TaskStatus } from './pipeline-task.js'
import type { QueueIndex, TopicReader, TopicWriter } from './topics.js'

export interface EngineOptions {
  readonly commitIntervalMs: number
  readonly inFlightMax: number
  readonly cacheEntriesMax: number
  readonly startAt: 'first' | 'last' | number | undefined
  readonly guarantee: Guarantee
  /** Lets operators with state come and go by name. */
  readonly migrate: boolean
  /** Queues of topics that have to be made. */
  readonly queuesOfNewTopics: number
}

/** The outside of an engine: topics, and a place for the state of each task. */
export interface EnginePorts {
  readonly reader: TopicReader
  readonly writer: TopicWriter
  readonly openState: (task: string) => Promise<StateBackend>
}

/** Sums over the tasks of this process. Counts are since the pipeline was started. */
export interface PipelineMetrics {
  readonly recordsIn: number
  readonly recordsOut: number
  /** Records that came after their window had closed. */
  readonly late: number
  /** Records that could not be read. */
  readonly skipped: number
  /** Event time up to which all tasks' results are complete; undefined until every task has seen an event. */
  readonly watermark: number | undefined
  /** Records in the source and internal topics that no commit covers yet. */
  readonly lag: number
  /** Records read and not processed, plus outputs not acknowledged. */
  readonly inFlight: number
  readonly tasks: readonly Readonly<TaskStatus>[]
}

/** A store of a pipeline, as far as this process holds it. Reads are synchronous and cost a look into LMDB when the entry is not in memory. */
export interface LocalStore<V> {
  /** Undefined too when the key belongs to a task of another process. */
  get(key: Key): V | undefined
  /** At most `limit` (default 1,000) entries of each task, both ends inclusive. */
  range(from?: Key, to?: Key, limit?: number): Iterable<readonly [key: Key, value: V]>
  /** Results so far of the open windows of a key that begin in [from, to], milliseconds since the epoch. */
  fetch(key: Key, from: number, to: number): Iterable<{ readonly start: number; readonly value: V }>
}

/** A pipeline that runs in this process. */
export interface RunningPipeline {
  readonly id: string
  /** Computed anew at each call. */
  metrics(): PipelineMetrics
  /**
   * The part of a store that this process holds, by the name of its operator: what has been processed, committed or not.
   * @throws MillraceError INVALID_ARGUMENT when no operator of that name keeps a store that can be read.
   */
  store<V>(name: string): LocalStore<V>
  /** Records skipped, waits that are tried again, task failures. Nothing is kept for late subscribers. */
  readonly errors: Observable<Error>
  /** Finishes what was read into the tasks, commits, leaves the group. Resolves when all is closed. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface RunningTask {
  readonly stage: Stage
  readonly queue: number
  /** Read by queries; new after each restart. */
  stores: ReadonlyMap<string, QueryableStore>
  readonly ref: ActorRef<TaskMessage>
  readonly status: TaskStatus
  /** Ends the wait for its start. */
  readonly refuse: (error: Error) => void
}

/** How long tasks may take to have their last outputs acknowledged and committed. */
const STOP_DEADLINE_MS = 10_000

/** Runs the tasks of one pipeline for the queues that are this process's. */
export class PipelineEngine implements RunningPipeline {
  readonly id: string
  readonly errors: Observable<Error>
  readonly #pipeline: Pipeline
  readonly #ports: EnginePorts
  readonly #options: EngineOptions
  readonly #system: ActorSystem
  readonly #errors = new Subject<Error>()
  readonly #queueCounts = new Map<string, number>()
  /** By name. */
  readonly #tasks = new Map<string, RunningTask>()
  /** Queues that are this process's. */
  readonly #held = new Set<string>()
  #plan: Plan = { stages: [], repartitioned: new Set() }
  #stopped: Promise<void> | undefined
  /** Why a task could not be started. */
  #refusal: Error | undefined

  constructor(pipeline: Pipeline, ports: EnginePorts, environment: Environment, options: EngineOptions) {
    this.id = pipeline.id
    this.errors = this.#errors.asObservable()
    this.#pipeline = pipeline
    this.#ports = ports
    this.#options = options
    this.#system = createActorSystem(`pipeline-${pipeline.id}`, environment)
    this.#system.failures.subscribe(({ path, error, action }) => {
      const failure = error instanceof Error ? error : new Error(String(error))
      this.report(failure)
      const task = [...this.#tasks.values()].find(({ ref }) => ref.path === path)
      if (task === undefined || action !== 'stop') return
      task.status.state = 'failed'
      task.refuse(failure)
    })
  }

  /**
   * Resolves when the tasks of the first queues run.
   * @throws MillraceError TOPOLOGY_CHANGED, TOPIC_NOT_FOUND, or what the ports throw. Nothing runs then.
   */
  async start(): Promise<void> {
    try {
      await this.#prepareTopics()
      const topics = this.#plan.stages.flatMap(stage => stage.inputs.map(input => input.topic))
      await this.#ports.reader.join(this.id, topics, {
        assigned: queues => this.#assigned(queues),
        revoked: queues => this.#revoked(queues),
      })
      if (this.#refusal !== undefined) throw this.#refusal
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  metrics(): PipelineMetrics {
    const tasks = [...this.#tasks.values()].map(({ status }) => status)
    const sum = (count: (task: TaskStatus) => number): number => tasks.reduce((total, task) => total + count(task), 0)
    const watermark = Math.min(...tasks.map(task => task.watermark))
    return {
      recordsIn: sum(task => task.recordsIn),
      recordsOut: sum(task => task.recordsOut),
      late: sum(task => task.late),
      skipped: sum(task => task.skipped),
      watermark: Number.isFinite(watermark) ? watermark : undefined,
      lag: sum(task => task.lag),
      inFlight: sum(task => task.inFlight),
      tasks: tasks.map(task => ({ ...task })),
    }
  }

  store<V>(name: string): LocalStore<V> {
    const node = this.#pipeline.graph.find(({ id }) => id === name)
    if (node?.role !== 'operator' || node.state === undefined)
      throw new MillraceError('INVALID_ARGUMENT', `pipeline "${this.id}" has no operator "${name}" with a store`)
    const stores = function* (tasks: Iterable<RunningTask>): Generator<QueryableStore> {
      for (const task of tasks) {
        const store = task.status.state === 'running' ? task.stores.get(name) : undefined
        if (store !== undefined) yield store
      }
    }
    const tasks = this.#tasks
    return {
      get(key) {
        for (const store of stores(tasks.values())) {
          const value = store.get(key)
          if (value !== undefined) return value as V
        }
        return undefined
      },
      *range(from, to, limit = 1_000) {
        for (const store of stores(tasks.values())) yield* store.range(from, to, limit) as Iterable<readonly [Key, V]>
      },
      *fetch(key, from, to) {
        for (const store of stores(tasks.values()))
          yield* store.fetch(key, from, to) as Iterable<{ readonly start: number; readonly value: V }>
      },
    }
  }

  /** Tells `errors`. */
  report(error: Error): void {
    this.#errors.next(error)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    // Leaving revokes the queues, which stops their tasks.
    await this.#ports.reader.leave().catch((error: Error) => this.report(error))
    await this.#system.stop()
    this.#errors.complete()
  }

  /** Makes the topics that are missing and learns their queues, then plans for good. */
  async #prepareTopics(): Promise<void> {
    const { id, graph } = this.#pipeline
    for (const topic of topicsOf(graph)) await this.#ensureTopic(topic, this.#options.queuesOfNewTopics)
    const count = (topic: string): number | undefined => this.#queueCounts.get(topic)
    for (const { inputs } of planPipeline(id, graph, count).stages)
      for (const { from, topic, queueCount } of inputs)
        if (from.kind === 'repartition') await this.#ensureTopic(topic, queueCount)
    this.#plan = planPipeline(id, graph, count)
  }

  async #ensureTopic(topic: string, queues: number): Promise<void> {
    if (this.#queueCounts.has(topic)) return
    const { writer } = this.#ports
    let count = await writer.queueCount(topic)
    if (count === undefined) {
      await writer.createTopic(topic, queues)
      count = await writer.queueCount(topic)
    }
    if (count === undefined || count === 0)
      throw new MillraceError(
        'TOPIC_NOT_FOUND',
        `topic "${topic}" has no queues that can be read; check its permission`,
      )
    this.#queueCounts.set(topic, count)
  }

  /**
   * Starts the tasks whose queues are all here, those that read what others send first: they note the end of their topics before anything
   * is sent.
   */
  async #assigned(queues: readonly QueueIndex[]): Promise<void> {
    for (const { topic, queue } of queues) this.#held.add(`${topic}/${queue}`)
    for (const stage of [...this.#plan.stages].reverse())
      for (let queue = 0; queue < stage.queueCount; queue++) {
        if (this.#stopped !== undefined || this.#refusal !== undefined) return
        if (this.#tasks.has(taskName(stage, queue)) || !this.#holdsAll(stage, queue)) continue
        await this.#startTask(stage, queue).catch((error: Error) => {
          this.#refusal = error
          this.report(error)
        })
      }
  }

  #holdsAll(stage: Stage, queue: number): boolean {
    const own = stage.inputs.filter(({ from }) => from.kind === 'repartition' || !from.node.isGlobal)
    return own.every(input => queuesOfInput(input, queue).every(index => this.#held.has(`${input.topic}/${index}`)))
  }

  #startTask(stage: Stage, queue: number): Promise<void> {
    const name = taskName(stage, queue)
    const status = newStatus(name, stage.inputs[0]!.topic, queue)
    const { reader, writer, openState } = this.#ports
    return new Promise((resolve, reject) => {
      const task: RunningTask = {
        stage,
        queue,
        status,
        refuse: reject,
        stores: new Map(),
        ref: this.#system.spawn(
          name,
          pipelineTask({
            ...this.#options,
            pipelineId: this.id,
            plan: this.#plan,
            stage,
            queue,
            reader,
            writer,
            openState: () => openState(name),
            queueCount: sink => {
              const count = this.#queueCounts.get(sink)
              assert(count !== undefined, 'the queues of every topic are known', { sink })
              return count
            },
            status,
            onStarted: stores => {
              task.stores = stores
              resolve()
            },
            onRefused: reject,
            onError: error => this.report(error),
          }),
        ),
      }
      this.#tasks.set(name, task)
    })
  }

  /** Stops the tasks of queues that are gone, sources first, so that what they sent is read on by the others for as long as may be. */
  async #revoked(queues: readonly QueueIndex[]): Promise<void> {
    for (const { topic, queue } of queues) this.#held.delete(`${topic}/${queue}`)
    const stopped = [...this.#tasks].filter(([, { stage, queue }]) => !this.#holdsAll(stage, queue))
    await Promise.all(
      stopped.map(async ([name, { ref }]) => {
        await ref
          .ask<void>(reply => ({ kind: 'stop', reply }), STOP_DEADLINE_MS)
          .catch((error: Error) => this.report(error))
        this.#tasks.delete(name)
      }),
    )
  }
}

function newStatus(name: string, topic: string, queue: number): TaskStatus {
  return {
    name,
    topic,
    queue,
    state: 'starting',
    recordsIn: 0,
    recordsOut: 0,
    late: 0,
    skipped: 0,
    duplicates: 0,
    commits: 0,
    restarts: 0,
    watermark: Number.NEGATIVE_INFINITY,
    lag: 0,
    inFlight: 0,
  }
}
