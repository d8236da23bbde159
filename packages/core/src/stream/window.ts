import { MillraceError } from '../errors.js'
import { type Duration, durationMs, formatDuration } from './duration.js'
import type { Key } from './key.js'

/** A span of event time: `start` ≤ t < `end`, milliseconds since the epoch. */
export interface Window {
  readonly start: number
  readonly end: number
}

/** A value that belongs to a key and a window. */
export interface Windowed<K extends Key, V> {
  readonly key: K
  readonly window: Window
  readonly value: V
}

/** How event time is cut into windows. */
export interface WindowSpec {
  readonly kind: 'tumbling'
  readonly sizeMs: number
  /** A window takes events until the watermark has passed its end by this much. */
  readonly graceMs: number
}

/**
 * Windows of one size, side by side, aligned to the epoch. A window closes once the watermark reaches its end plus
 * `grace` (default 0); events for it that come later are late.
 * @throws MillraceError INVALID_ARGUMENT for a size of zero.
 * @see Kafka Streams `TimeWindows.ofSizeAndGrace`
 */
export function tumbling(size: Duration, options: { readonly grace?: Duration } = {}): WindowSpec {
  const sizeMs = durationMs(size)
  if (sizeMs === 0) throw new MillraceError('INVALID_ARGUMENT', 'a window of 0 ms holds nothing; give it a size')
  return { kind: 'tumbling', sizeMs, graceMs: durationMs(options.grace ?? 0) }
}

/** Start of the window that holds `timestamp`. Right for times before the epoch too. */
export function windowStart(spec: WindowSpec, timestamp: number): number {
  return Math.floor(timestamp / spec.sizeMs) * spec.sizeMs
}

/** `tumbling 1 h, grace 5 min`. */
export function describeWindow(spec: WindowSpec): string {
  const grace = spec.graceMs > 0 ? `, grace ${formatDuration(spec.graceMs)}` : ''
  return `${spec.kind} ${formatDuration(spec.sizeMs)}${grace}`
}
