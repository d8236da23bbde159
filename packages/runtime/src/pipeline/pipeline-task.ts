import { RequestError } from '@millrace/client'
import {
  type ActorContext,
  type Behavior,
  type Cut,
  type Guarantee,
  MillraceError,
  type Plan,
  type QueryableStore,
  type ReplyTo,
  ResponseCode,
  receive,
  type Stage,
  type StateBackend,
  setup,
  TaskProgram,
} from '@millrace/core'
import { InputLane } from './input-lane.js'
import { Outbox, type OutboxBatch } from './outbox.js'
import type { Pulled, TopicReader, TopicWriter } from './topics.js'

export interface PipelineTaskOptions {
  readonly pipelineId: string
  readonly plan: Plan
  readonly stage: Stage
  readonly queue: number
  readonly reader: TopicReader
  readonly writer: TopicWriter
  readonly openState: () => Promise<StateBackend>
  readonly queueCount: (topic: string) => number
  readonly guarantee: Guarantee
  readonly migrate: boolean
  readonly commitIntervalMs: number
  /** Records read and not processed, plus outputs not acknowledged. */
  readonly inFlightMax: number
  readonly cacheEntriesMax: number
  /** Undefined: with what is stored, but not anew behind another process. */
  readonly startAt: 'first' | 'last' | number | undefined
  /** Kept up to date by the task, read by anybody. */
  readonly status: TaskStatus
  /** The task runs, and its stores can be read. Told again after each restart. */
  readonly onStarted: (stores: ReadonlyMap<string, QueryableStore>) => void
  /** The task cannot run and will not be restarted. */
  readonly onRefused: (error: Error) => void
  /** Something that was skipped or is tried again. */
  readonly onError: (error: Error) => void
}

/** What one task is doing. Counts are since the pipeline was started. */
export interface TaskStatus {
  readonly name: string
  /** The first of the topics that it reads. */
  readonly topic: string
  readonly queue: number
  state: 'starting' | 'running' | 'restarting' | 'stopped' | 'failed'
  recordsIn: number
  recordsOut: number
  late: number
  skipped: number
  duplicates: number
  commits: number
  restarts: number
  /** Event time up to which results are complete; minus infinity at first. */
  watermark: number
  /** Records in the queues that no commit covers yet. */
  lag: number
  /** Records read and not processed, plus outputs not acknowledged. */
  inFlight: number
}

/** Messages of a task; those that answer a wait carry the `life` that waited, so that a restarted task drops them. */
export type TaskMessage =
  | { readonly kind: 'stop'; readonly reply: ReplyTo<void> }
  | { readonly kind: 'commit-due' }
  | { readonly kind: 'answer'; readonly life: object; readonly handle: () => void }

const SEND_RETRY_MS_MIN = 100
const SEND_RETRY_MS_MAX = 5_000
const PULL_RECORDS_MAX = 1_024

/** A commit on its way to the disk, and the offsets that it covers. */
interface Committing {
  readonly cut: Cut
  readonly number: number
  readonly offsets: readonly (number | undefined)[]
}

/**
 * One task: pulls its queues, runs the `TaskProgram`, sends its outputs, commits its state.
 *
 *   opening → running → stopping → stopped
 *
 * Exactly once: a commit holds state, offsets and outputs; when it is on disk the outputs leave, and are sent until they are acknowledged, in
 * this life or a later one, with the same sequences. At least once: outputs leave as they are made, and a commit is written when every
 * output from before its cut is acknowledged.
 * Processing goes on meanwhile. Any failure but a retryable one of a pull or send restarts the task from its last commit.
 */
export function pipelineTask(options: PipelineTaskOptions): Behavior<TaskMessage> {
  return setup(context => {
    const task = new PipelineTask(options, context)
    task.open()
    return receive(message => task.handle(message))
  })
}

class PipelineTask {
  readonly #options: PipelineTaskOptions
  readonly #context: ActorContext<TaskMessage>
  readonly #isExactlyOnce: boolean
  readonly #aborted = new AbortController()
  /** Counts of earlier lives, to which this one's are added. */
  readonly #base: Readonly<TaskStatus>
  #state: StateBackend | undefined
  #program: TaskProgram | undefined
  #outbox: Outbox | undefined
  #lanes: readonly InputLane[] = []
  #sendRetryMs = SEND_RETRY_MS_MIN
  /** The commit under way. */
  #committing: Committing | undefined
  #isWriting = false
  /** At least once: number of the commit that takes what happens now. */
  #commitNumber = 0
  #isWakeDue = false
  #stopReply: ReplyTo<void> | undefined

  constructor(options: PipelineTaskOptions, context: ActorContext<TaskMessage>) {
    this.#options = options
    this.#context = context
    this.#isExactlyOnce = options.guarantee === 'exactly-once'
    if (options.status.state === 'restarting') options.status.restarts++
    this.#base = { ...options.status }
    context.onStop(() => this.#close())
  }

  open(): void {
    this.#wait(this.#load(), undefined)
  }

  handle(message: TaskMessage): void {
    switch (message.kind) {
      case 'answer':
        if (message.life === this) message.handle()
        return
      case 'commit-due':
        this.#tick()
        this.#quiet()
        this.#commit()
        this.#pump()
        return
      case 'stop':
        this.#stopReply = message.reply
        this.#aborted.abort()
        for (const lane of this.#lanes) lane.drop()
        this.#commit()
        this.#finishStop()
    }
  }

  /** Opens state and finds where to read on. A task without state writes its start first: it is the same after a crash. */
  async #load(): Promise<() => void> {
    const { openState, reader, startAt } = this.#options
    const state = await openState()
    if (this.#aborted.signal.aborted) {
      await state.close()
      throw new MillraceError('ABORTED', 'the task was stopped while it opened its state')
    }
    this.#state = state
    let program: TaskProgram
    try {
      program = this.#makeProgram(state)
    } catch (error) {
      return () => this.#refuse(error as Error)
    }
    const missing = await this.#stateElsewhere(program)
    if (missing !== undefined) return () => this.#refuse(missing)
    for (const [place, input] of program.inputs.entries()) {
      if (input.offset !== undefined) continue
      const queue = { topic: input.input.topic, queue: input.queue }
      // What lies in a repartition topic was made for state that is gone; a table is all that its topic holds.
      const isRepartition = input.input.from.kind === 'repartition'
      const position = input.isGlobal ? 'first' : isRepartition ? 'last' : (startAt ?? 'first')
      const reported = program.isStateful ? undefined : await reader.reported(queue)
      program.startAt(place, reported ?? (await reader.offsetAt(queue, position)))
    }
    await state.commit(program.cut().changes)
    program.settle()
    return () => this.#start(program)
  }

  /** State stays where it was made: a task that begins without it, where its group has come further, would count everything again. */
  async #stateElsewhere(program: TaskProgram): Promise<MillraceError | undefined> {
    const { reader, startAt } = this.#options
    if (!program.isStateful || startAt !== undefined) return undefined
    for (const input of program.inputs) {
      if (input.offset !== undefined || input.isGlobal) continue
      const reported = await reader.reported({ topic: input.input.topic, queue: input.queue })
      if (reported === undefined || reported === 0) continue
      return new MillraceError(
        'STATE_MISSING',
        `task "${program.name}" has no state here, but its pipeline has processed ${input.name} up to ${reported}: ` +
          'run it where its state directory is, or copy that, or begin anew with startAt',
      )
    }
    return undefined
  }

  #makeProgram(state: StateBackend): TaskProgram {
    const { pipelineId, plan, stage, queue, cacheEntriesMax, guarantee, migrate, queueCount, onError } = this.#options
    const { clock } = this.#context
    return new TaskProgram({
      pipelineId,
      plan,
      stage,
      queue,
      state,
      cacheEntriesMax,
      guarantee,
      migrate,
      queueCount,
      wallClock: () => clock.now(),
      after: (delayMs, work) => this.#context.after(delayMs, { kind: 'answer', life: this, handle: work }),
      wake: () => this.#wake(),
      now: clock.monotonic(),
      onSkipped: onError,
    })
  }

  #refuse(error: Error): void {
    this.#options.status.state = 'failed'
    this.#options.onRefused(error)
    this.#context.stop()
  }

  #start(program: TaskProgram): void {
    const { pipelineId, status, commitIntervalMs } = this.#options
    this.#program = program
    this.#lanes = program.inputs.map((input, place) => new InputLane(place, input))
    this.#outbox = new Outbox({ pipelineId, task: program.name, epoch: program.epoch })
    for (const { outputs, commit } of program.recovered) this.#outbox.add(outputs, commit)
    status.state = 'running'
    this.#context.every(commitIntervalMs, { kind: 'commit-due' })
    this.#options.onStarted(program.stores)
    if (this.#stopReply !== undefined) this.#finishStop()
    else this.#pump()
    this.#send()
  }

  /** Outputs that may still be made before some are acknowledged. */
  #room(outbox: Outbox): number {
    return Math.max(0, this.#options.inFlightMax - outbox.size - this.#committingCount)
  }

  /** Outputs in the commit under way. */
  get #committingCount(): number {
    return this.#committing?.cut.outbox?.outputs.length ?? 0
  }

  /** Moves whatever can move: records through the program, outputs out, the next pulls in. */
  #pump(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined) return
    const now = this.#context.clock.monotonic()
    while (!program.isCommitDue && !program.isBusy && this.#room(outbox) > 0) {
      const lane = this.#nextLane()
      if (lane === undefined) break
      lane.run((records, from) => program.process(lane.place, records, from, now, this.#room(outbox)))
      this.#takeOutputs(program, outbox)
    }
    if (program.isCommitDue) this.#commit()
    this.#send()
    for (const lane of this.#lanes) this.#pull(lane)
    this.#show()
  }

  /** Global tables first, up to their ends; then what was made first. */
  #nextLane(): InputLane | undefined {
    let next: InputLane | undefined
    for (const lane of this.#lanes) {
      if (lane.isGlobal && !lane.isAtEnd) return lane.size > 0 ? lane : undefined
      if (lane.size > 0 && (next === undefined || lane.nextTimestamp < next.nextTimestamp)) next = lane
    }
    return next
  }

  #takeOutputs(program: TaskProgram, outbox: Outbox): void {
    if (!this.#isExactlyOnce) outbox.add(program.takeOutputs(), this.#commitNumber)
  }

  #pull(lane: InputLane): void {
    const { reader, inFlightMax } = this.#options
    const share = Math.max(1, Math.floor(inFlightMax / this.#lanes.length))
    const room = Math.min(share - lane.size, inFlightMax - this.#inFlight())
    if (lane.isPulling || this.#stopReply !== undefined || room < Math.max(1, share / 4)) return
    lane.isPulling = true
    const request = reader.pull(lane.source, lane.nextOffset, Math.min(room, PULL_RECORDS_MAX), this.#aborted.signal)
    this.#wait(
      request.then(pulled => () => this.#take(lane, pulled)),
      error => this.#retryPull(lane, error),
    )
  }

  #take(lane: InputLane, pulled: Pulled): void {
    lane.isPulling = false
    if (this.#stopReply !== undefined) return
    const { topic, queue } = lane.source
    const { nextOffset, minOffset, maxOffset } = pulled
    if (maxOffset < lane.nextOffset || minOffset > lane.nextOffset) {
      const reason =
        maxOffset < lane.nextOffset
          ? `the queue ends at ${maxOffset}`
          : `records before ${minOffset} are no longer stored`
      const message = `task "${this.#program!.name}" cannot read on at ${topic}/${queue}@${lane.nextOffset}: ${reason}; going on at ${nextOffset}`
      this.#options.onError(new MillraceError('REQUEST_FAILED', message))
      if (nextOffset < lane.nextOffset) this.#program!.startAt(lane.place, nextOffset)
    }
    lane.take(pulled)
    this.#quiet()
    this.#pump()
  }

  #retryPull(lane: InputLane, error: Error): void {
    if (this.#stopReply !== undefined) {
      lane.isPulling = false
      return
    }
    this.#options.onError(error)
    this.#later(lane.nextRetryMs(), () => {
      lane.isPulling = false
      this.#pump()
    })
  }

  /** Lets inputs become idle while their queues have nothing for us. */
  #quiet(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined || this.#stopReply !== undefined) return
    for (const lane of this.#lanes) {
      if (!lane.isAtEnd || this.#room(outbox) === 0 || program.isCommitDue) continue
      program.quiet(lane.place, this.#context.clock.monotonic(), this.#room(outbox))
      this.#takeOutputs(program, outbox)
    }
  }

  /** Does what is due by wall clock or was answered. */
  #tick(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined || this.#stopReply !== undefined) return
    if (this.#room(outbox) === 0 || program.isCommitDue) return
    program.tick(this.#room(outbox))
    this.#takeOutputs(program, outbox)
  }

  /** An asynchronous operator has an answer. Many that come in one turn are one message. */
  #wake(): void {
    if (this.#isWakeDue) return
    this.#isWakeDue = true
    const handle = (): void => {
      this.#isWakeDue = false
      this.#tick()
      this.#pump()
    }
    this.#context.self.tell({ kind: 'answer', life: this, handle })
  }

  #send(): void {
    for (const batch of this.#outbox?.takeDue() ?? []) this.#sendBatch(batch)
  }

  #sendBatch({ lane, target, messages }: OutboxBatch): void {
    this.#wait(
      this.#options.writer.send(target, messages).then(() => () => {
        this.#sendRetryMs = SEND_RETRY_MS_MIN
        const done = this.#outbox!.sent(lane)
        if (this.#isExactlyOnce) for (const commit of done) this.#program!.trim(commit)
        this.#writeCommit()
        this.#pump()
        this.#finishStop()
      }),
      error => this.#retrySend(lane, error),
    )
  }

  #retrySend(lane: string, error: Error): void {
    if (error instanceof MillraceError && error.code === 'INVALID_ARGUMENT') throw error
    // Another process runs the task now: what this one has not committed is the other's to do.
    if (error instanceof RequestError && error.responseCode === ResponseCode.ILLEGAL_OPERATION) throw error
    this.#options.onError(error)
    const outbox = this.#outbox!
    this.#later(this.#sendRetryMs, () => this.#sendBatch(outbox.again(lane)))
    this.#sendRetryMs = Math.min(SEND_RETRY_MS_MAX, this.#sendRetryMs * 2)
  }

  #commit(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined || this.#committing !== undefined || !program.hasProgress) return
    program.announceWatermark()
    this.#takeOutputs(program, outbox)
    this.#committing = {
      cut: program.cut(),
      number: this.#commitNumber++,
      offsets: program.inputs.map(input => input.offset),
    }
    this.#send()
    this.#writeCommit()
  }

  #writeCommit(): void {
    const committing = this.#committing
    if (committing === undefined || this.#isWriting) return
    if (!this.#isExactlyOnce && this.#outbox!.openUntil(committing.number) > 0) return
    this.#isWriting = true
    this.#wait(
      this.#state!.commit(committing.cut.changes).then(() => () => {
        this.#isWriting = false
        this.#committing = undefined
        this.#committed(committing)
        if (this.#stopReply !== undefined) this.#commit()
        this.#pump()
        this.#finishStop()
      }),
      undefined,
    )
  }

  #committed({ cut: { outbox }, offsets }: Committing): void {
    this.#program!.settle()
    this.#options.status.commits++
    if (outbox !== undefined) this.#outbox!.add(outbox.outputs, outbox.commit)
    for (const lane of this.#lanes) {
      const offset = offsets[lane.place]
      if (offset === undefined || offset === lane.committedOffset) continue
      lane.committedOffset = offset
      if (!lane.isGlobal) this.#options.reader.report(lane.source, offset)
    }
  }

  #finishStop(): void {
    const program = this.#program
    if (this.#stopReply === undefined || program === undefined) return
    if (this.#committing !== undefined || this.#outbox!.size > 0) return
    if (program.hasProgress) {
      this.#commit()
      return
    }
    this.#show()
    this.#options.status.state = 'stopped'
    this.#context.stop()
  }

  async #close(): Promise<void> {
    const { status } = this.#options
    if (status.state === 'running' || status.state === 'starting') status.state = 'restarting'
    this.#aborted.abort()
    this.#program?.close()
    await this.#state?.close()
    this.#stopReply?.tell(undefined)
  }

  #inFlight(): number {
    let count = (this.#outbox?.size ?? 0) + this.#committingCount + (this.#program?.outputCount ?? 0)
    for (const lane of this.#lanes) count += lane.size
    return count
  }

  #show(): void {
    const { status } = this.#options
    const { counters, watermark } = this.#program!
    status.recordsIn = this.#base.recordsIn + counters.recordsIn
    status.recordsOut = this.#base.recordsOut + counters.recordsOut
    status.late = this.#base.late + counters.late
    status.skipped = this.#base.skipped + counters.skipped
    status.duplicates = this.#base.duplicates + counters.duplicates
    status.watermark = watermark
    status.lag = this.#lanes.reduce((sum, lane) => sum + lane.lag, 0)
    status.inFlight = this.#inFlight()
  }

  /** Brings the outcome of a promise back as a message. Without `onFailure`, a failure is the actor's. */
  #wait(promise: Promise<() => void>, onFailure: ((error: Error) => void) | undefined): void {
    const tell = (handle: () => void): void => this.#context.self.tell({ kind: 'answer', life: this, handle })
    promise.then(tell, (error: Error) =>
      tell(() => {
        if (onFailure === undefined) throw error
        onFailure(error)
      }),
    )
  }

  #later(delayMs: number, handle: () => void): void {
    this.#context.after(delayMs, { kind: 'answer', life: this, handle })
  }
}
