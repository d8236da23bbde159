import { pack, unpack } from 'msgpackr'
import { assert } from '../assert.js'
import { MillraceError } from '../errors.js'
import type { AggregateNode, KeyByNode, SinkNode } from './graph.js'
import { type Key, queueOfKey } from './key.js'
import { type FusedOperators, fuse, type OperatorHost, type RecordContext } from './operators.js'
import { checkTopology, type Plan, repartitionTopic, type Stage, stateTopology } from './plan.js'
import { decodeRepartition, encodeRepartition, type InputRecord, type OutputRecord } from './record.js'
import type { StateBackend, StateChange } from './state.js'
import { WatermarkTracker } from './watermark.js'
import { WindowStore } from './window-store.js'

export interface TaskOptions {
  readonly pipelineId: string
  readonly plan: Plan
  readonly stage: Stage
  /** Index of the task's queue among those of the stage's topic. */
  readonly queue: number
  readonly state: StateBackend
  /** Queues of a topic that the stage sends to. */
  readonly queueCount: (topic: string) => number
  /** Entries of each store kept in memory; also how many may change before a commit is due. */
  readonly cacheEntriesMax: number
  /** Time now (monotonic, milliseconds): idle inputs are counted from it. */
  readonly now: number
  /** A record that could not be read; it is skipped. */
  readonly onSkipped: (error: MillraceError) => void
}

/** Counts since the task was started. */
export interface TaskCounters {
  recordsIn: number
  recordsOut: number
  late: number
  skipped: number
  /** Dropped because their sequence number had been seen. */
  duplicates: number
}

/** What is stored about a task beside its stores. */
interface Progress {
  readonly topology: readonly string[]
  readonly offset: number | undefined
  readonly epoch: number
  readonly sequence: number
  readonly watermark: number
  readonly inputs: readonly number[]
  /** Last sequence seen, per channel of a repartition topic. */
  readonly seen: readonly number[]
}

const PROGRESS_KEY = Buffer.from('m\0progress')

/** Changes of one commit, and the input offset they cover. */
export interface Cut {
  readonly changes: readonly StateChange[]
  /** Offset of the first record that is not covered; undefined when nothing was ever read. */
  readonly offset: number | undefined
  /** Outputs up to this sequence must be acknowledged before the changes are committed. */
  readonly sequence: number
}

/**
 * One task without its I/O: reads records of one queue in order, keeps state, makes outputs. Synchronous, and a function of
 * the records alone: how they are cut into batches, and where commits and restarts fall, changes neither results nor
 * their order or numbers. (The one exception is an input of a repartition topic that steps aside as idle.)
 *
 * One commit: `cut`, then make the outputs up to `cut.sequence` safe, then commit `cut.changes`, then `settle`. `process` may go on
 * in between. A task that is made anew over the same state goes on behind the last commit.
 */
export class TaskProgram {
  readonly name: string
  readonly epoch: number
  readonly counters: TaskCounters = { recordsIn: 0, recordsOut: 0, late: 0, skipped: 0, duplicates: 0 }
  readonly #options: TaskOptions
  readonly #topology: readonly string[]
  readonly #tracker: WatermarkTracker
  readonly #seen: number[]
  readonly #lastHeard: number[]
  readonly #fused: FusedOperators
  readonly #stores: WindowStore<unknown[]>[] = []
  readonly #cleanups: (() => void)[] = []
  readonly #context: RecordContext = { timestamp: 0, key: undefined }
  /** Per key-by topic and queue, the watermark that its reader knows of. */
  readonly #announced = new Map<string, number[]>()
  #outputs: OutputRecord[] = []
  #outputsMax = 0
  #offset: number | undefined
  #sequence: number
  /** Every result due at it has been given. */
  #watermark: number
  #hasProgress = true
  #isCutOpen = false
  // The record that `#read` has decoded.
  #value: unknown
  #channel = 0
  #channelSequence = 0

  /** @throws MillraceError TOPOLOGY_CHANGED */
  constructor(options: TaskOptions) {
    const { stage, queue, state, now } = options
    this.#options = options
    this.name = taskName(stage, queue)
    this.#topology = stateTopology(stage)
    const channels = stage.input.kind === 'source' ? 1 : stage.input.from.queueCount
    const stored = readProgress(state)
    if (stored !== undefined) checkTopology(this.name, stored.topology, this.#topology)
    this.epoch = (stored?.epoch ?? 0) + 1
    this.#offset = stored?.offset
    this.#sequence = stored?.sequence ?? 0
    this.#watermark = stored?.watermark ?? Number.NEGATIVE_INFINITY
    const inputs = stored?.inputs ?? new Array<number>(channels).fill(Number.NEGATIVE_INFINITY)
    this.#tracker = new WatermarkTracker(inputs, this.#watermark)
    this.#seen = [...(stored?.seen ?? new Array<number>(channels).fill(0))]
    this.#lastHeard = new Array<number>(channels).fill(now)
    this.#fused = fuse(stage.id, stage.nodes, this.#watermark, this.#host())
  }

  /** Where to read on; undefined before the first record of a task without state. */
  get offset(): number | undefined {
    return this.#offset
  }

  /** Reads on at `offset`: the first start, or when the queue no longer holds what would come next. */
  startAt(offset: number): void {
    this.#offset = offset
    this.#hasProgress = true
  }

  /** Event time up to which results are complete; minus infinity at first. */
  get watermark(): number {
    return this.#watermark
  }

  /** Outputs made and not taken. */
  get outputCount(): number {
    return this.#outputs.length
  }

  /** Is there anything that a commit would keep? */
  get hasProgress(): boolean {
    return this.#hasProgress
  }

  /** Memory is at its limit: no `process` before the next commit. */
  get isCommitDue(): boolean {
    for (const store of this.#stores) if (store.dirtyCount >= this.#options.cacheEntriesMax) return true
    return false
  }

  /**
   * Processes records from index `from` on, until all are done, `outputsMax` outputs wait, or a commit is due. One
   * record may make it more than that.
   * @returns index of the first record not done: call again with it.
   * @throws MillraceError INVALID_ARGUMENT when an operator fails. The task must not be used afterwards.
   */
  process(records: readonly InputRecord[], from: number, now: number, outputsMax: number): number {
    this.#outputsMax = outputsMax
    for (let i = from; i < records.length; i++) {
      if (this.#isFull) return i
      const record = records[i]!
      assert(this.#offset === undefined || record.offset >= this.#offset, 'records come in order', { task: this.name })
      const what = this.#read(record, now)
      if (this.#tracker.watermark > this.#watermark && !this.#advance()) return i
      if (what === 'record') {
        this.#fused.push(this.#value)
        this.#seen[this.#channel] = this.#channelSequence
      } else if (what === 'duplicate') this.counters.duplicates++
      else if (what === 'skipped') this.counters.skipped++
      this.counters.recordsIn++
      this.#offset = record.offset + 1
      this.#hasProgress = true
    }
    return records.length
  }

  /**
   * The queue has nothing more: inputs not heard of for `idleMs` step aside. False when it had to stop as `process` does:
   * call again once outputs are taken or the commit is done.
   */
  quiet(now: number, outputsMax: number): boolean {
    this.#outputsMax = outputsMax
    const { idleMs, input } = this.#options.stage
    if (input.kind === 'repartition')
      for (let channel = 0; channel < this.#lastHeard.length; channel++)
        if (!this.#tracker.isIdle(channel) && now - this.#lastHeard[channel]! >= idleMs) this.#tracker.setIdle(channel)
    return this.#tracker.watermark <= this.#watermark || this.#advance()
  }

  /** Hands over the outputs made so far, in order. */
  takeOutputs(): readonly OutputRecord[] {
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  /** Adds messages that tell the tasks behind repartition topics how far event time has come. Call before `cut`. */
  announceWatermark(): void {
    for (const node of this.#options.stage.nodes) {
      if (node.kind !== 'key-by' || !this.#options.plan.repartitioned.has(node.id)) continue
      const topic = repartitionTopic(this.#options.pipelineId, node.id)
      const watermark = this.#watermarkAt(node.id)
      const announced = this.#announcedTo(topic)
      for (let queue = 0; queue < announced.length; queue++) {
        if (announced[queue]! >= watermark) continue
        announced[queue] = watermark
        const body = encodeRepartition({ channel: this.#options.queue, watermark, record: undefined })
        this.#outputs.push({ topic, queue, key: undefined, body, timestamp: watermark, sequence: undefined })
      }
    }
  }

  /** Everything that has happened since the last cut, as one atomic set of changes. */
  cut(): Cut {
    assert(!this.#isCutOpen, 'one commit at a time', { task: this.name })
    this.#isCutOpen = true
    this.#hasProgress = false
    const changes: StateChange[] = []
    for (const store of this.#stores) store.collect(changes)
    const progress: Progress = {
      topology: this.#topology,
      offset: this.#offset,
      epoch: this.epoch,
      sequence: this.#sequence,
      watermark: this.#watermark,
      inputs: this.#tracker.inputs,
      seen: this.#seen,
    }
    changes.push({ key: PROGRESS_KEY, value: pack(progress) })
    return { changes, offset: this.#offset, sequence: this.#sequence }
  }

  /** The last cut is committed. */
  settle(): void {
    assert(this.#isCutOpen, 'a commit is under way', { task: this.name })
    this.#isCutOpen = false
    for (const store of this.#stores) store.settle()
  }

  /** Ends the operators' subscriptions. State stays as committed. */
  close(): void {
    for (const cleanup of this.#cleanups) cleanup()
  }

  get #isFull(): boolean {
    return this.#outputs.length >= this.#outputsMax || this.isCommitDue
  }

  /** Decodes a record into `#value` and `#context`, and moves its input's watermark. */
  #read(record: InputRecord, now: number): 'record' | 'duplicate' | 'watermark' | 'skipped' {
    const { input } = this.#options.stage
    if (input.kind === 'source') {
      const { topic } = input.node
      try {
        this.#value = topic.value.deserialize(record.body)
        const time = topic.eventTime === undefined ? record.timestamp : Number(topic.eventTime(this.#value))
        if (!Number.isFinite(time)) throw new TypeError('its event time is not a time')
        this.#context.timestamp = Math.floor(time)
        this.#context.key = topic.key === undefined ? record.key : topic.key(this.#value)
      } catch (cause) {
        return this.#skipped(record, cause)
      }
      this.#tracker.advance(0, this.#context.timestamp - topic.outOfOrderMs)
      return 'record'
    }
    const message = decodeRepartition(record.body)
    if (message === undefined || !(message.channel in this.#lastHeard))
      return this.#skipped(record, new TypeError('it was not written by this pipeline'))
    this.#channel = message.channel
    this.#lastHeard[message.channel] = now
    this.#tracker.advance(message.channel, message.watermark)
    if (message.record === undefined) return 'watermark'
    if (message.record.sequence <= this.#seen[message.channel]!) return 'duplicate'
    try {
      this.#value = input.node.value.deserialize(message.record.value)
    } catch (cause) {
      return this.#skipped(record, cause)
    }
    this.#channelSequence = message.record.sequence
    this.#context.timestamp = message.record.timestamp
    this.#context.key = message.record.key
    return 'record'
  }

  #skipped(record: InputRecord, cause: unknown): 'skipped' {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const { topic } = this.#options.stage
    const where = { topic, queue: this.#options.queue, offset: record.offset }
    this.#options.onSkipped(
      new MillraceError(
        'INVALID_ARGUMENT',
        `skipped record ${topic}/${where.queue}@${where.offset}: ${reason}; check the topic's serde and eventTime`,
        { cause, detail: where },
      ),
    )
    return 'skipped'
  }

  /** Gives all results due at the inputs' watermark; false when it had to stop before that. */
  #advance(): boolean {
    const { watermark } = this.#tracker
    const { timestamp, key } = this.#context
    this.#hasProgress = true
    for (const operator of this.#fused.timed) while (operator.fireNext(watermark)) if (this.#isFull) return false
    this.#context.timestamp = timestamp
    this.#context.key = key
    this.#watermark = watermark
    return true
  }

  #watermarkAt(operator: string): number {
    return this.#watermark - this.#fused.holdbackMs.get(operator)!
  }

  #announcedTo(topic: string): number[] {
    let announced = this.#announced.get(topic)
    if (announced === undefined) {
      announced = new Array<number>(this.#options.queueCount(topic)).fill(Number.NEGATIVE_INFINITY)
      this.#announced.set(topic, announced)
    }
    return announced
  }

  #host(): OperatorHost {
    return {
      context: this.#context,
      isRepartitioned: node => this.#options.plan.repartitioned.has(node.id),
      repartition: (node, key, value) => this.#repartition(node, key, value),
      send: (node, value) => this.#send(node, value),
      aggregateStore: node => this.#aggregateStore(node),
      late: () => {
        this.counters.late++
      },
      onClose: cleanup => this.#cleanups.push(cleanup),
    }
  }

  #aggregateStore(node: AggregateNode): WindowStore<unknown[]> {
    const store = new WindowStore<unknown[]>(this.#options.state, node.id, this.#options.cacheEntriesMax)
    this.#stores.push(store)
    return store
  }

  #repartition(node: KeyByNode, key: Key, value: unknown): void {
    const topic = repartitionTopic(this.#options.pipelineId, node.id)
    const announced = this.#announcedTo(topic)
    const queue = queueOfKey(key, announced.length)
    const watermark = this.#watermarkAt(node.id)
    announced[queue] = watermark
    const { timestamp } = this.#context
    const sequence = ++this.#sequence
    const body = encodeRepartition({
      channel: this.#options.queue,
      watermark,
      record: { sequence, timestamp, key, value: node.value.serialize(value) },
    })
    this.#outputs.push({ topic, queue, key: undefined, body, timestamp, sequence })
    this.counters.recordsOut++
  }

  #send(node: SinkNode, value: unknown): void {
    const { topic } = node
    const key = topic.key === undefined ? this.#context.key : topic.key(value)
    const queueCount = this.#options.queueCount(topic.name)
    const queue = key === undefined ? this.#options.queue % queueCount : queueOfKey(key, queueCount)
    this.#outputs.push({
      topic: topic.name,
      queue,
      key: key === undefined ? undefined : String(key),
      body: topic.value.serialize(value),
      timestamp: this.#context.timestamp,
      sequence: ++this.#sequence,
    })
    this.counters.recordsOut++
  }
}

/** Unique in a pipeline, and usable as a file name. */
export function taskName(stage: Stage, queue: number): string {
  return `${stage.id}-${queue}`
}

function readProgress(state: StateBackend): Progress | undefined {
  const stored = state.get(PROGRESS_KEY)
  return stored && (unpack(Buffer.from(stored)) as Progress)
}
