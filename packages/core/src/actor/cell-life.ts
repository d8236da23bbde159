import type { Cancel } from '../ports/scheduler.js'
import type { ActorPipeline } from './pipeline.js'

/**
 * Why an actor is being closed. `stop` is for good; `passivate` closes a virtual actor until its next message; `restart` starts it
 * again after a delay.
 */
export type Goal = 'stop' | 'passivate' | 'restart'

/** What most actors never need: made when the first of it is needed. */
export class CellLife<Child, M> {
  children: Map<string, Child> | undefined = undefined
  timers: Set<Cancel> | undefined = undefined
  cleanups: (() => void | Promise<void>)[] | undefined = undefined
  /** Who watches this actor, and what to tell it. */
  watchers: Map<Child, unknown[]> | undefined = undefined
  watching: Set<Child> | undefined = undefined
  pipeline: ActorPipeline<M> | undefined = undefined
  /** Monotonic times of the failures that led to a restart. */
  readonly failuresMs: number[] = []
  restartCount = 0
  goal: Goal | undefined = undefined
  /** Closing: first the children, then the cleanups, then perhaps a wait until the restart. */
  phase: 'open' | 'children' | 'cleanups' | 'backoff' = 'open'
  /** Closed by a failure: what waits goes too, also where the goal alone would keep it. */
  losesMessages = false
  restartDelayMs = 0
  cancelBackoff: Cancel | undefined = undefined
  readonly stopWaiters: (() => void)[] = []
}
