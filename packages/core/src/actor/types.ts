import type { Observable } from 'rxjs'
import type { Clock } from '../ports/clock.js'
import type { Environment } from '../ports/environment.js'
import type { Random } from '../ports/random.js'
import type { Cancel } from '../ports/scheduler.js'

/**
 * What an actor does: turns its inbox into work. Each emission of `inbox` is everything that waited when the actor's turn came,
 * oldest first, never empty. An error of the result is a failure (its supervision decides), its completion stops the
 * actor. Messages wait, bounded by the mailbox, until the behaviour subscribes. Prefer `receive`, `receiveBatch` and `setup`
 * where no operators are needed: they cost a call per message or batch instead of a pipeline.
 */
export type Behavior<M> = (inbox: Observable<readonly M[]>, context: ActorContext<M>) => Observable<unknown>

/** Address of an actor. Where the actor runs is not the sender's business. */
export interface ActorRef<M> {
  /** Names from the system down to the actor, joined by `/`. */
  readonly path: string
  /**
   * Queues a message; messages of one sender arrive in order. Never blocks, never throws: what cannot be
   * delivered becomes a dead letter. The message is given away: the sender does not change it afterwards.
   */
  tell(message: M): void
  /**
   * Sends the message that `make` builds around a reply address, and waits for the reply.
   * @param deadlineMs  how long to wait, in milliseconds.
   * @throws (rejects) MillraceError TIMEOUT | ACTOR_STOPPED | MAILBOX_FULL, what the actor passed to `reply.fail`, or what
   *   a `receive` or `receiveBatch` handler threw at this message.
   */
  ask<R>(make: (reply: ReplyTo<R>) => M, deadlineMs: number): Promise<R>
}

/** Where an answer goes. The first answer counts, later ones are ignored. Both functions can be passed on unbound. */
export interface ReplyTo<R> {
  readonly tell: (value: R) => void
  readonly fail: (error: Error) => void
}

/** What an actor can reach. Valid while the actor lives; not to be used by anybody else. */
export interface ActorContext<M> {
  readonly self: ActorRef<M>
  readonly name: string
  readonly system: ActorSystem
  readonly clock: Clock
  readonly random: Random
  readonly environment: Environment
  /**
   * Starts a child; it stops with this actor, and when this actor restarts.
   * @throws MillraceError INVALID_ARGUMENT for a name that is empty, contains `/` or is taken; ACTOR_STOPPED.
   */
  spawn<C>(name: string, behavior: Behavior<C>, options?: SpawnOptions): ActorRef<C>
  /**
   * Stops a child, or this actor itself, after the message it handles now. What waits in the mailbox becomes dead
   * letters. A virtual actor that stops itself is activated anew by the next message, waiting ones included.
   * @throws MillraceError INVALID_ARGUMENT for an actor that is not a child.
   */
  stop(child?: ActorRef<never>): void
  /**
   * Tells `message` to this actor once `ref` has stopped (at once if it already has). Forgotten at restart.
   * @throws MillraceError INVALID_ARGUMENT for a virtual actor: those never stop for good.
   */
  watch(ref: ActorRef<never>, message: M): void
  /** Tells `message` to this actor once. Cancelled when it stops or restarts. */
  after(delayMs: number, message: M): Cancel
  /** Tells `message` to this actor again and again. Cancelled when it stops or restarts. */
  every(intervalMs: number, message: M): Cancel
  /**
   * Runs when this actor stops, is passivated or restarts, after its children stopped; the last one registered runs first.
   * A cleanup that fails is reported as a failure and does not keep the others from running.
   */
  onStop(cleanup: () => void | Promise<void>): void
}

export interface SpawnOptions {
  readonly mailbox?: MailboxOptions
  /**
   * When the mailbox is drained: after the current callback (`microtask`, the default), or once per turn of the event loop, after
   * all I/O that is ready (`turn`): larger batches, later.
   */
  readonly dispatch?: 'microtask' | 'turn'
  /** What happens when the actor fails. Default: `DEFAULT_SUPERVISION`. */
  readonly supervision?: Supervision
}

export interface MailboxOptions {
  /** Messages that may wait. Default 65,536. */
  readonly capacity: number
  /**
   * What a full mailbox does: `reject` makes the new message a dead letter, the `drop-` policies let the oldest or the newest
   * go (counted, no dead letter). An ask whose message is lost fails with MAILBOX_FULL in each case.
   */
  readonly overflow: 'reject' | 'drop-oldest' | 'drop-newest'
}

export type Supervision =
  /** Goes on with the next message and the same state; a pipeline, which ends with its error, starts anew at once. */
  | { readonly kind: 'resume' }
  /** Starts anew, with the messages that wait: see RestartSupervision. */
  | RestartSupervision
  | { readonly kind: 'stop' }
  /** Stops the actor and fails its parent, whose own supervision decides. For an actor without a parent: `stop`. */
  | { readonly kind: 'escalate' }

/**
 * Restart number n within `windowMs` waits `backoffMsMin · 2^(n-1)` milliseconds, at most `backoffMsMax`, plus up to a fifth at
 * random. After more than `restartsMax` failures within `windowMs` the actor stops. Fields left out are those of
 * `DEFAULT_SUPERVISION`. The message that failed is not handled again.
 */
export interface RestartSupervision {
  readonly kind: 'restart'
  readonly backoffMsMin?: number
  readonly backoffMsMax?: number
  readonly restartsMax?: number
  readonly windowMs?: number
}

/** A message that nobody will handle. */
export interface DeadLetter {
  /** Path of the actor it was meant for. */
  readonly recipient: string
  readonly message: unknown
  readonly reason: 'stopped' | 'mailbox full'
}

/** An actor failed, or one of its cleanups did. */
export interface ActorFailure {
  readonly path: string
  readonly error: unknown
  /** What was done about it. `none` for cleanups: the actor was stopping anyway. */
  readonly action: Supervision['kind'] | 'none'
}

/** What one actor looks like right now. Counts are since it was spawned or activated. */
export interface ActorInspection {
  readonly path: string
  readonly state: 'running' | 'restarting' | 'passivating' | 'stopping'
  /** Messages waiting. */
  readonly depth: number
  readonly capacity: number
  /** How long the oldest waiting message has waited, in milliseconds, to within a turn of the event loop. */
  readonly ageMs: number
  readonly handledCount: number
  /** Messages handled per second since the last call of `inspect`. */
  readonly ratePerSecond: number
  /** Messages that a full mailbox did not take or let go. */
  readonly overflowCount: number
  readonly restartCount: number
  readonly childCount: number
}

export interface ActorSystem {
  readonly name: string
  readonly environment: Environment
  /**
   * Starts an actor. Its behaviour runs later, not within the call.
   * @throws MillraceError INVALID_ARGUMENT for a name that is empty, contains `/` or is taken; ACTOR_STOPPED.
   */
  spawn<M>(name: string, behavior: Behavior<M>, options?: SpawnOptions): ActorRef<M>
  /**
   * Declares a family of actors that always exist: each is activated by its first message (`make` gives its behaviour) and
   * passivated once it was idle for `idleMs` to 1.5 `idleMs` milliseconds, which runs its cleanups and forgets its state.
   * Messages that arrive meanwhile are handled by the next activation. An actor with children, timers or asks that it
   * has not answered is not idle.
   * @throws MillraceError INVALID_ARGUMENT for a kind that is empty, contains `/` or is taken; ACTOR_STOPPED.
   */
  virtual<M>(
    kind: string,
    make: (key: string) => Behavior<M>,
    options: { readonly idleMs: number } & SpawnOptions,
  ): VirtualActors<M>
  /** Messages that were lost from now on. Nothing is kept for late subscribers. */
  readonly deadLetters: Observable<DeadLetter>
  /** Failures from now on, for the log. Nothing is kept for late subscribers. */
  readonly failures: Observable<ActorFailure>
  /** Every actor that is active, parents before children. */
  inspect(): ActorInspection[]
  /** Stops every actor, the last one spawned first, and resolves when all cleanups are done. May be called twice. */
  stop(): Promise<void>
}

export interface VirtualActors<M> {
  /** The address of the actor with this key. Costs nothing lasting until a message is told. */
  get(key: string): ActorRef<M>
  readonly activeCount: number
}
