import { type Duration, durationMs } from './duration.js'

/**
 * When results of a window leave. `final`: once, when it closes. `updates`: after every record, and not at the close.
 * As an object: on time, when the watermark reaches the window's end; then after every record that comes within the grace;
 * and with `early`, before the end, with the first record after each `early` of event time.
 */
export type Emit = 'final' | 'updates' | { readonly early?: Duration }

/** An `Emit` as operators use it. `earlyMs` is infinite without early results. */
export type EmitPlan =
  | { readonly kind: 'final' }
  | { readonly kind: 'updates' }
  | { readonly kind: 'on-time'; readonly earlyMs: number }

export function planEmit(emit: Emit = 'final'): EmitPlan {
  if (typeof emit === 'string') return { kind: emit }
  return {
    kind: 'on-time',
    earlyMs: emit.early === undefined ? Number.POSITIVE_INFINITY : Math.max(1, durationMs(emit.early)),
  }
}
