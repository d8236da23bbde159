import { assert } from '@millrace/core'

/**
 * Key index: sorted runs of (hash, position), merged upwards like a log-structured tree. One entry costs a few
 * bytes written per level and no random page; a look-up is a binary search per run whose time range fits.
 *
 * Run: entry count u32, padding u32, first store time f64, last store time f64, last position f64,
 * then `count` positions f64 and `count` hashes u32, both in hash order (position order within a hash).
 */

const HEADER_BYTES = 32
/** Runs of one level before they are merged into one of the next. */
export const RUNS_PER_LEVEL = 8
/** Runs above this many entries are not merged further: a merge holds eight times as many in memory. */
export const RUN_ENTRIES_MAX = 1 << 15
const INDEX_SPAN = 1 << 21

/**
 * Memory that is used again for every run: of a run of a megabyte each, garbage outside of the heap would pile up to tens
 * of megabytes before it is collected.
 */
export class RunScratch {
  hashes = new Uint32Array(0)
  positions = new Float64Array(0)
  private order = new Float64Array(0)
  private bytes: Buffer = Buffer.alloc(0)

  /** Room for entries in log order. */
  reserve(count: number): void {
    if (this.hashes.length >= count) return
    this.hashes = grown(this.hashes, new Uint32Array(roomFor(count)))
    this.positions = grown(this.positions, new Float64Array(roomFor(count)))
  }

  /** Room to sort `count` entries. */
  sorting(count: number): Float64Array {
    if (this.order.length < count) this.order = new Float64Array(roomFor(count))
    return this.order.subarray(0, count)
  }

  /** Room for an encoded run. */
  encoded(length: number): Buffer {
    if (this.bytes.length < length) this.bytes = Buffer.allocUnsafeSlow(roomFor(length))
    return this.bytes.subarray(0, length)
  }
}

/** At least 1024, a power of two. */
function roomFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1024, count)))
}

/** `to` with what `from` has. */
export function grown<T extends Float64Array | Int32Array | Uint32Array>(from: T, to: T): T {
  to.set(from)
  return to
}

/** Entries of a run to be, in the order of the log. */
export class KeyBatch {
  count = 0
  firstTime = Number.POSITIVE_INFINITY
  lastTime = 0
  private hashes = new Uint32Array(1024)
  private positions = new Float64Array(1024)

  /** Forgets the entries. */
  reset(): void {
    this.count = 0
    this.firstTime = Number.POSITIVE_INFINITY
    this.lastTime = 0
  }

  add(hash: number, position: number, storeTime: number): void {
    if (this.count === this.hashes.length) this.grow()
    this.hashes[this.count] = hash
    this.positions[this.count++] = position
    if (storeTime < this.firstTime) this.firstTime = storeTime
    if (storeTime > this.lastTime) this.lastTime = storeTime
  }

  private grow(): void {
    this.hashes = grown(this.hashes, new Uint32Array(this.count * 2))
    this.positions = grown(this.positions, new Float64Array(this.count * 2))
  }

  /** The run of all entries, in `scratch`: valid until that is used again. */
  toRun(scratch: RunScratch): Buffer {
    const entries = {
      hashes: this.hashes,
      positions: this.positions,
      count: this.count,
      times: { first: this.firstTime, last: this.lastTime },
      lastPosition: this.positions[this.count - 1]!,
    }
    return encodeRun(entries, scratch)
  }
}

interface RunEntries {
  readonly hashes: Uint32Array
  readonly positions: Float64Array
  readonly count: number
  readonly times: { readonly first: number; readonly last: number }
  readonly lastPosition: number
}

/** Entries with the same hash keep the order they are given in. */
function encodeRun({ count, hashes, lastPosition, positions, times }: RunEntries, scratch: RunScratch): Buffer {
  assert(count > 0 && count <= INDEX_SPAN, 'entries of a key run', { count })
  // Hash and index in one double (32 + 21 bits), so that the native sort does it.
  const order = scratch.sorting(count)
  for (let i = 0; i < count; i++) order[i] = hashes[i]! * INDEX_SPAN + i
  order.sort()
  const run = scratch.encoded(HEADER_BYTES + count * 12)
  run.writeUInt32LE(count, 0)
  run.writeUInt32LE(0, 4)
  run.writeDoubleLE(times.first, 8)
  run.writeDoubleLE(times.last, 16)
  run.writeDoubleLE(lastPosition, 24)
  let positionAt = HEADER_BYTES
  let hashAt = HEADER_BYTES + count * 8
  for (let i = 0; i < count; i++) {
    const packed = order[i]!
    const index = packed % INDEX_SPAN
    run.writeDoubleLE(positions[index]!, positionAt)
    run.writeUInt32LE((packed - index) / INDEX_SPAN, hashAt)
    positionAt += 8
    hashAt += 4
  }
  return run
}

/** Reads one run; a view of the given bytes. */
export class KeyRun {
  readonly count: number
  readonly firstTime: number
  readonly lastTime: number
  readonly lastPosition: number

  constructor(private readonly bytes: Buffer) {
    this.count = bytes.readUInt32LE(0)
    this.firstTime = bytes.readDoubleLE(8)
    this.lastTime = bytes.readDoubleLE(16)
    this.lastPosition = bytes.readDoubleLE(24)
  }

  hashAt(index: number): number {
    return this.bytes.readUInt32LE(HEADER_BYTES + this.count * 8 + index * 4)
  }

  positionAt(index: number): number {
    return this.bytes.readDoubleLE(HEADER_BYTES + index * 8)
  }

  /** Positions filed under `hash`, oldest first. */
  find(hash: number): number[] {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.hashAt(middle) < hash) low = middle + 1
      else high = middle
    }
    const positions: number[] = []
    for (; low < this.count && this.hashAt(low) === hash; low++) positions.push(this.positionAt(low))
    return positions
  }
}

/**
 * One run of all entries of `runs` that lie at or after `logBegin`; undefined when none is left.
 * @param runs in log order: every position of a run is greater than all of the run before it. Each is read before the
 *   next is asked for
 * @returns bytes in `scratch`: valid until that is used again
 */
export function mergeRuns(runs: Iterable<KeyRun>, logBegin: number, scratch: RunScratch): Buffer | undefined {
  let count = 0
  let first = Number.POSITIVE_INFINITY
  let last = 0
  let lastPosition = 0
  for (const run of runs) {
    scratch.reserve(count + run.count)
    const { hashes, positions } = scratch
    for (let i = 0; i < run.count; i++) {
      const position = run.positionAt(i)
      if (position < logBegin) continue
      hashes[count] = run.hashAt(i)
      positions[count++] = position
    }
    first = Math.min(first, run.firstTime)
    last = Math.max(last, run.lastTime)
    lastPosition = run.lastPosition
  }
  if (count === 0) return undefined
  const { hashes, positions } = scratch
  return encodeRun({ hashes, positions, count, times: { first, last }, lastPosition }, scratch)
}
