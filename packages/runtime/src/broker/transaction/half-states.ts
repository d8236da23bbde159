import { assert } from '@millrace/core'

/** What became of a half message. */
export const HALF = {
  undecided: 0,
  committed: 1,
  rolledBack: 2,
  /** Moved away, because nobody decided in time. */
  givenUp: 3,
  /** One of these three; which one is not known any more. */
  ended: 4,
} as const
export type HalfState = (typeof HALF)[keyof typeof HALF]

/** Added to a state whose op record is not stored yet. */
const IN_FLIGHT = 0x80
const SEGMENT_HALVES = 4096
/** Wholly ended segments whose states are still known, for requests that come twice. */
const FULL_SEGMENTS_KEPT = 16

interface Segment {
  readonly index: number
  /** A state for each offset; undefined when all have ended and how is forgotten. */
  states: Uint8Array | undefined
  /** Times that each producer was asked. */
  checks: Uint8Array | undefined
  endedCount: number
  isDirty: boolean
}

/** A segment as it is stored: states only of what is settled. Nothing: every half message in it has ended. */
export interface SegmentRecord {
  readonly states?: Uint8Array
  readonly checks?: Uint8Array
}

/**
 * State of every half message by its offset in the half queue: a byte each, in segments of 4096, of which only those
 * that hold an undecided one are kept. A million undecided half messages take two megabytes.
 *
 * undecided → in flight (commit, rollback, give-up) → settled; in flight → undecided when the disk refused it.
 */
export class HalfStates {
  readonly #segments = new Map<number, Segment>()
  #full: Segment[] = []
  #first: number
  /** Ended offsets at or after `first`. */
  #endedCount = 0

  /** All before `first` have ended. */
  constructor(first: number) {
    this.#first = first
  }

  /** Everything before this offset has ended. */
  get first(): number {
    return this.#first
  }

  /** Half messages before offset `end` that nobody has decided about. */
  undecidedCount(end: number): number {
    return Math.max(0, end - this.#first - this.#endedCount)
  }

  get(offset: number): HalfState {
    const segment = this.#segments.get(indexOf(offset))
    if (segment?.states) {
      const state = (segment.states[offset % SEGMENT_HALVES]! & ~IN_FLIGHT) as HalfState
      if (state !== HALF.undecided) return state
    }
    return offset < this.#first || (segment !== undefined && segment.states === undefined) ? HALF.ended : HALF.undecided
  }

  /** An end is under way: nobody else may begin one. */
  begin(offset: number, state: HalfState): void {
    assert(this.get(offset) === HALF.undecided, 'a half message ends once', { offset })
    this.#statesOf(offset)[offset % SEGMENT_HALVES] = state | IN_FLIGHT
  }

  /** What was under way has failed. */
  undo(offset: number): void {
    this.#statesOf(offset)[offset % SEGMENT_HALVES] = HALF.undecided
  }

  /** The end is on record. */
  settle(offset: number, state: HalfState): void {
    if (offset < this.#first) return
    const segment = this.#segment(indexOf(offset))
    if (segment.states === undefined) return
    const at = offset % SEGMENT_HALVES
    const known = segment.states[at]!
    if (known !== HALF.undecided && known < IN_FLIGHT) return
    segment.states[at] = state
    segment.isDirty = true
    segment.endedCount++
    this.#endedCount++
    if (segment.endedCount === SEGMENT_HALVES) this.#filled(segment)
    if (offset === this.#first) this.#advance()
  }

  /** All before `offset` are gone: the log has deleted them. */
  forgetBefore(offset: number): void {
    while (this.#first < offset) this.settle(this.#first, HALF.ended)
  }

  checks(offset: number): number {
    return this.#segments.get(indexOf(offset))?.checks?.[offset % SEGMENT_HALVES] ?? 0
  }

  setChecks(offset: number, count: number): void {
    const segment = this.#segment(indexOf(offset))
    segment.checks ??= new Uint8Array(SEGMENT_HALVES)
    segment.checks[offset % SEGMENT_HALVES] = Math.min(count, 255)
    segment.isDirty = true
  }

  /** The first undecided offset in [from, end) with nothing under way; `end` when there is none. */
  nextUndecided(from: number, end: number): number {
    let offset = Math.max(from, this.#first)
    while (offset < end) {
      const index = indexOf(offset)
      const segment = this.#segments.get(index)
      if (segment === undefined) return offset
      const here = Math.min(end, segmentEnd(index))
      const { states } = segment
      if (states === undefined || segment.endedCount === SEGMENT_HALVES) offset = here
      else {
        const found = states.indexOf(HALF.undecided, offset % SEGMENT_HALVES)
        if (found >= 0 && index * SEGMENT_HALVES + found < here) return index * SEGMENT_HALVES + found
        offset = here
      }
    }
    return end
  }

  get isDirty(): boolean {
    for (const segment of this.#segments.values()) if (segment.isDirty) return true
    return false
  }

  /** Segments that have changed since the last call, as they are to be stored; those before `first` are left out. */
  takeDirty(): { readonly index: number; readonly record: SegmentRecord }[] {
    const dirty: { index: number; record: SegmentRecord }[] = []
    for (const segment of this.#segments.values()) {
      if (!segment.isDirty) continue
      segment.isDirty = false
      if (segmentEnd(segment.index) > this.#first) dirty.push({ index: segment.index, record: recordOf(segment) })
    }
    return dirty
  }

  /** What was taken could not be stored. */
  markDirty(indices: readonly number[]): void {
    for (const index of indices) {
      const segment = this.#segments.get(index)
      if (segment) segment.isDirty = true
    }
  }

  /** Takes in a stored segment; offsets from `end` on do not exist. */
  load(index: number, { checks, states }: SegmentRecord, end: number): void {
    for (let at = 0; at < SEGMENT_HALVES; at++) {
      const offset = index * SEGMENT_HALVES + at
      if (offset >= end) break
      if (states === undefined) this.settle(offset, HALF.ended)
      else if (states[at]! !== HALF.undecided) this.settle(offset, states[at] as HalfState)
      if (checks !== undefined && checks[at]! > 0 && offset >= this.#first) this.setChecks(offset, checks[at]!)
    }
  }

  #segment(index: number): Segment {
    let segment = this.#segments.get(index)
    if (segment === undefined) {
      segment = {
        index,
        states: new Uint8Array(SEGMENT_HALVES),
        checks: undefined,
        endedCount: 0,
        isDirty: false,
      }
      // The offsets before the first have ended without a trace here.
      const before = Math.min(SEGMENT_HALVES, Math.max(0, this.#first - index * SEGMENT_HALVES))
      segment.states!.fill(HALF.ended, 0, before)
      segment.endedCount = before
      this.#segments.set(index, segment)
    }
    return segment
  }

  #statesOf(offset: number): Uint8Array {
    const { states } = this.#segment(indexOf(offset))
    assert(states, 'a segment with an undecided half message has states', { offset })
    return states
  }

  #filled(segment: Segment): void {
    segment.checks = undefined
    this.#full.push(segment)
    if (this.#full.length <= FULL_SEGMENTS_KEPT) return
    const oldest = this.#full.shift()!
    oldest.states = undefined
    if (segmentEnd(oldest.index) <= this.#first) this.#segments.delete(oldest.index)
  }

  #advance(): void {
    const before = this.#first
    for (;;) {
      const index = indexOf(this.#first)
      const segment = this.#segments.get(index)
      if (segment === undefined) break
      if (segment.endedCount === SEGMENT_HALVES) {
        this.#first = segmentEnd(index)
        if (segment.states === undefined) this.#segments.delete(index)
        continue
      }
      const { states } = segment
      let at = this.#first % SEGMENT_HALVES
      while (at < SEGMENT_HALVES && states![at]! !== HALF.undecided && states![at]! < IN_FLIGHT) at++
      this.#first = index * SEGMENT_HALVES + at
      break
    }
    this.#endedCount -= this.#first - before
  }
}

/** Offset after the last of a segment. */
export function segmentEnd(index: number): number {
  return (index + 1) * SEGMENT_HALVES
}

function indexOf(offset: number): number {
  return Math.floor(offset / SEGMENT_HALVES)
}

function recordOf({ checks, endedCount, states }: Segment): SegmentRecord {
  if (endedCount === SEGMENT_HALVES || states === undefined) return {}
  return {
    states: states.map(state => (state < IN_FLIGHT ? state : HALF.undecided)),
    ...(checks && { checks: checks.slice() }),
  }
}
