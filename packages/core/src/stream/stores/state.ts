/** One change of a commit: a new value, or undefined to delete. */
export interface StateChange {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

/**
 * Durable state of one task: an ordered map of bytes. Reads are synchronous and see what has been committed; what is
 * not committed yet is the caller's.
 */
export interface StateBackend {
  get(key: Uint8Array): Uint8Array | undefined
  /** Entries with `from` ≤ key < `to` in byte order, at most `limit`. */
  range(from: Uint8Array, to: Uint8Array, limit: number): readonly StateEntry[]
  /**
   * All changes or none. Resolves when they are on stable storage. Calls do not overlap.
   * @throws MillraceError DISK_FULL | DISK_FAILED | TIMEOUT; the state of the disk is then unknown: open it again.
   */
  commit(changes: readonly StateChange[]): Promise<void>
  close(): Promise<void>
}

export interface StateEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** State in memory, for tests: what was committed stays when a task is made anew on the same object. */
export class MemoryState implements StateBackend {
  readonly #entries = new Map<string, Uint8Array>()
  #sorted: string[] | undefined

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(nameOf(key))
  }

  range(from: Uint8Array, to: Uint8Array, limit: number): readonly StateEntry[] {
    this.#sorted ??= [...this.#entries.keys()].sort()
    const sorted = this.#sorted
    const end = nameOf(to)
    const found: StateEntry[] = []
    for (let i = lowerBound(sorted, nameOf(from)); i < sorted.length && found.length < limit; i++) {
      const name = sorted[i]!
      if (name >= end) break
      found.push({ key: Buffer.from(name, 'hex'), value: this.#entries.get(name)! })
    }
    return found
  }

  get size(): number {
    return this.#entries.size
  }

  apply(changes: readonly StateChange[]): void {
    this.#sorted = undefined
    for (const { key, value } of changes)
      if (value === undefined) this.#entries.delete(nameOf(key))
      else this.#entries.set(nameOf(key), Buffer.from(value))
  }

  async commit(changes: readonly StateChange[]): Promise<void> {
    this.apply(changes)
  }

  async close(): Promise<void> {}
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')
}

function lowerBound(sorted: readonly string[], name: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < name) low = middle + 1
    else high = middle
  }
  return low
}
