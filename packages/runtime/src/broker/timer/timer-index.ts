import { createHash } from 'node:crypto'
import type { KeyValue, KeyValueTable } from '@millrace/storage'

/**
 * Which timer messages are pending, by due time. All of it follows from the timer topic's queue in the log, but for what has been
 * delivered.
 *
 * | table | key | value |
 * |---|---|---|
 * | timers | due ms (48 bits), log position (48 bits) | size u32, flags u8 |
 * | timer-recalls | due ms (48 bits), topic, 0, unique key | – |
 * | timer-repeats | topic, 0, unique key | key in `timers` |
 * | timer-counts | topic | pending messages f64 |
 * | timer-state | name | next offset of the queue f64 |
 */
export interface PendingTimer {
  readonly key: Buffer
  readonly due: number
  readonly position: number
  readonly sizeBytes: number
  readonly isRepeated: boolean
}

const TIME_BYTES = 6
const TIMER_KEY_BYTES = 12
const VALUE_BYTES = 5
const REPEATED = 1
const TIME_MAX = 2 ** 48 - 1
/** LMDB's keys end at 1978 bytes; longer names are replaced by their digest. */
const NAME_BYTES_MAX = 1000
const NEXT_OFFSET = Buffer.from('next offset')
const NOTHING = Buffer.from([1])

/** Reads see what is committed; writes belong inside `commit`. */
export class TimerIndex {
  readonly #store: KeyValue
  readonly #timers: KeyValueTable<Uint8Array, Uint8Array>
  readonly #recalls: KeyValueTable<Uint8Array, Uint8Array>
  readonly #repeats: KeyValueTable<Uint8Array, Uint8Array>
  readonly #counts: KeyValueTable<Uint8Array, Uint8Array>
  readonly #state: KeyValueTable<Uint8Array, Uint8Array>
  /** Changes of the counts in the batch being written. */
  readonly #changes = new Map<string, number>()
  /** False spares a look for every delivery. */
  #hasRecalls: boolean

  constructor(store: KeyValue) {
    const options = { encoding: 'binary', keys: 'binary' } as const
    this.#store = store
    this.#timers = store.table('timers', options)
    this.#recalls = store.table('timer-recalls', options)
    this.#repeats = store.table('timer-repeats', options)
    this.#counts = store.table('timer-counts', options)
    this.#state = store.table('timer-state', options)
    this.#hasRecalls = [...this.#recalls.keys({ limit: 1 })].length > 0
  }

  /** Next offset of the timer queue to take in; undefined: the index is new. */
  get nextOffset(): number | undefined {
    return this.#state.getBinary(NEXT_OFFSET)?.readDoubleLE(0)
  }

  /** Runs `write`, which returns the next offset; resolves when all of it is committed, and reads see it. */
  async commit(write: () => number): Promise<void> {
    this.#changes.clear()
    await this.#store.batch(() => {
      const nextOffset = write()
      for (const [topic, change] of this.#changes) this.#count(topic, change)
      void this.#state.put(NEXT_OFFSET, double(nextOffset))
    })
    this.#store.refresh()
  }

  /** Up to `limit` entries with `from` ≤ key that are due before `until`, in order. */
  range(from: Uint8Array, until: number, limit: number): PendingTimer[] {
    const found: PendingTimer[] = []
    for (const { key, value } of this.#timers.range({ from, to: timeKey(until), limit }))
      found.push(pending(key, value))
    return found
  }

  /** When the first entry is due; undefined: nothing is pending. */
  firstDue(): number | undefined {
    for (const key of this.#timers.keys({ limit: 1 })) return Buffer.from(key).readUIntBE(0, TIME_BYTES)
    return undefined
  }

  has(key: Uint8Array): boolean {
    return this.#timers.has(key)
  }

  put(key: Buffer, sizeBytes: number, isRepeated: boolean): void {
    const value = Buffer.allocUnsafe(VALUE_BYTES)
    value.writeUInt32LE(sizeBytes, 0)
    value[4] = isRepeated ? REPEATED : 0
    void this.#timers.put(key, value)
  }

  remove(key: Uint8Array): void {
    void this.#timers.remove(key)
  }

  /** Notes that messages of `topic` came (+) or went (−). */
  change(topic: string, count: number): void {
    this.#changes.set(topic, (this.#changes.get(topic) ?? 0) + count)
  }

  /** Pending messages by topic. */
  *counts(): Iterable<[topic: string, count: number]> {
    for (const { key, value } of this.#counts.range()) yield [Buffer.from(key).toString(), readDouble(value)]
  }

  #count(topic: string, change: number): void {
    const key = Buffer.from(topic)
    const count = (this.#counts.getBinary(key)?.readDoubleLE(0) ?? 0) + change
    if (count > 0) void this.#counts.put(key, double(count))
    else void this.#counts.remove(key)
  }

  // ── Recalls ─────────────────────────────────────────────────────────────────────────────────────────────────────

  noteRecall(due: number, topic: string, uniqueKey: string): void {
    this.#hasRecalls = true
    void this.#recalls.put(Buffer.concat([timeKey(due), nameKey(topic, uniqueKey)]), NOTHING)
  }

  get hasRecalls(): boolean {
    return this.#hasRecalls
  }

  isRecalled(due: number, topic: string, uniqueKey: string): boolean {
    return this.#hasRecalls && this.#recalls.has(Buffer.concat([timeKey(due), nameKey(topic, uniqueKey)]))
  }

  /** Forgets up to `limit` recalls of messages due before `before`. */
  forgetRecalls(before: number, limit: number): void {
    for (const key of [...this.#recalls.keys({ to: timeKey(before), limit })]) void this.#recalls.remove(key)
  }

  /** Part of a commit: forgets every message stored at or after `position`. */
  removeFrom(position: number): void {
    for (const { key, value } of this.#timers.range())
      if (pending(key, value).position >= position) void this.#timers.remove(Buffer.from(key))
    for (const { key, value } of this.#repeats.range())
      if (Buffer.from(value).readUIntBE(TIME_BYTES, TIME_BYTES) >= position) void this.#repeats.remove(Buffer.from(key))
  }

  // ── Repetitions ─────────────────────────────────────────────────────────────────────────────────────────────────

  repeat(topic: string, uniqueKey: string): Buffer | undefined {
    return this.#repeats.getBinary(nameKey(topic, uniqueKey))
  }

  putRepeat(topic: string, uniqueKey: string, key: Buffer): void {
    void this.#repeats.put(nameKey(topic, uniqueKey), key)
  }

  removeRepeat(topic: string, uniqueKey: string): void {
    void this.#repeats.remove(nameKey(topic, uniqueKey))
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

export function timerKey(due: number, position: number): Buffer {
  const key = Buffer.allocUnsafe(TIMER_KEY_BYTES)
  key.writeUIntBE(Math.min(due, TIME_MAX), 0, TIME_BYTES)
  key.writeUIntBE(position, TIME_BYTES, TIME_BYTES)
  return key
}

function timeKey(due: number): Buffer {
  const key = Buffer.allocUnsafe(TIME_BYTES)
  key.writeUIntBE(Math.max(0, Math.min(due, TIME_MAX)), 0, TIME_BYTES)
  return key
}

function nameKey(topic: string, uniqueKey: string): Buffer {
  const name = Buffer.from(`${topic}\0${uniqueKey}`)
  return name.length <= NAME_BYTES_MAX ? name : createHash('sha256').update(name).digest()
}

function pending(keyBytes: Uint8Array, valueBytes: Uint8Array): PendingTimer {
  const key = Buffer.from(keyBytes)
  const value = Buffer.from(valueBytes.buffer, valueBytes.byteOffset, valueBytes.length)
  return {
    key,
    due: key.readUIntBE(0, TIME_BYTES),
    position: key.readUIntBE(TIME_BYTES, TIME_BYTES),
    sizeBytes: value.readUInt32LE(0),
    isRepeated: value[4] === REPEATED,
  }
}

function double(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(value, 0)
  return bytes
}

function readDouble(value: Uint8Array): number {
  return Buffer.from(value.buffer, value.byteOffset, value.length).readDoubleLE(0)
}
