/** Cancels what returned it. Calling it twice, or after the work ran, does nothing. */
export type Cancel = () => void

/** Decides when work runs. */
export interface Scheduler {
  /** Runs `work` once, `delayMs` milliseconds from now or later. Does not keep an idle process alive if `unref`. */
  after(delayMs: number, work: () => void, options?: { readonly unref?: boolean }): Cancel
  /** Runs `work` after the current callback, before any I/O. */
  microtask(work: () => void): void
  /** Runs `work` once all I/O events that are ready now have been handled: the end of the event-loop turn. */
  turn(work: () => void): void
  /**
   * Only simulators have it: picks which of `count` works whose order nobody promised runs first (an index below
   * `count`), so that a seed decides it. Without it the first one runs.
   */
  choose?(count: number): number
}
