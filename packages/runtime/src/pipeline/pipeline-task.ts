import {
  type ActorContext,
  type Behavior,
  type Cut,
  type InputRecord,
  MillraceError,
  type Plan,
  type ReplyTo,
  receive,
  type Stage,
  type StateBackend,
  setup,
  TaskProgram,
} from '@millrace/core'
import { Outbox, type OutboxBatch } from './outbox.js'
import type { Pulled, QueueIndex, TopicReader, TopicWriter } from './topics.js'

export interface PipelineTaskOptions {
  readonly pipelineId: string
  readonly plan: Plan
  readonly stage: Stage
  readonly queue: number
  readonly reader: TopicReader
  readonly writer: TopicWriter
  readonly openState: () => Promise<StateBackend>
  readonly queueCount: (topic: string) => number
  readonly commitIntervalMs: number
  /** Records read and not processed, plus outputs not acknowledged. */
  readonly inFlightMax: number
  readonly cacheEntriesMax: number
  readonly startAt: 'first' | 'last'
  /** Kept up to date by the task, read by anybody. */
  readonly status: TaskStatus
  /** The task runs. Told again after each restart. */
  readonly onStarted: () => void
  /** The task cannot run and will not be restarted. */
  readonly onRefused: (error: Error) => void
  /** Something that was skipped or is tried again. */
  readonly onError: (error: Error) => void
}

/** What one task is doing. Counts are since the pipeline was started. */
export interface TaskStatus {
  readonly name: string
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
  /** Records in the queue that no commit covers yet. */
  lag: number
  /** Records read and not processed, plus outputs not acknowledged. */
  inFlight: number
}

/** Messages of a task; those that answer a wait carry the `life` that waited, so that a restarted task drops them. */
export type TaskMessage =
  | { readonly kind: 'stop'; readonly reply: ReplyTo<void> }
  | { readonly kind: 'commit-due' }
  | { readonly kind: 'answer'; readonly life: object; readonly handle: () => void }

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000
const PULL_RECORDS_MAX = 1_024

/**
 * One task: pulls a queue, runs the `TaskProgram`, sends its outputs, commits its state.
 *
 *   opening → running → stopping → stopped
 *
 * A commit begins with a cut of state and offset, waits until every output from before the cut is acknowledged, and then writes.
 * Processing goes on meanwhile. So state never covers an input whose outputs could still be lost; outputs may come
 * twice, with the same sequence. Any failure but a retryable one of a pull or send restarts the task from its last commit.
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
  readonly #source: QueueIndex
  readonly #aborted = new AbortController()
  /** Counts of earlier lives, to which this one's are added. */
  readonly #base: Readonly<TaskStatus>
  #state: StateBackend | undefined
  #program: TaskProgram | undefined
  #outbox: Outbox | undefined
  #pulled: readonly InputRecord[] = []
  #done = 0
  #isPulling = false
  #nextOffset = 0
  #maxOffset: number | undefined
  #pullRetryMs = RETRY_MS_MIN
  #sendRetryMs = RETRY_MS_MIN
  /** The commit under way. */
  #committing: Cut | undefined
  #isWriting = false
  #committedOffset = 0
  #stopReply: ReplyTo<void> | undefined

  constructor(options: PipelineTaskOptions, context: ActorContext<TaskMessage>) {
    this.#options = options
    this.#context = context
    this.#source = { topic: options.stage.topic, queue: options.queue }
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
        this.#quiet()
        this.#commit()
        this.#pump()
        return
      case 'stop':
        this.#stopReply = message.reply
        this.#aborted.abort()
        this.#pulled = []
        this.#done = 0
        this.#commit()
        this.#finishStop()
    }
  }

  /** Opens state and finds where to read on. A task without state writes its start first: it is the same after a crash. */
  async #load(): Promise<() => void> {
    const { openState, reader, stage, startAt } = this.#options
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
    // What lies in a repartition topic was made for state that is gone.
    const end = stage.input.kind === 'repartition' ? 'last' : startAt
    if (program.offset === undefined) program.startAt(await reader.endOffset(this.#source, end))
    await state.commit(program.cut().changes)
    program.settle()
    return () => this.#start(program)
  }

  #makeProgram(state: StateBackend): TaskProgram {
    const { pipelineId, plan, stage, queue, cacheEntriesMax, queueCount, onError } = this.#options
    const now = this.#context.clock.monotonic()
    return new TaskProgram({
      pipelineId,
      plan,
      stage,
      queue,
      state,
      cacheEntriesMax,
      queueCount,
      now,
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
    this.#outbox = new Outbox({ pipelineId, task: program.name, epoch: program.epoch })
    this.#nextOffset = this.#committedOffset = program.offset ?? 0
    status.state = 'running'
    this.#context.every(commitIntervalMs, { kind: 'commit-due' })
    this.#options.onStarted()
    if (this.#stopReply !== undefined) this.#finishStop()
    else this.#pump()
  }

  /** Moves whatever can move: records through the program, outputs out, the next pull in. */
  #pump(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined) return
    while (this.#done < this.#pulled.length && outbox.size < this.#options.inFlightMax && !program.isCommitDue) {
      const now = this.#context.clock.monotonic()
      this.#done = program.process(this.#pulled, this.#done, now, this.#options.inFlightMax - outbox.size)
      outbox.add(program.takeOutputs())
    }
    if (program.isCommitDue) this.#commit()
    this.#send()
    this.#pull()
    this.#show()
  }

  #pull(): void {
    const { reader, inFlightMax } = this.#options
    const room = inFlightMax - this.#inFlight()
    if (this.#isPulling || this.#stopReply !== undefined || room < Math.max(1, inFlightMax / 4)) return
    this.#isPulling = true
    const request = reader.pull(this.#source, this.#nextOffset, Math.min(room, PULL_RECORDS_MAX), this.#aborted.signal)
    this.#wait(
      request.then(pulled => () => this.#take(pulled)),
      error => this.#retryPull(error),
    )
  }

  #take({ records, nextOffset, minOffset, maxOffset }: Pulled): void {
    this.#isPulling = false
    this.#pullRetryMs = RETRY_MS_MIN
    if (this.#stopReply !== undefined) return
    const { topic, queue } = this.#source
    if (maxOffset < this.#nextOffset || minOffset > this.#nextOffset) {
      const reason =
        maxOffset < this.#nextOffset
          ? `the queue ends at ${maxOffset}`
          : `records before ${minOffset} are no longer stored`
      const message = `task "${this.#program!.name}" cannot read on at ${topic}/${queue}@${this.#nextOffset}: ${reason}; going on at ${nextOffset}`
      this.#options.onError(new MillraceError('REQUEST_FAILED', message))
      if (nextOffset < this.#nextOffset) this.#program!.startAt(nextOffset)
    }
    this.#pulled = this.#done < this.#pulled.length ? [...this.#pulled.slice(this.#done), ...records] : records
    this.#done = 0
    this.#nextOffset = nextOffset
    this.#maxOffset = maxOffset
    this.#quiet()
    this.#pump()
  }

  #retryPull(error: Error): void {
    if (this.#stopReply !== undefined) {
      this.#isPulling = false
      return
    }
    this.#options.onError(error)
    this.#later(this.#pullRetryMs, () => {
      this.#isPulling = false
      this.#pump()
    })
    this.#pullRetryMs = Math.min(RETRY_MS_MAX, this.#pullRetryMs * 2)
  }

  /** Lets inputs become idle while the queue has nothing for us. */
  #quiet(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined || this.#stopReply !== undefined) return
    if (this.#done < this.#pulled.length || this.#maxOffset === undefined || this.#nextOffset < this.#maxOffset) return
    if (outbox.size >= this.#options.inFlightMax || program.isCommitDue) return
    program.quiet(this.#context.clock.monotonic(), this.#options.inFlightMax - outbox.size)
    outbox.add(program.takeOutputs())
  }

  #send(): void {
    for (const batch of this.#outbox?.takeDue() ?? []) this.#sendBatch(batch)
  }

  #sendBatch({ lane, target, messages }: OutboxBatch): void {
    this.#wait(
      this.#options.writer.send(target, messages).then(() => () => {
        this.#sendRetryMs = RETRY_MS_MIN
        this.#outbox?.sent(lane)
        this.#writeCommit()
        this.#pump()
        this.#finishStop()
      }),
      error => this.#retrySend(lane, error),
    )
  }

  #retrySend(lane: string, error: Error): void {
    if (error instanceof MillraceError && error.code === 'INVALID_ARGUMENT') throw error
    this.#options.onError(error)
    const outbox = this.#outbox!
    this.#later(this.#sendRetryMs, () => this.#sendBatch(outbox.again(lane)))
    this.#sendRetryMs = Math.min(RETRY_MS_MAX, this.#sendRetryMs * 2)
  }

  #commit(): void {
    const program = this.#program
    const outbox = this.#outbox
    if (program === undefined || outbox === undefined || this.#committing !== undefined || !program.hasProgress) return
    program.announceWatermark()
    outbox.add(program.takeOutputs())
    outbox.cut()
    this.#committing = program.cut()
    this.#send()
    this.#writeCommit()
  }

  #writeCommit(): void {
    const committing = this.#committing
    if (committing === undefined || this.#isWriting || this.#outbox!.beforeCut > 0) return
    this.#isWriting = true
    this.#wait(
      this.#state!.commit(committing.changes).then(() => () => {
        this.#isWriting = false
        this.#committing = undefined
        this.#program!.settle()
        this.#options.status.commits++
        if (committing.offset !== undefined) {
          this.#committedOffset = committing.offset
          this.#options.reader.report(this.#source, committing.offset)
        }
        if (this.#stopReply !== undefined) this.#commit()
        this.#pump()
        this.#finishStop()
      }),
      undefined,
    )
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
    return this.#pulled.length - this.#done + (this.#outbox?.size ?? 0)
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
    status.lag = Math.max(0, (this.#maxOffset ?? this.#committedOffset) - this.#committedOffset)
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
