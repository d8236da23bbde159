import {
  type ActorRef,
  type ActorSystem,
  assert,
  createActorSystem,
  type Environment,
  MillraceError,
  type Pipeline,
  type Plan,
  planPipeline,
  type StateBackend,
  taskName,
} from '@millrace/core'
import { type Observable, Subject } from 'rxjs'
import { pipelineTask, type TaskMessage, type TaskStatus } from './pipeline-task.js'
import type { QueueIndex, TopicReader, TopicWriter } from './topics.js'

export interface EngineOptions {
  readonly commitIntervalMs: number
  readonly inFlightMax: number
  readonly cacheEntriesMax: number
  readonly startAt: 'first' | 'last'
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

/** A pipeline that runs in this process. */
export interface RunningPipeline {
  readonly id: string
  /** Computed anew at each call. */
  metrics(): PipelineMetrics
  /** Records skipped, waits that are tried again, task failures. Nothing is kept for late subscribers. */
  readonly errors: Observable<Error>
  /** Finishes what was read into the tasks, commits, leaves the group. Resolves when all is closed. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface RunningTask {
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
  readonly #tasks = new Map<string, RunningTask>()
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
      const topics = this.#plan.stages.map(stage => stage.topic)
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
    for (const node of graph)
      if (node.kind === 'source' || node.kind === 'sink')
        await this.#ensureTopic(node.topic.name, this.#options.queuesOfNewTopics)
    const count = (topic: string): number | undefined => this.#queueCounts.get(topic)
    for (const stage of planPipeline(id, graph, count).stages)
      if (stage.input.kind === 'repartition') await this.#ensureTopic(stage.topic, stage.queueCount)
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

  /** Starts tasks, those that read what others send first: they note the end of their topics before anything is sent. */
  async #assigned(queues: readonly QueueIndex[]): Promise<void> {
    const started: { queue: QueueIndex; place: number }[] = queues.map(queue => ({
      queue,
      place: this.#plan.stages.findIndex(stage => stage.topic === queue.topic),
    }))
    started.sort((a, b) => b.place - a.place)
    for (const { queue } of started) {
      if (this.#stopped !== undefined || this.#refusal !== undefined) return
      await this.#startTask(queue).catch((error: Error) => {
        this.#refusal = error
        this.report(error)
      })
    }
  }

  #startTask({ topic, queue }: QueueIndex): Promise<void> {
    const stage = this.#plan.stages.find(other => other.topic === topic)
    assert(stage !== undefined, 'the topic is in the plan', { topic })
    const name = taskName(stage, queue)
    const status = newStatus(name, topic, queue)
    const { reader, writer, openState } = this.#ports
    return new Promise((resolve, reject) => {
      const behavior = pipelineTask({
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
        onStarted: resolve,
        onRefused: reject,
        onError: error => this.report(error),
      })
      this.#tasks.set(`${topic}/${queue}`, { ref: this.#system.spawn(name, behavior), status, refuse: reject })
    })
  }

  /** Stops tasks, sources first, so that what they sent is read on by the others for as long as may be. */
  async #revoked(queues: readonly QueueIndex[]): Promise<void> {
    await Promise.all(
      queues.map(async ({ topic, queue }) => {
        const name = `${topic}/${queue}`
        const task = this.#tasks.get(name)
        if (task === undefined) return
        await task.ref
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
