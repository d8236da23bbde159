import type { Clock } from '../ports/clock.js'

/** The operating system's clocks. */
export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
