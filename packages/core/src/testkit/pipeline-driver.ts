import { assert } from '../assert.js'
import { MillraceError } from '../errors.js'
import type { Pipeline } from '../stream/builder.js'
import { type Duration, durationMs } from '../stream/duration.js'
import { type Key, queueOfKey } from '../stream/key.js'
import { type Plan, planPipeline, type Stage } from '../stream/plan.js'
import type { InputRecord, OutputRecord } from '../stream/record.js'
import { MemoryState } from '../stream/stores/state.js'
import { type Cut, type Guarantee, type TaskCounters, TaskProgram } from '../stream/task-program.js'
import type { Topic } from '../stream/topic.js'

export interface TestPipelineOptions {
  /** Queues of each source topic: one number for all, or by topic name. Default 1. */
  readonly queues?: number | Readonly<Record<string, number>>
  /** Default `exactly-once`. */
  readonly guarantee?: Guarantee
  /** Whether the broker drops outputs that it has, as Millrace's does; default true. */
  readonly deduplicates?: boolean
  /** How far apart commits are in virtual time; default 100 ms. */
  readonly commitInterval?: Duration
  /** Entries of each store kept in memory; default 10,000. Small numbers exercise the store behind it. */
  readonly cacheEntriesMax?: number
  /** Outputs that a task makes before they are sent; default 1,000. */
  readonly outputsMax?: number
  /** Wall clock at the beginning, milliseconds since the epoch; default 0. */
  readonly startTime?: number
}

export interface TestSendOptions {
  readonly timestamp?: number
  readonly key?: Key
  readonly queue?: number
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

/** A store of a pipeline, over all tasks. */
export interface TestStore<V> {
  get(key: Key): V | undefined
  /** Both ends inclusive. */
  range(from?: Key, to?: Key): (readonly [key: Key, value: V])[]
  /** Results so far of the windows of a key that are open and begin in [from, to]. */
  fetch(key: Key, from: number, to: number): { readonly start: number; readonly value: V }[]
}

/** Steps of promises without an answer after which none is expected. */
const SETTLE_TURNS = 200

interface Task {
  program: TaskProgram
  readonly state: MemoryState
  readonly make: () => TaskProgram
}

/** A queue of a topic that tasks read. */
type Queue = InputRecord[]

interface Delayed {
  readonly task: string
  readonly output: OutputRecord
}

/**
 * Runs a pipeline in this process: synchronous, no sockets, time moves only by `advance`.
 * Records are processed as soon as they are sent; commits happen each commit interval of virtual time, and in `read`.
 */
export class PipelineDriver {
  readonly #pipeline: Pipeline
  readonly #options: TestPipelineOptions
  readonly #outputsMax: number
  readonly #isExactlyOnce: boolean
  readonly #plan: Plan
  readonly #tasks: Task[] = []
  /** Queues of the topics that the pipeline reads. */
  readonly #queues = new Map<string, Queue[]>()
  readonly #sent = new Map<string, TestRecord<Uint8Array>[]>()
  readonly #errors: MillraceError[] = []
  /** Last sequence by task and queue. */
  readonly #lastSequences = new Map<string, number>()
  readonly #timers: { readonly at: number; work: (() => void) | undefined }[] = []
  #delayed: Delayed[] = []
  #now: number
  #delivered = 0

  constructor(pipeline: Pipeline, options: TestPipelineOptions) {
    this.#pipeline = pipeline
    this.#options = options
    this.#outputsMax = options.outputsMax ?? 1_000
    this.#isExactlyOnce = (options.guarantee ?? 'exactly-once') === 'exactly-once'
    this.#now = options.startTime ?? 0
    const sources = new Set(pipeline.graph.map(node => (node.role === 'source' ? node.topic.name : undefined)))
    this.#plan = planPipeline(pipeline.id, pipeline.graph, name =>
      sources.has(name) ? this.#queueCount(name) : undefined,
    )
    for (const stage of this.#plan.stages)
      for (const { topic, queueCount } of stage.inputs)
        this.#queues.set(
          topic,
          Array.from({ length: queueCount }, () => []),
        )
    for (const stage of this.#plan.stages)
      for (let queue = 0; queue < stage.queueCount; queue++) this.#tasks.push(this.#task(stage, queue))
  }

  /** Puts a value into a source topic and processes it. Without `queue`: that of the key, or queue 0 without a key. */
  send<T>(topic: Topic<T>, value: T, options: TestSendOptions = {}): void {
    const isDeletion = value === null || value === undefined
    const key = options.key ?? (isDeletion ? undefined : topic.key?.(value))
    this.sendBytes(topic, topic.value.serialize(value), { ...options, ...(key === undefined ? {} : { key }) })
  }

  /** Puts any body into a source topic, also one that its serde cannot read. */
  sendBytes<T>(topic: Topic<T>, body: Uint8Array, options: TestSendOptions = {}): void {
    const { key } = options
    const queues = this.#queues.get(topic.name)
    if (queues === undefined)
      throw new MillraceError(
        'TOPIC_NOT_FOUND',
        `pipeline "${this.#pipeline.id}" does not read topic "${topic.name}"; send to one of its sources`,
      )
    const records = queues[options.queue ?? (key === undefined ? 0 : queueOfKey(key, queues.length))]
    assert(records !== undefined, 'the topic has the queue', { topic: topic.name, queue: options.queue })
    const written = key === undefined ? undefined : String(key)
    records.push({ offset: records.length, body, key: written, timestamp: options.timestamp ?? this.#now })
    this.#run()
  }

  /** Moves virtual time on: commits and timers fall due, delayed messages arrive, inputs without records become idle. */
  advance(duration: Duration): void {
    const target = this.#now + durationMs(duration)
    const interval = Math.max(1, durationMs(this.#options.commitInterval ?? '100 ms'))
    while (this.#now < target) {
      this.#now = Math.min(target, this.#now + interval)
      this.#fireTimers()
      this.#deliverDelayed()
      for (const task of this.#tasks) {
        this.#finishStep(task, () => task.program.tick(this.#outputsMax))
        for (let place = 0; place < task.program.inputs.length; place++)
          this.#finishStep(task, () => task.program.quiet(place, this.#now, this.#outputsMax))
      }
      this.commit()
    }
  }

  /** Lets promises that operators wait for answer: all that need neither time nor the outside. */
  async settle(): Promise<void> {
    for (let quietTurns = 0; quietTurns < SETTLE_TURNS; ) {
      const before = this.#progress()
      await Promise.resolve()
      for (const task of this.#tasks) this.#finishStep(task, () => task.program.tick(this.#outputsMax))
      this.#run()
      quietTurns = this.#progress() === before ? quietTurns + 1 : 0
    }
  }

  /** No more records: event time goes to its end, open windows close, and everything is committed. */
  finish(): void {
    this.commit()
    for (const stage of this.#plan.stages)
      for (const task of this.#tasksOf(stage)) {
        this.#finishStep(task, () => task.program.finish(this.#outputsMax))
        this.commit()
      }
  }

  /** Commits every task, until nothing moves any more. */
  commit(): void {
    for (;;) {
      this.#run()
      const before = this.#delivered
      for (const task of this.#tasks) {
        task.program.announceWatermark()
        this.#commitTask(task)
      }
      if (this.#delivered === before) return
    }
  }

  /** Commits, and takes what has arrived in an output topic since the last `read`, duplicates included. */
  read<T>(topic: Topic<T>): TestRecord<T>[] {
    this.commit()
    const sent = this.#sent.get(topic.name) ?? []
    this.#sent.delete(topic.name)
    return sent.map(record => ({ ...record, value: topic.value.deserialize(record.value) }))
  }

  /** A store by the name of its operator, as queries see it: what has been processed, committed or not. */
  store<V>(name: string): TestStore<V> {
    const stores = this.#tasks.flatMap(({ program }) => program.stores.get(name) ?? [])
    if (stores.length === 0)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `pipeline "${this.#pipeline.id}" has no store "${name}"; it has ${this.#tasks.flatMap(({ program }) => [...program.stores.keys()]).join(', ') || 'none'}`,
      )
    return {
      get(key) {
        for (const store of stores) {
          const value = store.get(key)
          if (value !== undefined) return value as V
        }
        return undefined
      },
      range: (from, to) =>
        stores.flatMap(store => [...store.range(from, to, Number.MAX_SAFE_INTEGER)] as (readonly [Key, V])[]),
      fetch: (key, from, to) =>
        stores.flatMap(store => [...store.fetch(key, from, to)] as { readonly start: number; readonly value: V }[]),
    }
  }

  /**
   * Kills every task and starts it again over what it had committed. By default everything since the last commit is lost, but what an
   * at-least-once pipeline has sent already. `committed`: a commit has been made, and the crash comes before its outputs are sent. `sent`: it
   * comes after that, before the task knows.
   */
  crash(moment: 'uncommitted' | 'committed' | 'sent' = 'uncommitted'): void {
    if (moment !== 'uncommitted')
      for (const task of this.#tasks) {
        if (!this.#isExactlyOnce) this.#deliverAll(task.program, task.program.takeOutputs())
        const { outbox } = this.#cut(task)
        if (moment === 'sent' && outbox !== undefined) this.#deliverAll(task.program, outbox.outputs)
      }
    for (const task of this.#tasks) {
      task.program.close()
      task.program = task.make()
    }
    for (const { program } of this.#tasks) this.#recover(program)
    this.#run()
  }

  /** Virtual wall clock, milliseconds. */
  get now(): number {
    return this.#now
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
    return this.#plan.stages.flatMap(({ inputs }) =>
      inputs.filter(({ from }) => from.kind === 'repartition').map(({ topic }) => topic),
    )
  }

  #task(stage: Stage, queue: number): Task {
    const state = new MemoryState()
    const make = (): TaskProgram =>
      new TaskProgram({
        pipelineId: this.#pipeline.id,
        plan: this.#plan,
        stage,
        queue,
        state,
        queueCount: topic => this.#queues.get(topic)?.length ?? this.#queueCount(topic),
        cacheEntriesMax: this.#options.cacheEntriesMax ?? 10_000,
        guarantee: this.#isExactlyOnce ? 'exactly-once' : 'at-least-once',
        wallClock: () => this.#now,
        after: (delayMs, work) => this.#after(delayMs, work),
        wake: () => {},
        now: this.#now,
        onSkipped: error => this.#errors.push(error),
      })
    return { program: make(), state, make }
  }

  #tasksOf(stage: Stage): Task[] {
    const first = this.#plan.stages
      .slice(0, this.#plan.stages.indexOf(stage))
      .reduce((sum, { queueCount }) => sum + queueCount, 0)
    return this.#tasks.slice(first, first + stage.queueCount)
  }

  /** Processes until no task has anything to read. */
  #run(): void {
    for (let isMoving = true; isMoving; ) {
      isMoving = false
      for (const task of this.#tasks) if (this.#runTask(task)) isMoving = true
    }
  }

  #runTask(task: Task): boolean {
    const { program } = task
    let hasMoved = false
    for (let place = 0; place < program.inputs.length; place++) {
      const input = program.inputs[place]!
      const records = this.#queues.get(input.input.topic)![input.queue]!
      while ((input.offset ?? 0) < records.length) {
        const before = input.offset ?? 0
        program.process(place, records, before, this.#now, this.#outputsMax)
        this.#afterStep(task)
        if ((input.offset ?? 0) === before && program.isBusy) break
        hasMoved = true
      }
    }
    return hasMoved
  }

  /** Repeats a step that stops when outputs or changes pile up. */
  #finishStep(task: Task, step: () => boolean): void {
    while (!step()) this.#afterStep(task)
    this.#afterStep(task)
  }

  #afterStep(task: Task): void {
    const { program } = task
    if (!this.#isExactlyOnce) this.#deliverAll(program, program.takeOutputs())
    if (program.isCommitDue) this.#commitTask(task)
  }

  #commitTask(task: Task): void {
    if (!this.#isExactlyOnce) this.#deliverAll(task.program, task.program.takeOutputs())
    if (!task.program.hasProgress && task.program.outputCount === 0) return
    const { outbox } = this.#cut(task)
    if (outbox === undefined) return
    this.#deliverAll(task.program, outbox.outputs)
    task.program.trim(outbox.commit)
  }

  #cut(task: Task): Cut {
    const cut = task.program.cut()
    task.state.apply(cut.changes)
    task.program.settle()
    return cut
  }

  #recover(program: TaskProgram): void {
    for (const { commit, outputs } of program.recovered) {
      this.#deliverAll(program, outputs)
      program.trim(commit)
    }
  }

  #deliverAll(program: TaskProgram, outputs: readonly OutputRecord[]): void {
    for (const output of outputs)
      if (output.deliverAt !== undefined && output.deliverAt > this.#now)
        this.#delayed.push({ task: program.name, output })
      else this.#deliver(program.name, output)
  }

  #deliverDelayed(): void {
    const due = this.#delayed.filter(({ output }) => output.deliverAt! <= this.#now)
    this.#delayed = this.#delayed.filter(({ output }) => output.deliverAt! > this.#now)
    due.sort((a, b) => a.output.deliverAt! - b.output.deliverAt!)
    for (const { task, output } of due) this.#deliver(task, output)
    if (due.length > 0) this.#run()
  }

  #deliver(task: string, output: OutputRecord): void {
    const { sequence } = output
    this.#delivered++
    if (sequence !== undefined && output.deliverAt === undefined && (this.#options.deduplicates ?? true)) {
      const lane = `${task} ${output.topic}/${output.queue}`
      if (sequence <= (this.#lastSequences.get(lane) ?? 0) && this.#isExactlyOnce) return
      this.#lastSequences.set(lane, sequence)
    }
    const records = this.#queues.get(output.topic)?.[output.queue]
    const key = output.key === undefined ? undefined : String(output.key)
    records?.push({ offset: records.length, body: output.body, key, timestamp: output.timestamp })
    if (sequence !== undefined) this.#keep(task, output, sequence)
  }

  #keep(task: string, output: OutputRecord, sequence: number): void {
    let sent = this.#sent.get(output.topic)
    if (sent === undefined) {
      sent = []
      this.#sent.set(output.topic, sent)
    }
    const key = output.key === undefined ? undefined : String(output.key)
    sent.push({ value: output.body, key, timestamp: output.timestamp, task, sequence })
  }

  #after(delayMs: number, work: () => void): () => void {
    const timer: { readonly at: number; work: (() => void) | undefined } = { at: this.#now + delayMs, work }
    this.#timers.push(timer)
    return () => {
      timer.work = undefined
    }
  }

  #fireTimers(): void {
    for (const timer of this.#timers.splice(0)) {
      if (timer.work === undefined) continue
      if (timer.at > this.#now) this.#timers.push(timer)
      else timer.work()
    }
  }

  #progress(): number {
    const { recordsIn, recordsOut, skipped } = this.counters
    return recordsIn + recordsOut + skipped + this.#delivered
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
