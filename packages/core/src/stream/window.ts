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

/** How event time is cut into windows. A window takes events until the watermark has passed its end by `graceMs`. */
export type WindowSpec =
  | { readonly kind: 'tumbling'; readonly sizeMs: number; readonly graceMs: number }
  | { readonly kind: 'hopping'; readonly sizeMs: number; readonly advanceMs: number; readonly graceMs: number }
  | { readonly kind: 'sliding'; readonly differenceMs: number; readonly graceMs: number }
  | { readonly kind: 'session'; readonly gapMs: number; readonly graceMs: number }
  | { readonly kind: 'count'; readonly size: number; readonly graceMs: 0 }

interface GraceOptions {
  /** How long after its end a window still takes events; default 0. */
  readonly grace?: Duration
}

/**
 * Windows of one size, side by side, aligned to the epoch. A window closes once the watermark reaches its end plus
 * `grace` (default 0); events for it that come later are late.
 * @throws MillraceError INVALID_ARGUMENT for a size of zero.
 * @see Kafka Streams `TimeWindows.ofSizeAndGrace`
 */
export function tumbling(size: Duration, options: GraceOptions = {}): WindowSpec {
  return { kind: 'tumbling', sizeMs: positiveMs(size, 'window'), graceMs: durationMs(options.grace ?? 0) }
}

/**
 * Windows of one size that begin every `advance`, aligned to the epoch: they overlap, and an event counts in each that holds it.
 * @throws MillraceError INVALID_ARGUMENT when `advance` is zero or more than the size.
 * @see Kafka Streams `TimeWindows.advanceBy`
 */
export function hopping(size: Duration, advance: Duration, options: GraceOptions = {}): WindowSpec {
  const sizeMs = positiveMs(size, 'window')
  const advanceMs = positiveMs(advance, 'advance')
  if (advanceMs > sizeMs)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `windows of ${sizeMs} ms every ${advanceMs} ms leave gaps; advance by less`,
    )
  return { kind: 'hopping', sizeMs, advanceMs, graceMs: durationMs(options.grace ?? 0) }
}

/**
 * A window for each distinct set of events at most `difference` apart: both its first and its last millisecond may hold an event, so that
 * `window.end` is `start + difference + 1`.
 * @see Kafka Streams `SlidingWindows.ofTimeDifferenceAndGrace`
 */
export function sliding(difference: Duration, options: GraceOptions = {}): WindowSpec {
  return {
    kind: 'sliding',
    differenceMs: positiveMs(difference, 'difference'),
    graceMs: durationMs(options.grace ?? 0),
  }
}

/**
 * Windows that last as long as events of a key come at most `gap` apart. `window.start` is the first event, `window.end` the last plus `gap`.
 * @see Kafka Streams `SessionWindows.ofInactivityGapAndGrace`; there the end is the last event itself
 */
export function session(gap: Duration, options: GraceOptions = {}): WindowSpec {
  return { kind: 'session', gapMs: positiveMs(gap, 'gap'), graceMs: durationMs(options.grace ?? 0) }
}

/** Windows of `size` events of a key, in the order in which they come. What has not filled up gives no final result. */
export function countWindow(size: number): WindowSpec {
  if (!Number.isSafeInteger(size) || size < 1)
    throw new MillraceError('INVALID_ARGUMENT', `a window of ${size} events cannot be; give it a whole number from 1`)
  return { kind: 'count', size, graceMs: 0 }
}

function positiveMs(duration: Duration, what: string): number {
  const ms = durationMs(duration)
  if (ms === 0) throw new MillraceError('INVALID_ARGUMENT', `a ${what} of 0 ms holds nothing; give it a size`)
  return ms
}

/** `tumbling 1 h, grace 5 min`. */
export function describeWindow(spec: WindowSpec): string {
  const grace = spec.graceMs > 0 ? `, grace ${formatDuration(spec.graceMs)}` : ''
  switch (spec.kind) {
    case 'tumbling':
      return `tumbling ${formatDuration(spec.sizeMs)}${grace}`
    case 'hopping':
      return `hopping ${formatDuration(spec.sizeMs)} every ${formatDuration(spec.advanceMs)}${grace}`
    case 'sliding':
      return `sliding ${formatDuration(spec.differenceMs)}${grace}`
    case 'session':
      return `session ${formatDuration(spec.gapMs)}${grace}`
    case 'count':
      return `count ${spec.size}`
  }
}
