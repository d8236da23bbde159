import { pack, unpack } from 'msgpackr'
import { assert } from '../assert.js'
import { MillraceError } from '../errors.js'
import type { Cancel } from '../ports/scheduler.js'
import { type DeadLetterRecord, type ErrorPolicy, operatorFailed } from './error-policy.js'
import { type FusedOperators, type FusionHost, fuse } from './fuse.js'
import type { KeyByNode, OperatorNode, SinkNode } from './graph.js'
import { type Key, queueOfKey } from './key.js'
import type { OperatorHost, Push, QueryableStore, RecordContext, TimedOperator } from './operators/operator.js'
import {
  checkTopology,
  type Plan,
  queuesOfInput,
  repartitionTopic,
  type Stage,
  type StateTopology,
  stateTopology,
} from './plan.js'
import { decodeOutbox, encodeOutbox, encodeRepartition, type InputRecord, type OutputRecord } from './record.js'
import { KeyStore } from './stores/key-store.js'
import type { StateBackend, StateChange } from './stores/state.js'
import { WindowStore } from './stores/window-store.js'
import { TaskInput } from './task-input.js'
import type { Topic } from './topic.js'

export interface TaskOptions {
  readonly pipelineId: string
  readonly plan: Plan
  readonly stage: Stage
  /** Index of the task's queue among those of the stage's topics. */
  readonly queue: number
  readonly state: StateBackend
  /** Queues of a topic that the stage sends to. */
  readonly queueCount: (topic: string) => number
  /** Entries of each store kept in memory; also how many may change before a commit is due. */
  readonly cacheEntriesMax: number
  /** `exactly-once`: outputs are part of the commit, and leave after it. `at-least-once`: they leave as they are made. */
  readonly guarantee: Guarantee
  /** Lets operators with state come and go by name, where the state would otherwise be refused. */
  readonly migrate?: boolean
  /** Wall clock, milliseconds. */
  readonly wallClock: () => number
  /** Runs work later, for calls that time out or are tried again. */
  readonly after: (delayMs: number, work: () => void) => Cancel
  /** An asynchronous operator has an answer: call `tick`. */
  readonly wake: () => void
  /** Time now (monotonic, milliseconds): idle inputs are counted from it. */
  readonly now: number
  /** A record that could not be read or processed; it is skipped. */
  readonly onSkipped: (error: MillraceError) => void
}

export type Guarantee = 'exactly-once' | 'at-least-once'

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
  readonly topology: StateTopology
  /** By topic and queue. */
  readonly offsets: Readonly<Record<string, number>>
  readonly epoch: number
  readonly sequence: number
  /** Number of the next commit's outbox. */
  readonly commit: number
  /** Watermarks of the channels of each input, and the last sequence seen from each. */
  readonly inputs: Readonly<
    Record<string, { readonly watermarks: readonly number[]; readonly seen: readonly number[] }>
  >
  /** How far each operator has moved on. */
  readonly marks: Readonly<Record<string, number>>
}

const PROGRESS_KEY = Buffer.from('m\0progress')
const OUTBOX_PREFIX = Buffer.from('o\0')
const OUTBOX_END = Buffer.from('o\x01')
/** More than any task makes outputs in a millisecond, over a long time. */
const SEQUENCES_PER_MS = 1_000
/** 2020-01-01: counted from it, sequences keep to the 15 digits that brokers read until 2051. */
const SEQUENCES_BEGIN_MS = 1_577_836_800_000
/** Records between two looks at how much the stores hold. */
const STORE_CHECK_EVERY = 16
/** More than any task has outputs between two commits. */
const SEQUENCE_GAP = 1_000_000

/** Changes of one commit, and what they cover. */
export interface Cut {
  readonly changes: readonly StateChange[]
  /** Exactly once: what may leave when the changes are committed. `trim` it when all of it is acknowledged. */
  readonly outbox: Outgoing | undefined
}

/** Outputs of one commit. */
export interface Outgoing {
  readonly commit: number
  readonly outputs: readonly OutputRecord[]
}

/**
 * One task without its I/O: reads records of its queues in order, keeps state, makes outputs. Synchronous but for the answers of
 * asynchronous operators.
 *
 * Exactly once: `cut`, commit `cut.changes`, `settle`, then send `cut.outbox`, and `trim` it when it is acknowledged. What was not trimmed
 * is in `recovered` of the next life, with the same sequences.
 * At least once: send what `takeOutputs` gives; `cut`, make the outputs from before safe, commit, `settle`.
 * `process` may go on in between. A task that is made anew over the same state goes on behind the last commit.
 *
 * A task with a single input and no asynchronous or processing-time operators is a function of its records: how they are cut into batches,
 * and where commits and restarts fall, changes neither results nor their order or numbers.
 */
export class TaskProgram {
  readonly name: string
  readonly epoch: number
  readonly counters: TaskCounters = { recordsIn: 0, recordsOut: 0, late: 0, skipped: 0, duplicates: 0 }
  /** One per queue that the task reads. */
  readonly inputs: readonly TaskInput[]
  /** Outputs of earlier lives that are not known to be acknowledged: to be sent first. */
  readonly recovered: readonly Outgoing[]
  readonly stores: ReadonlyMap<string, QueryableStore>
  readonly #options: TaskOptions
  readonly #topology: StateTopology
  readonly #fused: FusedOperators
  readonly #pushes: readonly Push[]
  /** Those that may be busy. */
  readonly #waiting: readonly TimedOperator[]
  readonly #kept: (KeyStore<unknown> | WindowStore<unknown>)[] = []
  readonly #cleanups: (() => void)[] = []
  readonly #context: RecordContext = { timestamp: 0, key: undefined }
  readonly #marks: Readonly<Record<string, number>>
  readonly #hasOutbox: boolean
  /** Per key-by topic and queue, the watermark that its reader knows of. */
  readonly #announced = new Map<string, number[]>()
  /** The topic that the last output went to, and its queues. */
  #lastTopic = ''
  #lastQueues = 0
  /** Changes that the next commit takes along. */
  #extra: StateChange[] = []
  #outputs: OutputRecord[] = []
  #outputsMax = 0
  #sequence: number
  #commit: number
  #watermark = Number.NEGATIVE_INFINITY
  #hasProgress = true
  #isCutOpen = false
  #isBehind = true

  /** @throws MillraceError TOPOLOGY_CHANGED */
  constructor(options: TaskOptions) {
    const { stage, queue, state, now } = options
    this.#options = options
    this.#hasOutbox = options.guarantee === 'exactly-once'
    this.name = taskName(stage, queue)
    this.#topology = stateTopology(stage)
    const stored = readProgress(state)
    if (stored !== undefined)
      for (const id of checkTopology(this.name, stored.topology, this.#topology, options.migrate ?? false))
        this.#drop(id)
    // Without state the numbers begin where no earlier life has come: readers that know its last ones must not take new outputs for old.
    const birth = Math.floor(options.wallClock())
    this.epoch = stored === undefined ? Math.max(1, birth) : stored.epoch + 1
    this.#commit = stored?.commit ?? 0
    this.#marks = stored?.marks ?? {}
    this.inputs = stage.inputs.flatMap(input =>
      queuesOfInput(input, queue).map(index => {
        const name = `${input.topic}/${index}`
        return new TaskInput(input, index, name, stored?.offsets[name], stored?.inputs[name], now)
      }),
    )
    const stores = new Map<string, QueryableStore>()
    this.stores = stores
    this.#fused = fuse(
      stage.inputs.map(input => input.id),
      stage.nodes,
      this.#host(stores),
    )
    this.#pushes = this.inputs.map(({ input }) => this.#fused.inputs.get(input.id)!)
    this.#waiting = this.#fused.timed.map(({ operator }) => operator).filter(operator => 'isBusy' in operator)
    const gap = stored === undefined || this.#hasOutbox || this.#isDeterministic ? 0 : SEQUENCE_GAP
    this.#sequence = (stored?.sequence ?? Math.max(0, birth - SEQUENCES_BEGIN_MS) * SEQUENCES_PER_MS) + gap
    this.recovered = this.#recover()
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
    if (this.#hasOutbox && this.#outputs.length > 0 && this.#outputs.length >= this.#outputsMax) return true
    for (const store of this.#kept) if (store.dirtyCount >= this.#options.cacheEntriesMax) return true
    return false
  }

  /** Whether it keeps anything but its place in its queues. */
  get isStateful(): boolean {
    return this.#kept.length > 0
  }

  /** An operator waits for answers, and takes no more before they have come. */
  get isBusy(): boolean {
    for (const operator of this.#waiting) if (operator.isBusy === true) return true
    return false
  }

  /** An input that its task reads anew: the first start, or when the queue no longer holds what would come next. */
  startAt(place: number, offset: number): void {
    this.inputs[place]!.offset = offset
    this.#hasProgress = true
  }

  /**
   * Processes records of one input from index `from` on, until all are done, `outputsMax` outputs wait, or a commit is due. One
   * record may make it more than that.
   * @returns index of the first record not done: call again with it.
   * @throws MillraceError INVALID_ARGUMENT when an operator fails. The task must not be used afterwards.
   */
  process(place: number, records: readonly InputRecord[], from: number, now: number, outputsMax: number): number {
    this.#outputsMax = outputsMax
    const input = this.inputs[place]!
    const push = this.#pushes[place]!
    const context = this.#context
    const { wallClock } = this.#options
    const isTimed = this.#fused.timed.length > 0
    this.#hasProgress = true
    let i = from
    for (; i < records.length; i++) {
      // How much the stores hold is looked at now and then: a few records more do no harm.
      if (this.#outputs.length >= outputsMax || ((i - from) % STORE_CHECK_EVERY === 0 && this.isCommitDue)) break
      if (this.#waiting.length > 0 && this.isBusy) break
      const record = records[i]!
      const { offset } = record
      if (input.offset !== undefined && offset < input.offset) this.#disordered(input, offset)
      const what = input.read(record, now, wallClock)
      if ((this.#isBehind || (isTimed && input.hasMoved)) && !this.#advance()) break
      if (what === 'record') {
        context.timestamp = input.timestamp
        context.key = input.key
        push(input.value)
        input.accept()
      } else if (what === 'duplicate') this.counters.duplicates++
      else if (what === 'unreadable') this.#unreadable(input, record)
      input.offset = offset + 1
    }
    this.counters.recordsIn += i - from
    if (!isTimed && input.hasMoved) this.#advance()
    return i
  }

  /**
   * The queue of an input has nothing more: what was not heard of for `idleMs` steps aside. False when it had to stop as
   * `process` does: call again once outputs are taken or the commit is done.
   */
  quiet(place: number, now: number, outputsMax: number): boolean {
    this.#outputsMax = outputsMax
    return (!this.inputs[place]!.quiet(now) && !this.#isBehind) || this.#advance()
  }

  /** Does what is due by wall clock or was answered; false when it had to stop as `process` does. */
  tick(outputsMax: number): boolean {
    this.#outputsMax = outputsMax
    const now = this.#options.wallClock()
    let hasMoved = false
    for (const input of this.inputs) hasMoved = input.moveTo(now) || hasMoved
    for (const { operator } of this.#fused.timed) {
      if (operator.tick === undefined) continue
      while (operator.tick(now)) {
        this.#hasProgress = true
        hasMoved = true
        if (this.#isFull) return false
      }
    }
    return (!hasMoved && !this.#isBehind) || this.#advance()
  }

  /** Nothing more will come: event time goes to its end, and everything that waits for it is given. As `tick`. */
  finish(outputsMax: number): boolean {
    this.#outputsMax = outputsMax
    for (const input of this.inputs) input.finish()
    this.#hasProgress = true
    return this.#advance()
  }

  /** At least once: hands over the outputs made so far, in order. */
  takeOutputs(): readonly OutputRecord[] {
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  /** Adds messages that tell the tasks behind repartition topics how far event time has come. Call before `cut`. */
  announceWatermark(): void {
    for (const node of this.#options.stage.nodes) {
      if (node.role !== 'key-by' || !this.#options.plan.repartitioned.has(node.id)) continue
      const topic = repartitionTopic(this.#options.pipelineId, node.id)
      const watermark = this.#watermarkAt(node.id)
      const announced = this.#announcedTo(topic)
      for (let queue = 0; queue < announced.length; queue++) {
        if (announced[queue]! >= watermark) continue
        announced[queue] = watermark
        const body = encodeRepartition({ channel: this.#options.queue, watermark, record: undefined })
        this.#outputs.push({
          topic,
          queue,
          key: undefined,
          body,
          timestamp: watermark,
          deliverAt: undefined,
          sequence: undefined,
        })
      }
    }
  }

  /** Everything that has happened since the last cut, as one atomic set of changes. */
  cut(): Cut {
    assert(!this.#isCutOpen, 'one commit at a time', { task: this.name })
    this.#isCutOpen = true
    this.#hasProgress = false
    const changes = this.#extra
    this.#extra = []
    for (const store of this.#kept) store.collect(changes)
    let outbox: Outgoing | undefined
    if (this.#hasOutbox && this.#outputs.length > 0) {
      outbox = { commit: this.#commit++, outputs: this.takeOutputs() }
      changes.push({ key: outboxKey(outbox.commit), value: encodeOutbox(outbox.outputs) })
    }
    const offsets: Record<string, number> = {}
    const inputs: Record<string, { watermarks: readonly number[]; seen: readonly number[] }> = {}
    for (const input of this.inputs) {
      if (input.offset !== undefined) offsets[input.name] = input.offset
      inputs[input.name] = { watermarks: input.watermarks, seen: input.seen }
    }
    const marks: Record<string, number> = {}
    for (const { id, operator } of this.#fused.timed) marks[id] = operator.done
    const progress: Progress = {
      topology: this.#topology,
      offsets,
      epoch: this.epoch,
      sequence: this.#sequence,
      commit: this.#commit,
      inputs,
      marks,
    }
    changes.push({ key: PROGRESS_KEY, value: pack(progress) })
    return { changes, outbox }
  }

  /** The last cut is committed. */
  settle(): void {
    assert(this.#isCutOpen, 'a commit is under way', { task: this.name })
    this.#isCutOpen = false
    for (const store of this.#kept) store.settle()
  }

  /** The outputs of a commit are acknowledged: the next commit forgets them. */
  trim(commit: number): void {
    this.#extra.push({ key: outboxKey(commit), value: undefined })
    this.#hasProgress = true
  }

  /** Ends the operators' subscriptions and calls. State stays as committed. */
  close(): void {
    for (const cleanup of this.#cleanups) cleanup()
  }

  #disordered(input: TaskInput, offset: number): void {
    assert(false, 'records come in order', { task: this.name, offset, expected: input.offset })
  }

  get #isFull(): boolean {
    return this.#outputs.length >= this.#outputsMax || this.isCommitDue
  }

  /** Nothing but the records decides what the outputs are. */
  get #isDeterministic(): boolean {
    return this.inputs.length === 1 && this.#fused.timed.every(({ operator }) => operator.tick === undefined)
  }

  /** Gives all results due at the inputs' watermark; false when it had to stop before that. */
  #advance(): boolean {
    const context = this.#context
    const { timestamp, key } = context
    this.#isBehind = true
    for (const { operator, input } of this.#fused.timed) {
      const watermark = input()
      if (watermark <= operator.done || watermark === Number.POSITIVE_INFINITY) continue
      this.#hasProgress = true
      while (operator.fireNext(watermark)) if (this.#isFull) return false
    }
    context.timestamp = timestamp
    context.key = key
    for (const input of this.inputs) input.hasMoved = false
    this.#isBehind = false
    let least = Number.POSITIVE_INFINITY
    for (const { input } of this.inputs) least = Math.min(least, this.#watermarkOf(input.id))
    if (least !== Number.POSITIVE_INFINITY && least > this.#watermark) this.#watermark = least
    return true
  }

  /** Event time of a stage input; infinite while it has stepped aside and others have not. */
  #watermarkOf(id: string): number {
    const [only] = this.inputs
    if (this.inputs.length === 1 && only !== undefined) return only.watermark
    let least = Number.POSITIVE_INFINITY
    let furthest = Number.NEGATIVE_INFINITY
    let isAnyActive = false
    for (const input of this.inputs) {
      if (input.isGlobal) continue
      if (!input.isIdle) isAnyActive = true
      if (input.watermark > furthest) furthest = input.watermark
      if (input.input.id === id && !input.isIdle && input.watermark < least) least = input.watermark
    }
    return isAnyActive ? least : furthest
  }

  #watermarkAt(operator: string): number {
    const watermark = this.#fused.watermarks.get(operator)!()
    return watermark === Number.POSITIVE_INFINITY ? this.#watermark : watermark
  }

  #announcedTo(topic: string): number[] {
    let announced = this.#announced.get(topic)
    if (announced === undefined) {
      announced = new Array<number>(this.#options.queueCount(topic)).fill(Number.NEGATIVE_INFINITY)
      this.#announced.set(topic, announced)
    }
    return announced
  }

  #host(stores: Map<string, QueryableStore>): FusionHost {
    return {
      context: this.#context,
      isRepartitioned: node => this.#options.plan.repartitioned.has(node.id),
      repartition: (node, key, value) => this.#repartition(node, key, value),
      sink: node => this.#sink(node),
      hostOf: node => this.#hostOf(node, stores),
      watermarkOf: id => this.#watermarkOf(id),
    }
  }

  #hostOf(node: OperatorNode, stores: Map<string, QueryableStore>): OperatorHost {
    const { id } = node
    const { state, cacheEntriesMax, wallClock, after } = this.#options
    const keep = <S extends KeyStore<never> | WindowStore<never>>(store: S): S => {
      this.#kept.push(store as unknown as KeyStore<unknown>)
      return store
    }
    const storeName = (name: string | undefined): string => (name === undefined ? id : `${id}\x01${name}`)
    return {
      id,
      context: this.#context,
      queue: this.#options.queue,
      watermark: this.#marks[id] ?? Number.NEGATIVE_INFINITY,
      now: wallClock,
      keyStore: <S>(name?: string) =>
        keep(new KeyStore<S>(state, storeName(name), cacheEntriesMax) as KeyStore<never>) as KeyStore<S>,
      windowStore: <S>(name?: string) =>
        keep(new WindowStore<S>(state, storeName(name), cacheEntriesMax) as WindowStore<never>) as WindowStore<S>,
      publish: store => stores.set(id, store),
      late: () => {
        this.counters.late++
      },
      failed: (cause, value, policy) => this.#failed(id, cause, value, policy),
      after,
      wake: this.#options.wake,
      onClose: cleanup => this.#cleanups.push(cleanup),
    }
  }

  #failed(operator: string, cause: unknown, value: unknown, policy: ErrorPolicy | undefined): void {
    // An operator further on has failed, and decided to stop.
    if (cause instanceof MillraceError && cause.detail !== undefined && 'operator' in cause.detail) throw cause
    const error = operatorFailed(operator, cause)
    if (policy === undefined || policy === 'stop') throw error
    this.counters.skipped++
    this.#options.onSkipped(error)
    if (typeof policy === 'object') this.#sendDeadLetter(policy.deadLetter, operator, cause, value)
  }

  #unreadable(input: TaskInput, record: InputRecord): void {
    const { cause } = input
    const reason = cause instanceof Error ? cause.message : String(cause)
    const where = { topic: input.input.topic, queue: input.queue, offset: record.offset }
    const error = new MillraceError(
      'INVALID_ARGUMENT',
      `skipped record ${where.topic}/${where.queue}@${where.offset}: ${reason}; check the topic's serde and eventTime`,
      { cause, detail: where },
    )
    const policy = input.input.from.kind === 'source' ? input.input.from.node.policy : undefined
    if (policy === 'stop') throw error
    this.counters.skipped++
    this.#options.onSkipped(error)
    if (typeof policy !== 'object') return
    this.#context.timestamp = record.timestamp
    this.#context.key = record.key
    const value = Buffer.from(record.body).toString('base64')
    this.#sendDeadLetter(policy.deadLetter, input.input.id, cause, value)
  }

  #sendDeadLetter(topic: Topic<DeadLetterRecord>, operator: string, cause: unknown, value: unknown): void {
    const { timestamp, key } = this.#context
    const letter: DeadLetterRecord = {
      pipeline: this.#options.pipelineId,
      operator,
      error: cause instanceof Error ? cause.message : String(cause),
      stack: cause instanceof Error ? cause.stack : undefined,
      key,
      timestamp,
      value,
    }
    this.#output(topic as unknown as Topic<unknown>, letter, key, undefined)
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
    this.#outputs.push({ topic, queue, key: undefined, body, timestamp, deliverAt: undefined, sequence })
    this.counters.recordsOut++
  }

  #sink(node: SinkNode): Push {
    const { topic, deliverAt } = node
    const keyOf = topic.key
    const fail = (cause: unknown): never => {
      throw operatorFailed(node.id, cause)
    }
    return value => {
      let at: number | undefined
      let key: Key | undefined
      try {
        key = keyOf === undefined ? this.#context.key : keyOf(value)
        if (deliverAt !== undefined) at = Math.floor(Number(deliverAt(value)))
      } catch (cause) {
        fail(cause)
      }
      if (at !== undefined && !Number.isFinite(at)) fail(new TypeError('the time of delivery is not a time'))
      this.#output(topic, value, key, at)
    }
  }

  #output(topic: Topic<unknown>, value: unknown, key: Key | undefined, deliverAt: number | undefined): void {
    const queueCount = this.#queuesOf(topic.name)
    let queue = 0
    if (queueCount > 1) queue = key === undefined ? this.#options.queue % queueCount : queueOfKey(key, queueCount)
    let body: Uint8Array
    try {
      body = topic.value.serialize(value)
    } catch (cause) {
      throw operatorFailed(`to ${topic.name}`, cause)
    }
    this.#outputs.push({
      topic: topic.name,
      queue,
      key,
      body,
      timestamp: this.#context.timestamp,
      deliverAt,
      sequence: ++this.#sequence,
    })
    this.counters.recordsOut++
  }

  #queuesOf(topic: string): number {
    if (topic === this.#lastTopic) return this.#lastQueues
    this.#lastTopic = topic
    this.#lastQueues = this.#options.queueCount(topic)
    return this.#lastQueues
  }

  /** Deletes the state of an operator that is gone. */
  #drop(id: string): void {
    for (const kind of ['k', 'w'])
      for (const separator of ['\0', '\x01'])
        for (let from = Buffer.from(`${kind}${id}${separator}`); ; ) {
          const end = Buffer.from(`${kind}${id}${String.fromCharCode(separator.charCodeAt(0) + 1)}`)
          const found = this.#options.state.range(from, end, 1_000)
          for (const { key } of found) this.#extra.push({ key: Buffer.from(key), value: undefined })
          if (found.length < 1_000) break
          from = Buffer.concat([found.at(-1)!.key, Buffer.alloc(1)])
        }
  }

  #recover(): Outgoing[] {
    const recovered: Outgoing[] = []
    for (const { key, value } of this.#options.state.range(OUTBOX_PREFIX, OUTBOX_END, Number.MAX_SAFE_INTEGER)) {
      const commit = Number(Buffer.from(key).readBigUInt64BE(OUTBOX_PREFIX.length))
      recovered.push({ commit, outputs: decodeOutbox(Buffer.from(value)) })
    }
    return recovered
  }
}

/** Unique in a pipeline, and usable as a file name. */
export function taskName(stage: Stage, queue: number): string {
  return `${stage.id}-${queue}`
}

function outboxKey(commit: number): Buffer {
  const key = Buffer.alloc(OUTBOX_PREFIX.length + 8)
  OUTBOX_PREFIX.copy(key)
  key.writeBigUInt64BE(BigInt(commit), OUTBOX_PREFIX.length)
  return key
}

function readProgress(state: StateBackend): Progress | undefined {
  const stored = state.get(PROGRESS_KEY)
  return stored && (unpack(Buffer.from(stored)) as Progress)
}
