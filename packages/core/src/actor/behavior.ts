import { tap } from 'rxjs'
import type { ActorContext, Behavior } from './types.js'

/** How a cell runs a behaviour without a pipeline. */
export type Plan<M> =
  | { readonly kind: 'each'; readonly handle: (message: M, context: ActorContext<M>) => void }
  | { readonly kind: 'batch'; readonly handle: (batch: readonly M[], context: ActorContext<M>) => void }
  | { readonly kind: 'setup'; readonly start: (context: ActorContext<M>) => Behavior<M> }

const PLAN = Symbol('plan')

type Planned<M> = Behavior<M> & { readonly [PLAN]?: Plan<M> }

/** Handles messages one by one. Runs without a pipeline; as a part of another behaviour it is an ordinary one. */
export function receive<M>(onMessage: (message: M, context: ActorContext<M>) => void): Behavior<M> {
  return withPlan<M>({ kind: 'each', handle: onMessage }, (inbox, context) =>
    inbox.pipe(
      tap(batch => {
        for (const message of batch) onMessage(message, context)
      }),
    ),
  )
}

/** Handles everything that waits at once. A failure loses the rest of its batch. */
export function receiveBatch<M>(onBatch: (batch: readonly M[], context: ActorContext<M>) => void): Behavior<M> {
  return withPlan<M>({ kind: 'batch', handle: onBatch }, (inbox, context) =>
    inbox.pipe(tap(batch => onBatch(batch, context))),
  )
}

/** Runs `start` when the actor starts and again at each restart; state lives in its closure. */
export function setup<M>(start: (context: ActorContext<M>) => Behavior<M>): Behavior<M> {
  return withPlan<M>({ kind: 'setup', start }, (inbox, context) => start(context)(inbox, context))
}

export function planOf<M>(behavior: Behavior<M>): Plan<M> | undefined {
  return (behavior as Planned<M>)[PLAN]
}

function withPlan<M>(plan: Plan<M>, behavior: Behavior<M>): Behavior<M> {
  ;(behavior as { [PLAN]?: Plan<M> })[PLAN] = plan
  return behavior
}
