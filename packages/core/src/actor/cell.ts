import { MillraceError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Environment } from '../ports/environment.js'
import type { Random } from '../ports/random.js'
import type { Cancel } from '../ports/scheduler.js'
import { failAsksOf } from './ask.js'
import { planOf } from './behavior.js'
import { CellLife, type Goal } from './cell-life.js'
import {
  BATCH,
  EACH,
  INACTIVE,
  Mailbox,
  RUNNING,
  type Settings,
  STARTING,
  STOPPED,
  STOPPING,
  STREAM,
  SUSPENDED,
} from './mailbox.js'
import { ActorPipeline, type PipelineOwner } from './pipeline.js'
import { judge } from './supervision.js'
import type { SystemCore } from './system-core.js'
import type { ActorContext, ActorFailure, ActorRef, ActorSystem, Behavior, SpawnOptions } from './types.js'

/** A cell whose messages are nobody's business here. */
export type AnyCell = ActorCell<unknown>

/** The family of a virtual actor. */
export interface Family<M> {
  make(key: string): Behavior<M>
  /** The active cell for the key of `cell`: this one, unless another is active already. Undefined after the end. */
  activate(cell: ActorCell<M>): ActorCell<M> | undefined
}

/**
 * One actor: address, mailbox and context in one object, so that an idle one stays small.
 *
 * Closing goes through the same steps for each goal: timers, watches and pipeline end at once; then the children stop;
 * then the cleanups run; then the actor is stopped, inactive, or waits for its restart. `stop` overrides the other goals.
 */
export class ActorCell<M> extends Mailbox<M> implements ActorContext<M>, PipelineOwner<M> {
  readonly name: string
  readonly parent: AnyCell | undefined
  /** Undefined for virtual actors: their family makes it anew each time. */
  readonly #behavior: Behavior<M> | undefined
  readonly #family: Family<M> | undefined
  life: CellLife<AnyCell, M> | undefined = undefined

  constructor(
    core: SystemCore,
    parent: AnyCell | undefined,
    name: string,
    settings: Settings,
    source: Behavior<M> | Family<M>,
  ) {
    const isVirtual = typeof source !== 'function'
    super(core, settings, isVirtual ? INACTIVE : STARTING)
    this.name = name
    this.parent = parent
    this.#behavior = isVirtual ? undefined : source
    this.#family = isVirtual ? source : undefined
  }

  get path(): string {
    return this.parent ? `${this.parent.path}/${this.name}` : this.name
  }

  get self(): ActorRef<M> {
    return this
  }

  get system(): ActorSystem {
    return this.core.system
  }

  get environment(): Environment {
    return this.core.environment
  }

  get clock(): Clock {
    return this.core.environment.clock
  }

  get random(): Random {
    return this.core.environment.random
  }

  get isVirtual(): boolean {
    return this.#family !== undefined
  }

  /** Nothing is under way that passivation would break off. */
  get isIdle(): boolean {
    if (this.state !== RUNNING || this.depth > 0 || this.isDraining || this.asks) return false
    return !this.life?.children?.size && !this.life?.timers?.size
  }

  spawn<C>(name: string, behavior: Behavior<C>, options?: SpawnOptions): ActorRef<C> {
    return this.adopt(name, new ActorCell<C>(this.core, this.asParent, name, this.core.settingsFor(options), behavior))
  }

  /** Enters a child and starts it. */
  adopt<C>(name: string, child: ActorCell<C>): ActorCell<C> {
    if (this.#isClosing)
      throw new MillraceError('ACTOR_STOPPED', `cannot spawn "${name}": its parent "${this.path}" is stopping`)
    if (name === '' || name.includes('/'))
      throw new MillraceError('INVALID_ARGUMENT', `"${name}" is no actor name: use one or more characters without "/"`)
    const children = this.ensureChildren()
    if (children.has(name)) {
      const message = `actor "${this.path}" already has a child "${name}"; stop it first, or choose another name`
      throw new MillraceError('INVALID_ARGUMENT', message)
    }
    children.set(name, child as unknown as AnyCell)
    child.wake()
    return child
  }

  stop(child?: ActorRef<never>): void {
    if (child === undefined || (child as unknown) === this) {
      this.close(this.isVirtual ? 'passivate' : 'stop')
      return
    }
    if (!(child instanceof ActorCell) || child.parent !== (this as unknown)) {
      const message = `actor "${this.path}" cannot stop "${child.path}": only its own children`
      throw new MillraceError('INVALID_ARGUMENT', message)
    }
    child.close(child.isVirtual ? 'passivate' : 'stop')
  }

  watch(ref: ActorRef<never>, message: M): void {
    if (!(ref instanceof ActorCell) || ref.isVirtual) {
      const message = `actor "${this.path}" cannot watch "${ref.path}": it is virtual or lives elsewhere`
      throw new MillraceError('INVALID_ARGUMENT', message)
    }
    const watched = ref as unknown as AnyCell
    if (watched.state === STOPPED) {
      this.tell(message)
      return
    }
    if (this.#isClosing) return
    const watchers = (watched.ensureLife().watchers ??= new Map())
    const messages = watchers.get(this.asParent)
    if (messages) messages.push(message)
    else watchers.set(this.asParent, [message])
    const life = this.ensureLife()
    life.watching ??= new Set()
    life.watching.add(watched)
  }

  after(delayMs: number, message: M): Cancel {
    return this.#schedule(delayMs, message, false)
  }

  every(intervalMs: number, message: M): Cancel {
    return this.#schedule(intervalMs, message, true)
  }

  onStop(cleanup: () => void | Promise<void>): void {
    const life = this.ensureLife()
    life.cleanups ??= []
    life.cleanups.push(cleanup)
  }

  /** Begins to close; within a drain it happens when the current message has been handled. */
  close(goal: Goal, restartDelayMs = 0): void {
    if (this.state >= INACTIVE && goal !== 'stop') return
    if (this.state >= STOPPING) return
    const life = this.ensureLife()
    if (life.goal === goal || life.goal === 'stop') return
    const wasClosing = life.goal !== undefined
    life.goal = goal
    life.restartDelayMs = restartDelayMs
    this.state = goal === 'stop' ? STOPPING : SUSPENDED
    this.isScheduled = true
    if (this.isDraining) return
    if (!wasClosing) this.tearDown()
    else if (goal === 'stop') {
      this.discard()
      if (life.phase === 'backoff') this.#finish()
    }
  }

  subscribed(): void {
    if (this.depth > 0 && !this.isScheduled) this.wake()
  }

  failed(error: unknown, batch: readonly M[]): void {
    this.fail(error, batch)
  }

  completed(): void {
    this.stop()
  }

  /** Resolves when the actor has stopped. */
  whenStopped(): Promise<void> {
    if (this.state === STOPPED) return Promise.resolve()
    return new Promise(resolve => this.ensureLife().stopWaiters.push(resolve))
  }

  ensureLife(): CellLife<AnyCell, M> {
    this.life ??= new CellLife()
    return this.life
  }

  ensureChildren(): Map<string, AnyCell> {
    const life = this.ensureLife()
    life.children ??= new Map()
    return life.children
  }

  protected override get hasSubscriber(): boolean {
    return this.life?.pipeline?.hasSubscriber === true
  }

  protected override start(): void {
    this.state = RUNNING
    try {
      let behavior = this.#family ? this.#family.make(this.name) : this.#behavior!
      let plan = planOf(behavior)
      while (plan?.kind === 'setup') {
        behavior = plan.start(this)
        plan = planOf(behavior)
      }
      if (!plan) {
        this.mode = STREAM
        this.ensureLife().pipeline = new ActorPipeline(behavior, this, this)
      } else {
        this.mode = plan.kind === 'each' ? EACH : BATCH
        this.handle = plan.handle as (input: never, context: never) => void
      }
    } catch (error) {
      this.handle = undefined
      this.fail(error, [])
    }
  }

  protected override publish(batch: readonly M[]): void {
    this.life?.pipeline?.publish(batch)
  }

  protected override successor(): Mailbox<M> | undefined {
    return this.#family?.activate(this)
  }

  protected override fail(error: unknown, lost: readonly unknown[]): void {
    const report = (action: ActorFailure['action']): void => this.core.failures.next({ path: this.path, error, action })
    this.#failAsksOf(lost, error)
    if (this.#isClosing) {
      report('none')
      return
    }
    const life = this.ensureLife()
    const { supervision } = this.settings
    const verdict = judge(supervision, life.failuresMs, this.clock.monotonic(), this.random)
    // There is no state to go on with when the start itself failed.
    const kind = verdict.kind === 'resume' && this.#hasNotStarted ? 'stop' : verdict.kind
    report(kind)
    if (kind === 'resume') {
      // A pipeline ends with its error, so all it can do is to begin anew.
      if (this.mode === STREAM) this.close('restart')
    } else if (verdict.kind === 'restart') {
      life.restartCount++
      this.close('restart', verdict.delayMs)
    } else {
      this.#halt()
      const { parent } = this
      if (kind === 'escalate' && parent && !parent.settings.isGuardian) parent.fail(error, [])
    }
  }

  protected override tearDown(): void {
    const life = this.ensureLife()
    if (life.phase !== 'open') return
    life.phase = 'children'
    if (life.goal === 'stop' || life.losesMessages) this.discard()
    if (life.losesMessages) this.failAsks()
    this.handle = undefined
    life.pipeline?.close()
    life.pipeline = undefined
    for (const cancel of life.timers ?? []) cancel()
    life.timers = undefined
    for (const watched of life.watching ?? []) watched.life?.watchers?.delete(this.asParent)
    life.watching = undefined
    for (const child of [...(life.children?.values() ?? [])].reverse()) child.close('stop')
    this.#childrenStopped()
  }

  private get asParent(): AnyCell {
    return this as unknown as AnyCell
  }

  get #isClosing(): boolean {
    return this.state >= STOPPING || this.life?.goal !== undefined
  }

  get #hasNotStarted(): boolean {
    return this.handle === undefined && this.life?.pipeline === undefined
  }

  #failAsksOf(lost: readonly unknown[], error: unknown): void {
    if (!this.asks) return
    const asError = error instanceof Error ? error : new Error(`actor "${this.path}" threw ${String(error)}`)
    failAsksOf(this, lost, asError)
  }

  /** Stops after a failure. A virtual actor loses its messages and state, and comes back with the next message. */
  #halt(): void {
    this.ensureLife().losesMessages = true
    this.close(this.isVirtual ? 'passivate' : 'stop')
  }

  #schedule(delayMs: number, message: M, isRepeated: boolean): Cancel {
    if (this.#isClosing) return () => {}
    const life = this.ensureLife()
    life.timers ??= new Set()
    const { timers } = life
    let cancelTimer: Cancel
    const cancel: Cancel = () => {
      timers.delete(cancel)
      cancelTimer()
    }
    const fire = (): void => {
      if (isRepeated) cancelTimer = this.environment.scheduler.after(delayMs, fire)
      else timers.delete(cancel)
      this.tell(message)
    }
    cancelTimer = this.environment.scheduler.after(delayMs, fire)
    timers.add(cancel)
    return cancel
  }

  #childStopped(child: AnyCell): void {
    const children = this.life?.children
    if (children?.get(child.name) === child) children.delete(child.name)
    if (this.life?.phase === 'children') this.#childrenStopped()
  }

  #childrenStopped(): void {
    const life = this.ensureLife()
    if (life.phase !== 'children' || life.children?.size) return
    life.phase = 'cleanups'
    this.#cleanUp()
  }

  #cleanUp(): void {
    const cleanups = this.life?.cleanups ?? []
    for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) {
      try {
        const result = cleanup()
        if (result) {
          void result.catch((error: unknown) => this.#reportCleanup(error)).then(() => this.#cleanUp())
          return
        }
      } catch (error) {
        this.#reportCleanup(error)
      }
    }
    this.#finish()
  }

  #reportCleanup(error: unknown): void {
    this.core.failures.next({ path: this.path, error, action: 'none' })
  }

  #finish(): void {
    const life = this.ensureLife()
    if (life.goal === 'stop') this.#finishStop(life)
    else if (life.goal === 'passivate') this.#finishPassivation(life)
    else {
      life.phase = 'backoff'
      const { scheduler } = this.environment
      life.cancelBackoff = scheduler.after(life.restartDelayMs, () => this.#reopen(life))
    }
  }

  #reopen(life: CellLife<AnyCell, M>): void {
    life.goal = life.cancelBackoff = undefined
    life.phase = 'open'
    this.state = STARTING
    this.wake()
  }

  #finishPassivation(life: CellLife<AnyCell, M>): void {
    if (this.depth > 0) {
      this.#reopen(life)
      return
    }
    this.life = undefined
    this.state = INACTIVE
    this.isScheduled = false
    this.handledCount = this.overflowCount = 0
    if (this.parent) this.parent.#childStopped(this.asParent)
  }

  #finishStop(life: CellLife<AnyCell, M>): void {
    life.cancelBackoff?.()
    this.state = STOPPED
    this.failAsks()
    this.life = undefined
    for (const [watcher, messages] of life.watchers ?? []) for (const message of messages) watcher.tell(message)
    if (this.parent) this.parent.#childStopped(this.asParent)
    for (const resolve of life.stopWaiters) resolve()
  }
}
