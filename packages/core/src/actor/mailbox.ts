import { MillraceError } from '../errors.js'
import { failAllAsks, failAsksOf, PendingAsk } from './ask.js'
import type { Dispatcher, Drainable } from './dispatcher.js'
import type { SystemCore } from './system-core.js'
import type { ActorRef, MailboxOptions, ReplyTo, Supervision } from './types.js'

/**
 * Life of a mailbox. Messages are accepted up to SUSPENDED.
 *
 *     STARTING → RUNNING → SUSPENDED → STARTING     a restart, or a passivation that messages overtook
 *                          SUSPENDED → INACTIVE → STARTING     virtual actors only
 *     any → STOPPING → STOPPED
 */
export const STARTING = 0
export const RUNNING = 1
export const SUSPENDED = 2
export const INACTIVE = 3
export const STOPPING = 4
export const STOPPED = 5

/** How messages reach the behaviour. */
export const EACH = 0
export const BATCH = 1
export const STREAM = 2

/** What actors spawned with the same options share. */
export interface Settings {
  readonly capacity: number
  readonly overflow: MailboxOptions['overflow']
  readonly dispatcher: Dispatcher
  readonly supervision: Supervision
  /** Parents that the system made itself: failures are not escalated to them. */
  readonly isGuardian: boolean
  /** Half idle times that have passed, for virtual actors. */
  epoch: number
}

/**
 * The half of an actor that others touch: queue, overflow, drain. Everything is lazy, so that an idle actor is this
 * object and little else; the queue exists while messages wait.
 */
export abstract class Mailbox<M> implements ActorRef<M>, Drainable {
  abstract readonly path: string
  readonly core: SystemCore
  readonly settings: Settings
  state: number
  mode: number = EACH
  handle: ((input: never, context: never) => void) | undefined = undefined
  asks: PendingAsk[] | undefined = undefined
  handledCount = 0
  overflowCount = 0
  /** `settings.epoch` at the last drain. */
  lastEpoch = 0
  /** On the dispatcher's list, or not to be put there for now. */
  isScheduled = false
  isDraining = false
  /** Messages are `queue[begin]` to `queue[end - 1]`; places outside hold undefined. */
  queue: (M | undefined)[] | undefined = undefined
  begin = 0
  end = 0
  /** When the oldest message came, roughly; monotonic milliseconds. */
  #sinceMs = 0

  constructor(core: SystemCore, settings: Settings, state: number) {
    this.core = core
    this.settings = settings
    this.state = state
  }

  /** Runs the behaviour; afterwards the state is RUNNING, or what a failure made of it. Never throws. */
  protected abstract start(): void
  protected abstract publish(batch: readonly M[]): void
  protected abstract readonly hasSubscriber: boolean
  protected abstract fail(error: unknown, lost: readonly unknown[]): void
  protected abstract tearDown(): void
  /** Who takes the messages of a closed mailbox; nobody if undefined. */
  protected abstract successor(): Mailbox<M> | undefined

  get depth(): number {
    return this.end - this.begin
  }

  get ageMs(): number {
    return this.depth === 0 ? 0 : Math.max(0, this.core.environment.clock.monotonic() - this.#sinceMs)
  }

  tell(message: M): void {
    if (this.state > SUSPENDED) {
      this.#tellClosed(message)
      return
    }
    if (this.end - this.begin >= this.settings.capacity && !this.#makeRoom(message)) return
    const { queue } = this
    if (queue === undefined) {
      this.#tellFirst(message)
      return
    }
    queue[this.end++] = message
    if (!this.isScheduled) this.wake()
  }

  ask<R>(make: (reply: ReplyTo<R>) => M, deadlineMs: number): Promise<R> {
    const target = this.state > SUSPENDED ? (this.successor() ?? this) : this
    return new Promise<R>((resolve, reject) => {
      const deadlines = this.core.asks.listFor(deadlineMs)
      const ask = new PendingAsk(target, deadlines, deadlines.dueMs(), resolve as (value: unknown) => void, reject)
      const message = make(ask)
      if (!ask.isSettled) ask.register(message)
      target.tell(message)
    })
  }

  wake(): void {
    this.isScheduled = true
    this.settings.dispatcher.add(this)
  }

  drain(): number {
    if (this.state >= SUSPENDED) return 1
    this.isScheduled = false
    this.isDraining = true
    this.lastEpoch = this.settings.epoch
    if (this.state === STARTING) this.start()
    const handled = this.state === RUNNING && this.end > this.begin ? this.#drainQueue() : 0
    this.handledCount += handled
    this.isDraining = false
    if (this.state > RUNNING) this.tearDown()
    return 1 + handled
  }

  /** Lets go of what waits, as dead letters. */
  discard(): void {
    const { queue, begin, end } = this
    if (queue === undefined) return
    this.queue = undefined
    this.begin = this.end = 0
    const lost = queue.slice(begin, end)
    failAsksOf(this, lost, this.stoppedError())
    for (const message of lost) this.core.deadLetter(this.path, message, 'stopped')
  }

  failAsks(): void {
    if (this.asks) failAllAsks(this, this.stoppedError())
  }

  protected stoppedError(): MillraceError {
    return new MillraceError(
      'ACTOR_STOPPED',
      `actor "${this.path}" is stopped; ask again once it has been started anew`,
    )
  }

  #drainQueue(): number {
    const { mode } = this
    if (mode === STREAM && !this.hasSubscriber) return 0
    const queue = this.queue!
    const { begin, end } = this
    this.queue = undefined
    this.begin = this.end = 0
    if (mode === EACH) return this.#handleEach(queue, begin, end)
    const batch = (begin === 0 && end === queue.length ? queue : queue.slice(begin, end)) as M[]
    try {
      if (mode === STREAM) this.publish(batch)
      else (this.handle as (batch: readonly M[], context: this) => void)(batch, this)
    } catch (error) {
      this.fail(error, batch)
    }
    return batch.length
  }

  #handleEach(queue: (M | undefined)[], begin: number, end: number): number {
    const handle = this.handle as (message: M, context: this) => void
    let next = begin
    let current: M
    try {
      while (next < end && this.state === RUNNING) {
        current = queue[next] as M
        queue[next++] = undefined
        handle(current, this)
      }
    } catch (error) {
      this.fail(error, [current!])
    }
    if (next < end) this.#putBack(queue, next, end)
    else this.core.giveQueue(queue)
    return next - begin
  }

  /** Returns messages that were taken and not handled to the front. */
  #putBack(queue: (M | undefined)[], begin: number, end: number): void {
    if (this.queue === undefined) {
      this.queue = queue
      this.begin = begin
      this.end = end
    } else {
      this.queue = queue.slice(begin, end).concat(this.queue.slice(this.begin, this.end))
      this.begin = 0
      this.end = this.queue.length
    }
    if (!this.isScheduled) this.wake()
  }

  #tellFirst(message: M): void {
    // Batches are given away, so only messages handled one by one can come in a queue that is used again.
    const queue = (this.mode === EACH ? this.core.takeQueue() : []) as (M | undefined)[]
    queue[0] = message
    this.queue = queue
    this.begin = 0
    this.end = 1
    const { dispatcher } = this.settings
    if (!this.isScheduled) this.wake()
    this.#sinceMs =
      this.state === SUSPENDED ? Math.trunc(this.core.environment.clock.monotonic()) : dispatcher.scheduledAtMs
  }

  #tellClosed(message: M): void {
    const successor = this.successor()
    if (successor) {
      successor.tell(message)
      return
    }
    failAsksOf(this, [message], this.stoppedError())
    this.core.deadLetter(this.path, message, 'stopped')
  }

  /** The mailbox is full. Returns whether `message` may come in. */
  #makeRoom(message: M): boolean {
    this.overflowCount++
    const { overflow, capacity } = this.settings
    let lost = message
    if (overflow === 'drop-oldest') {
      lost = this.queue![this.begin] as M
      this.queue![this.begin++] = undefined
      if (this.begin >= capacity) this.#compact()
    }
    if (this.asks) failAsksOf(this, [lost], this.#fullError())
    if (overflow === 'reject') this.core.deadLetter(this.path, message, 'mailbox full')
    return overflow === 'drop-oldest'
  }

  #compact(): void {
    this.queue = this.queue!.slice(this.begin, this.end)
    this.begin = 0
    this.end = this.queue.length
  }

  #fullError(): MillraceError {
    const message = `mailbox of actor "${this.path}" is full (${this.settings.capacity} messages); retry later or raise mailbox.capacity`
    return new MillraceError('MAILBOX_FULL', message)
  }
}
