import { assert } from '../assert.js'
import { MillraceError } from '../errors.js'
import type { Pipeline } from './builder.js'
import { type Duration, durationMs } from './duration.js'
import { type Key, queueOfKey } from './key.js'
import { type Plan, planPipeline } from './plan.js'
import type { InputRecord, OutputRecord } from './record.js'
import { MemoryState } from './state.js'
import { type TaskCounters, TaskProgram } from './task-program.js'
import type { Topic } from './topic.js'

export interface TestPipelineOptions {
  /** Queues of each source topic: one number for all, or by topic name. Default 1. */
  readonly queues?: number | Readonly<Record<string, number>>
  /** How far apart commits are in virtual time; default 100 ms. */
  readonly commitInterval?: Duration
  /** Entries of each store kept in memory; default 10,000. Small numbers exercise the store behind it. */
  readonly cacheEntriesMax?: number
  /** Outputs that a task makes before they are sent; default 1,000. */
  readonly outputsMax?: number
}

/** A record as the driver read it from an output topic. */
export interface TestRecord<T> {
  readonly value: T
  readonly key: string | undefined
  /** Event time, milliseconds. */
  readonly timestamp: number
  /** Which task made it, and its number there: the same pair twice is a duplicate that a restart made. */
  readonly task: string
  readonly sequence: number
}

interface Task {
  program: TaskProgram
  readonly state: MemoryState
  readonly make: () => TaskProgram
  readonly records: InputRecord[]
}

/**
 * Runs a pipeline in this process: synchronous, no sockets, time moves only by `advance`.
 * Records are processed as soon as they are sent; commits happen each commit interval of virtual time, and in `read`.
 */
export class PipelineDriver {
  readonly #pipeline: Pipeline
  readonly #options: TestPipelineOptions
  readonly #outputsMax: number
  readonly #plan: Plan
  readonly #tasks: Task[] = []
  /** Tasks by topic and queue. */
  readonly #readers = new Map<string, readonly Task[]>()
  readonly #sent = new Map<string, TestRecord<Uint8Array>[]>()
  readonly #errors: MillraceError[] = []
  #now = 0

  constructor(pipeline: Pipeline, options: TestPipelineOptions) {
    this.#pipeline = pipeline
    this.#options = options
    this.#outputsMax = options.outputsMax ?? 1_000
    const sources = new Set(pipeline.graph.map(node => (node.kind === 'source' ? node.topic.name : undefined)))
    this.#plan = planPipeline(pipeline.id, pipeline.graph, name =>
      sources.has(name) ? this.#queueCount(name) : undefined,
    )
    for (const stage of this.#plan.stages) {
      const tasks = Array.from({ length: stage.queueCount }, (_, queue) => this.#task(stage, queue))
      this.#readers.set(stage.topic, tasks)
      this.#tasks.push(...tasks)
    }
  }

  /** Puts a value into a source topic and processes it. Without `queue`: that of the key, or queue 0 without a key. */
  send<T>(
    topic: Topic<T>,
    value: T,
    options: { readonly timestamp?: number; readonly key?: Key; readonly queue?: number } = {},
  ): void {
    const key = options.key ?? topic.key?.(value)
    this.sendBytes(topic, topic.value.serialize(value), { ...options, ...(key === undefined ? {} : { key }) })
  }

  /** Puts any body into a source topic, also one that its serde cannot read. */
  sendBytes<T>(
    topic: Topic<T>,
    body: Uint8Array,
    options: { readonly timestamp?: number; readonly key?: Key; readonly queue?: number } = {},
  ): void {
    const { key } = options
    const tasks = this.#readers.get(topic.name)
    if (tasks === undefined)
      throw new MillraceError(
        'TOPIC_NOT_FOUND',
        `pipeline "${this.#pipeline.id}" does not read topic "${topic.name}"; send to one of its sources`,
      )
    const queue = options.queue ?? (key === undefined ? 0 : queueOfKey(key, tasks.length))
    const { records } = tasks[queue]!
    const written = key === undefined ? undefined : String(key)
    records.push({ offset: records.length, body, key: written, timestamp: options.timestamp ?? this.#now })
    this.#run()
  }

  /** Moves virtual time on: commits fall due, inputs without records become idle. */
  advance(duration: Duration): void {
    const target = this.#now + durationMs(duration)
    const interval = Math.max(1, durationMs(this.#options.commitInterval ?? '100 ms'))
    while (this.#now < target) {
      this.#now = Math.min(target, this.#now + interval)
      for (const task of this.#tasks)
        while (!task.program.quiet(this.#now, this.#outputsMax)) {
          this.#deliver(task.program)
          if (task.program.isCommitDue) this.#commitTask(task)
        }
      this.commit()
    }
  }

  /** Commits every task now. */
  commit(): void {
    this.#run()
    for (const task of this.#tasks) {
      task.program.announceWatermark()
      this.#commitTask(task)
    }
    this.#run()
  }

  /** Commits, and takes what has arrived in an output topic since the last `read`, duplicates included. */
  read<T>(topic: Topic<T>): TestRecord<T>[] {
    this.commit()
    const sent = this.#sent.get(topic.name) ?? []
    this.#sent.delete(topic.name)
    return sent.map(record => ({ ...record, value: topic.value.deserialize(record.value) }))
  }

  /**
   * Kills every task and starts it again over what it had committed. Outputs made since then have been sent already and are
   * sent again, so that output topics hold duplicates; states and results do not.
   */
  crash(): void {
    for (const task of this.#tasks) {
      task.program.close()
      task.program = task.make()
    }
    this.#run()
  }

  /** Errors so far of records that were skipped. */
  get errors(): readonly MillraceError[] {
    return this.#errors
  }

  /** Sums over all tasks since the last crash. */
  get counters(): Readonly<TaskCounters> {
    const total: TaskCounters = { recordsIn: 0, recordsOut: 0, late: 0, skipped: 0, duplicates: 0 }
    for (const { program } of this.#tasks)
      for (const name of Object.keys(total) as (keyof TaskCounters)[]) total[name] += program.counters[name]
    return total
  }

  /** Internal topics that the pipeline needs with this number of queues. */
  get repartitionTopics(): readonly string[] {
    return this.#plan.stages.filter(stage => stage.input.kind === 'repartition').map(stage => stage.topic)
  }

  #task(stage: Plan['stages'][number], queue: number): Task {
    const state = new MemoryState()
    const make = (): TaskProgram =>
      new TaskProgram({
        pipelineId: this.#pipeline.id,
        plan: this.#plan,
        stage,
        queue,
        state,
        queueCount: topic => this.#readers.get(topic)?.length ?? this.#queueCount(topic),
        cacheEntriesMax: this.#options.cacheEntriesMax ?? 10_000,
        now: this.#now,
        onSkipped: error => this.#errors.push(error),
      })
    return { program: make(), state, make, records: [] }
  }

  /** Processes until no task has anything to read. */
  #run(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const task of this.#tasks) {
        while ((task.program.offset ?? 0) < task.records.length) {
          const pending = task.records.slice(task.program.offset ?? 0)
          task.program.process(pending, 0, this.#now, this.#outputsMax)
          this.#deliver(task.program)
          if (task.program.isCommitDue) this.#commitTask(task)
          isBusy = true
        }
        if (task.program.outputCount > 0) this.#deliver(task.program)
      }
    }
  }

  #commitTask(task: Task): void {
    this.#deliver(task.program)
    if (!task.program.hasProgress) return
    task.state.apply(task.program.cut().changes)
    task.program.settle()
  }

  #deliver(program: TaskProgram): void {
    for (const output of program.takeOutputs()) {
      const tasks = this.#readers.get(output.topic)
      if (tasks !== undefined) {
        const { records } = tasks[output.queue]!
        const { body, key, timestamp } = output
        records.push({ offset: records.length, body, key, timestamp })
      }
      if (output.sequence !== undefined) this.#keep(program.name, output, output.sequence)
    }
  }

  #keep(task: string, output: OutputRecord, sequence: number): void {
    let sent = this.#sent.get(output.topic)
    if (sent === undefined) {
      sent = []
      this.#sent.set(output.topic, sent)
    }
    sent.push({ value: output.body, key: output.key, timestamp: output.timestamp, task, sequence })
  }

  #queueCount(topic: string): number {
    const { queues } = this.#options
    const count = (typeof queues === 'object' ? queues[topic] : queues) ?? 1
    assert(Number.isSafeInteger(count) && count > 0, 'a topic has queues', { topic, count })
    return count
  }
}

/** Starts a driver for tests of a pipeline. */
export function testPipeline(pipeline: Pipeline, options: TestPipelineOptions = {}): PipelineDriver {
  return new PipelineDriver(pipeline, options)
}
