/**
 * The newest entries of every queue, in memory until the index worker has committed them. One segment holds up to
 * 64 entries of one queue; segments leave in the order they were made.
 *
 * Invariants per queue: the segments are contiguous and end at `nextOffset`; offsets are dense.
 */

/** Numbers per entry: position, size, tag hash. */
export const ENTRY_NUMBERS = 3
const SEGMENT_ENTRIES_MAX = 64
const SEGMENT_ENTRIES_FIRST = 4

class Segment {
  count = 0
  isSealed = false
  data = new Float64Array(SEGMENT_ENTRIES_FIRST * ENTRY_NUMBERS)

  constructor(
    readonly queue: QueueTail,
    readonly firstOffset: number,
  ) {}

  get lastPosition(): number {
    return this.data[(this.count - 1) * ENTRY_NUMBERS]!
  }

  add(position: number, sizeBytes: number, tagHash: number): void {
    let at = this.count * ENTRY_NUMBERS
    if (at === this.data.length) {
      const grown = new Float64Array(Math.min(at * 4, SEGMENT_ENTRIES_MAX * ENTRY_NUMBERS))
      grown.set(this.data)
      this.data = grown
    }
    this.data[at++] = position
    this.data[at++] = sizeBytes
    this.data[at] = tagHash
    if (++this.count === SEGMENT_ENTRIES_MAX) this.isSealed = true
  }
}

const NO_SEGMENTS: Segment[] = []

/** One topic as the store knows it: its name on the wire, and its queues by id. */
export class StoredTopic {
  readonly bytes: Buffer
  readonly queues: (QueueTail | undefined)[] = []

  constructor(readonly name: string) {
    this.bytes = Buffer.from(name)
  }
}

/** One queue as the broker's thread knows it. */
export class QueueTail {
  /** Offset the next message gets. */
  nextOffset: number
  /** First offset whose record is still stored, as of `minCheckedAt`. */
  minOffset: number
  /** Begin of the log when `minOffset` was last brought up to date. */
  minCheckedAt = 0
  segments: Segment[] = NO_SEGMENTS
  /** Who waits for the next message, a bit each: its arrival is reported. */
  watchers = 0

  constructor(
    readonly topic: StoredTopic,
    readonly queueId: number,
    minOffset: number,
    nextOffset: number,
  ) {
    this.minOffset = minOffset
    this.nextOffset = nextOffset
  }

  /** First offset held here; older entries are in the index. */
  get tailOffset(): number {
    return this.segments.length === 0 ? this.nextOffset : this.segments[0]!.firstOffset
  }

  /** Offset after the last entry that lies before `position`: what consumers may see when that much is written. */
  visibleOffset(position: number): number {
    let offset = this.nextOffset
    for (let s = this.segments.length - 1; s >= 0; s--) {
      const segment = this.segments[s]!
      for (let i = segment.count - 1; i >= 0; i--) {
        if (segment.data[i * ENTRY_NUMBERS]! < position) return offset
        offset--
      }
    }
    return offset
  }

  /** Copies up to `countMax` entries from `offset` on into `out`; the offset must be held here. Returns how many. */
  read(offset: number, countMax: number, out: Float64Array): number {
    let copied = 0
    for (const segment of this.segments) {
      let index = offset + copied - segment.firstOffset
      if (index >= segment.count) continue
      while (index < segment.count && copied < countMax) {
        const from = index * ENTRY_NUMBERS
        const to = copied * ENTRY_NUMBERS
        out[to] = segment.data[from]!
        out[to + 1] = segment.data[from + 1]!
        out[to + 2] = segment.data[from + 2]!
        index++
        copied++
      }
      if (copied === countMax) break
    }
    return copied
  }
}

/** Adds entries and lets go of them once they are indexed. */
export class QueueTails {
  private order: (Segment | undefined)[] = []
  private head = 0
  /** Entries in memory. */
  entryCount = 0

  /** Adds the next entry of `queue`. Returns its offset. */
  append(queue: QueueTail, position: number, sizeBytes: number, tagHash: number): number {
    const offset = queue.nextOffset
    const segments = queue.segments
    let segment = segments.length === 0 ? undefined : segments[segments.length - 1]
    if (segment === undefined || segment.isSealed) {
      segment = new Segment(queue, offset)
      if (segments === NO_SEGMENTS) queue.segments = [segment]
      else segments.push(segment)
      this.order.push(segment)
    }
    segment.add(position, sizeBytes, tagHash)
    queue.nextOffset = offset + 1
    this.entryCount++
    return offset
  }

  /** The queue goes on at `offset` and knows nothing of what was before. */
  restart(queue: QueueTail, offset: number): void {
    queue.segments = NO_SEGMENTS
    queue.nextOffset = offset
    queue.minOffset = offset
  }

  /** Drops what lies before `indexed`: the index has it now. */
  release(indexed: number): void {
    while (this.head < this.order.length) {
      const segment = this.order[this.head]!
      if (segment.count > 0 && segment.lastPosition >= indexed) {
        // Still partly needed. Sealing it keeps a slow queue's segment from holding back all that follow.
        if (segment.data[0]! < indexed) segment.isSealed = true
        break
      }
      this.order[this.head++] = undefined
      this.entryCount -= segment.count
      const { queue } = segment
      if (queue.segments[0] === segment) {
        if (queue.segments.length === 1) queue.segments = NO_SEGMENTS
        else queue.segments.shift()
      }
    }
    if (this.head > 1024 && this.head * 2 > this.order.length) {
      this.order = this.order.slice(this.head)
      this.head = 0
    }
  }

  /** Takes back every entry at or after `position`: its record never reached the disk. */
  takeBack(position: number): void {
    for (let i = this.order.length - 1; i >= this.head; i--) {
      const segment = this.order[i]!
      while (segment.count > 0 && segment.lastPosition >= position) {
        segment.count--
        segment.queue.nextOffset--
        this.entryCount--
      }
      if (segment.count > 0) continue
      const { queue } = segment
      queue.segments = queue.segments.filter(other => other !== segment)
      this.order.splice(i, 1)
    }
  }
}
