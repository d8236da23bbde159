import { pack, unpack } from 'msgpackr'
import { decodeKey, encodeKey, type Key } from '../key.js'
import { MinHeap } from './min-heap.js'
import type { StateBackend, StateChange } from './state.js'

/** The state of one key in one window. Change `state`, then `touch` the entry. */
export interface WindowEntry<S> {
  readonly key: Key
  state: S | undefined
}

interface Entry {
  readonly window: OpenWindow
  readonly key: Key
  /** Position in the backend. Made when first needed: short-lived entries may never be stored. */
  bytes: Buffer | undefined
  state: unknown
  isDeleted: boolean
  /** The backend holds an older value of it. */
  isStored: boolean
  /** Commit that will hold the last change; 0 when nothing changed since it was stored. */
  dirty: number
}

interface OpenWindow {
  readonly start: number
  readonly entries: Map<Key, Entry>
  /** The backend has no entry of this window that is not in `entries`. */
  isComplete: boolean
  closing: Closing | undefined
}

/** Place in the merge of cached and stored entries, both in byte order of their keys. */
interface Closing {
  readonly cached: Entry[]
  next: number
  page: Entry[]
  isPageLast: boolean
  after: Buffer
}

const PAGE_ENTRIES = 256
const START_BYTES = 8

/**
 * States per window and key: a write-back cache over a `StateBackend`.
 * Changes stay in memory until `collect` puts them into a commit; what is changed is never evicted, so whoever owns the
 * store commits when `dirtyCount` reaches its limit. Entries of a window come out in byte order of their keys, wherever they lie.
 *
 * Invariants: an entry is in `#changed` exactly when its `dirty` is the current commit; a window that is closing
 * takes no new entries and loses none by eviction.
 */
export class WindowStore<S> {
  readonly #backend: StateBackend
  readonly #prefix: Buffer
  readonly #entriesMax: number
  readonly #windows = new Map<number, OpenWindow>()
  #last: OpenWindow | undefined
  readonly #starts = new MinHeap()
  #commit = 1
  #changed: Entry[] = []
  #settling: Entry[] = []
  #size = 0

  /** @param entriesMax  clean entries above this number are dropped from memory after a commit. */
  constructor(backend: StateBackend, name: string, entriesMax: number) {
    this.#backend = backend
    this.#prefix = Buffer.from(`w${name}\0`)
    this.#entriesMax = entriesMax
    this.#load()
  }

  /** Start of the earliest open window. */
  get firstStart(): number | undefined {
    return this.#starts.first
  }

  /** Entries in memory. */
  get size(): number {
    return this.#size
  }

  /** Changes that the next commit holds. */
  get dirtyCount(): number {
    return this.#changed.length
  }

  get(start: number, key: Key): S | undefined {
    const window = this.#window(start)
    return window && (this.#entry(window, key)?.state as S | undefined)
  }

  /** The entry of a window and key, made without state when there is none; then give it one and `touch` it. */
  entry(start: number, key: Key): WindowEntry<S> {
    const window = this.#last?.start === start ? this.#last : (this.#window(start) ?? this.#openLast(start))
    const found = this.#entry(window, key)
    if (found !== undefined) return found as WindowEntry<S>
    const entry: Entry = {
      window,
      key,
      bytes: undefined,
      state: undefined,
      isDeleted: false,
      isStored: !window.isComplete,
      dirty: 0,
    }
    window.entries.set(key, entry)
    this.#size++
    return entry as WindowEntry<S>
  }

  /** Its state changed. */
  touch(entry: WindowEntry<S>): void {
    const touched = entry as Entry
    touched.isDeleted = false
    this.#touch(touched)
  }

  /** Takes a key out of a window, if it is there. */
  delete(start: number, key: Key): void {
    const window = this.#window(start)
    const entry = window && this.#entry(window, key)
    if (entry === undefined || entry.isDeleted) return
    entry.state = undefined
    entry.isDeleted = true
    this.#touch(entry)
  }

  /** States of a key in the open windows that start in [from, to], by start. */
  *fetch(key: Key, from: number, to: number): Generator<{ readonly start: number; readonly state: S }> {
    const starts = [...this.#windows.keys()].filter(start => start >= from && start <= to).sort((a, b) => a - b)
    for (const start of starts) {
      const state = this.get(start, key)
      if (state !== undefined) yield { start, state }
    }
  }

  set(start: number, key: Key, state: S): void {
    let window = this.#window(start)
    if (window === undefined) window = this.#openLast(start)
    let entry = window.entries.get(key)
    if (entry === undefined) {
      entry = { window, key, bytes: undefined, state, isDeleted: false, isStored: !window.isComplete, dirty: 0 }
      window.entries.set(key, entry)
      this.#size++
    }
    entry.state = state
    entry.isDeleted = false
    this.#touch(entry)
  }

  /**
   * Takes the next entry out of the earliest window; undefined when that window is empty, which ends it.
   * May be stopped and taken up again at any point, also by another store over the same backend after a commit.
   */
  takeFirst(): { readonly start: number; readonly key: Key; readonly state: S } | undefined {
    const start = this.#starts.first
    if (start === undefined) return undefined
    const window = this.#windows.get(start)!
    const closing = (window.closing ??= this.#beginClosing(window))
    const entry = this.#nextOf(window, closing)
    if (entry === undefined) {
      this.#end(window)
      return undefined
    }
    const state = entry.state as S
    entry.state = undefined
    entry.isDeleted = true
    this.#touch(entry)
    return { start, key: entry.key, state }
  }

  /** Moves all changes into `changes`. Follow with `settle` when they are committed; no second `collect` before that. */
  collect(changes: StateChange[]): void {
    for (const entry of this.#changed) {
      if (entry.isDeleted && !entry.isStored) continue
      changes.push({ key: this.#positionOf(entry), value: entry.isDeleted ? undefined : pack(entry.state) })
    }
    this.#settling = this.#changed
    this.#changed = []
    this.#commit++
  }

  /** What `collect` gave is committed. */
  settle(): void {
    const commit = this.#commit - 1
    for (const entry of this.#settling) {
      entry.isStored = !entry.isDeleted
      if (entry.dirty !== commit) {
        // Changed again since: what the backend holds is older, but it does hold it.
        if (entry.isDeleted) entry.isStored = true
        continue
      }
      entry.dirty = 0
      if (entry.isDeleted && entry.window.entries.delete(entry.key)) this.#size--
    }
    this.#settling = []
    if (this.#size > this.#entriesMax) this.#evict()
  }

  #touch(entry: Entry): void {
    if (entry.dirty === this.#commit) return
    entry.dirty = this.#commit
    this.#changed.push(entry)
  }

  #window(start: number): OpenWindow | undefined {
    if (this.#last?.start === start) return this.#last
    const window = this.#windows.get(start)
    if (window !== undefined) this.#last = window
    return window
  }

  #entry(window: OpenWindow, key: Key): Entry | undefined {
    const entry = window.entries.get(key)
    if (entry !== undefined || window.isComplete) return entry
    const bytes = encodeKey(key)
    const stored = this.#backend.get(this.#position(window.start, bytes))
    return stored && this.#keep(window, key, bytes, unpack(stored))
  }

  #keep(window: OpenWindow, key: Key, bytes: Buffer, state: unknown): Entry {
    const entry: Entry = { window, key, bytes, state, isDeleted: false, isStored: true, dirty: 0 }
    window.entries.set(key, entry)
    this.#size++
    return entry
  }

  #openLast(start: number): OpenWindow {
    const window = this.#open(start, true)
    this.#last = window
    return window
  }

  #open(start: number, isComplete: boolean): OpenWindow {
    const window: OpenWindow = { start, entries: new Map(), isComplete, closing: undefined }
    this.#windows.set(start, window)
    this.#starts.push(start)
    return window
  }

  #end(window: OpenWindow): void {
    this.#windows.delete(window.start)
    if (this.#last === window) this.#last = undefined
    // Deleted entries not committed yet live on in #changed until then, and leave the count here.
    this.#size -= window.entries.size
    window.entries.clear()
    this.#starts.pop()
  }

  #beginClosing(window: OpenWindow): Closing {
    const cached = [...window.entries.values()]
    for (const entry of cached) entry.bytes ??= encodeKey(entry.key)
    cached.sort((a, b) => Buffer.compare(a.bytes!, b.bytes!))
    return { cached, next: 0, page: [], isPageLast: window.isComplete, after: Buffer.alloc(0) }
  }

  #nextOf(window: OpenWindow, closing: Closing): Entry | undefined {
    while (closing.next < closing.cached.length && closing.cached[closing.next]!.isDeleted) closing.next++
    for (;;) {
      while (closing.page.length === 0 && !closing.isPageLast) this.#readPage(window, closing)
      // Deleted since the page was read.
      if (closing.page.length === 0 || window.entries.get(closing.page[0]!.key)?.isDeleted !== true) break
      closing.page.shift()
    }
    const cached = closing.cached[closing.next]
    const stored = closing.page[0]
    if (stored !== undefined && (cached === undefined || Buffer.compare(stored.bytes!, cached.bytes!) < 0)) {
      closing.page.shift()
      window.entries.set(stored.key, stored)
      this.#size++
      return stored
    }
    if (cached !== undefined) closing.next++
    return cached
  }

  /** The next stored entries that are not in memory. */
  #readPage(window: OpenWindow, closing: Closing): void {
    const from = Buffer.concat([this.#position(window.start, closing.after), Buffer.alloc(1)])
    const found = this.#backend.range(from, this.#position(window.start + 1), PAGE_ENTRIES)
    closing.isPageLast = found.length < PAGE_ENTRIES
    for (const { key: position, value } of found) {
      const bytes = Buffer.from(position.subarray(this.#prefix.length + START_BYTES))
      closing.after = bytes
      const key = decodeKey(bytes)
      if (window.entries.has(key)) continue
      const state: unknown = unpack(Buffer.from(value))
      closing.page.push({ window, key, bytes, state, isDeleted: false, isStored: true, dirty: 0 })
    }
  }

  #evict(): void {
    for (const window of this.#windows.values()) {
      if (window.closing !== undefined) continue
      for (const [key, entry] of window.entries) {
        if (this.#size <= this.#entriesMax) return
        if (entry.dirty !== 0) continue
        window.entries.delete(key)
        window.isComplete = false
        this.#size--
      }
    }
  }

  /** Finds the windows that the backend holds, one seek each. */
  #load(): void {
    let from = this.#prefix
    const to = Buffer.from(this.#prefix)
    to[to.length - 1] = 1
    for (;;) {
      const [first] = this.#backend.range(from, to, 1)
      if (first === undefined) return
      const start = readStart(Buffer.from(first.key), this.#prefix.length)
      this.#open(start, false)
      from = this.#position(start + 1)
    }
  }

  #positionOf(entry: Entry): Buffer {
    return this.#position(entry.window.start, (entry.bytes ??= encodeKey(entry.key)))
  }

  #position(start: number, key?: Uint8Array): Buffer {
    const position = Buffer.allocUnsafe(this.#prefix.length + START_BYTES + (key?.length ?? 0))
    this.#prefix.copy(position)
    // Sign bit flipped: times before the epoch sort before it.
    position.writeBigUInt64BE(BigInt.asUintN(64, BigInt(start)) ^ (1n << 63n), this.#prefix.length)
    if (key !== undefined) position.set(key, this.#prefix.length + START_BYTES)
    return position
  }
}

function readStart(position: Buffer, at: number): number {
  return Number(BigInt.asIntN(64, position.readBigUInt64BE(at) ^ (1n << 63n)))
}
