import type { Cancel, Scheduler } from '../ports/scheduler.js'

/** The engine's timers fire at once when asked for more than this. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1

const SETTLED = Promise.resolve()

/** The event loop: timers, the microtask queue and the check phase. */
export const nodeScheduler: Scheduler = {
  after,
  // A third of the cost of queueMicrotask, which makes an async resource each time.
  microtask: work => {
    void SETTLED.then(work)
  },
  turn: work => {
    setImmediate(work)
  },
}

function after(delayMs: number, work: () => void, options?: { readonly unref?: boolean }): Cancel {
  let timer: NodeJS.Timeout
  const arm = (remainingMs: number): void => {
    timer =
      remainingMs <= TIMER_DELAY_MS_MAX
        ? setTimeout(work, remainingMs)
        : setTimeout(() => arm(remainingMs - TIMER_DELAY_MS_MAX), TIMER_DELAY_MS_MAX)
    if (options?.unref) timer.unref()
  }
  arm(delayMs)
  return () => clearTimeout(timer)
}
