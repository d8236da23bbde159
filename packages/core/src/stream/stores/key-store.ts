import { pack, unpack } from 'msgpackr'
import { decodeKey, encodeKey, type Key } from '../key.js'
import type { StateBackend, StateChange } from './state.js'

/** The state of one key. Change `state` (undefined: none), then `touch` the entry. */
export interface KeyEntry<S> {
  readonly key: Key
  state: S | undefined
  /** Commit that will hold the last change; 0 when nothing changed since it was stored. */
  dirty: number
  isStored: boolean
}

/**
 * States by key: a write-back cache over a `StateBackend`. Changes stay in memory until `collect` puts them into a commit;
 * what is changed is never evicted. Cache misses read the backend, unless it is known to be empty.
 */
export class KeyStore<S> {
  readonly #backend: StateBackend
  readonly #prefix: Buffer
  readonly #entriesMax: number
  readonly #entries = new Map<Key, KeyEntry<S>>()
  /** The backend has nothing that is not in `#entries`. */
  #isComplete: boolean
  #commit = 1
  #changed: KeyEntry<S>[] = []
  #settling: KeyEntry<S>[] = []

  constructor(backend: StateBackend, name: string, entriesMax: number) {
    this.#backend = backend
    this.#prefix = Buffer.from(`k${name}\0`)
    this.#entriesMax = entriesMax
    this.#isComplete = backend.range(this.#prefix, this.#end(), 1).length === 0
  }

  get dirtyCount(): number {
    return this.#changed.length
  }

  /** Entries in memory. */
  get size(): number {
    return this.#entries.size
  }

  get(key: Key): S | undefined {
    return this.#find(key)?.state
  }

  /** The entry of a key, made without state when there is none. It is the caller's until its next call here. */
  entry(key: Key): KeyEntry<S> {
    let entry = this.#find(key)
    if (entry === undefined) {
      entry = { key, state: undefined, dirty: 0, isStored: false }
      this.#entries.set(key, entry)
    }
    return entry
  }

  touch(entry: KeyEntry<S>): void {
    if (entry.dirty === this.#commit) return
    entry.dirty = this.#commit
    this.#changed.push(entry)
  }

  set(key: Key, state: S | undefined): void {
    const entry = this.entry(key)
    entry.state = state
    this.touch(entry)
  }

  /** Entries with state in byte order of encoded keys, both ends inclusive. */
  *range(from: Key | undefined, to: Key | undefined, limit: number): Generator<readonly [Key, S]> {
    const low = from === undefined ? this.#prefix : this.#position(from)
    const high = to === undefined ? this.#end() : Buffer.concat([this.#position(to), Buffer.alloc(1)])
    const found = new Map<string, readonly [Key, S]>()
    const add = (position: Buffer, key: Key, state: S): void => {
      found.set(position.toString('latin1'), [key, state])
    }
    if (!this.#isComplete)
      for (const { key: position, value } of this.#backend.range(low, high, limit + this.#changed.length)) {
        const bytes = Buffer.from(position)
        add(bytes, decodeKey(bytes.subarray(this.#prefix.length)), unpack(Buffer.from(value)) as S)
      }
    for (const { key, state } of this.#entries.values()) {
      const position = this.#position(key)
      if (Buffer.compare(position, low) < 0 || Buffer.compare(position, high) >= 0) continue
      if (state === undefined) found.delete(position.toString('latin1'))
      else add(position, key, state)
    }
    let count = 0
    for (const name of [...found.keys()].sort()) {
      if (count++ >= limit) return
      yield found.get(name)!
    }
  }

  /** Moves all changes into `changes`. Follow with `settle` when they are committed; no second `collect` before that. */
  collect(changes: StateChange[]): void {
    for (const entry of this.#changed) {
      if (entry.state === undefined && !entry.isStored) continue
      changes.push({
        key: this.#position(entry.key),
        value: entry.state === undefined ? undefined : pack(entry.state),
      })
    }
    this.#settling = this.#changed
    this.#changed = []
    this.#commit++
  }

  /** What `collect` gave is committed. */
  settle(): void {
    const commit = this.#commit - 1
    for (const entry of this.#settling) {
      if (entry.dirty !== commit) {
        // Changed again since: the backend holds something older, or nothing; deleting what is not there does no harm.
        entry.isStored = true
        continue
      }
      entry.dirty = 0
      entry.isStored = entry.state !== undefined
      if (entry.state === undefined) this.#entries.delete(entry.key)
    }
    this.#settling = []
    if (this.#entries.size > this.#entriesMax) this.#evict()
  }

  #find(key: Key): KeyEntry<S> | undefined {
    const entry = this.#entries.get(key)
    if (entry !== undefined || this.#isComplete) return entry
    const stored = this.#backend.get(this.#position(key))
    if (stored === undefined) return undefined
    const found: KeyEntry<S> = { key, state: unpack(stored as Buffer) as S, dirty: 0, isStored: true }
    this.#entries.set(key, found)
    return found
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#entriesMax) return
      if (entry.dirty !== 0) continue
      this.#entries.delete(key)
      this.#isComplete = false
    }
  }

  #position(key: Key): Buffer {
    return Buffer.concat([this.#prefix, encodeKey(key)])
  }

  #end(): Buffer {
    const end = Buffer.from(this.#prefix)
    end[end.length - 1] = 1
    return end
  }
}
