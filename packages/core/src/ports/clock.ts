/** Source of time. Actors get it from their ActorSystem; nothing else reads the time. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch, integer. May jump. */
  now(): number
  /** Milliseconds since an arbitrary start, fractional, never decreasing. Use for durations and deadlines. */
  monotonic(): number
}
