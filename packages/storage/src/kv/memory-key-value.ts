import { MillraceError } from '@millrace/core'
import type { Key, KeyPart, KeyRange, KeyValue, KeyValueTable, TableOptions } from './key-value.js'

interface Entry {
  readonly key: Key
  readonly value: unknown
}

/**
 * Twin of `KeyValueStore` in memory: same order, same transactions, copies in and out. For simulations and tests;
 * inserting costs O(entries). Commits resolve in a microtask. Nothing outlives the object.
 */
export function memoryKeyValue(): KeyValue {
  const tables = new Map<string, MemoryTable>()
  const transact = <T>(work: () => T): T => {
    const before = [...tables.values()].map(table => [table, table.entries.slice()] as const)
    try {
      return work()
    } catch (error) {
      for (const [table, entries] of before) table.entries = entries
      throw error
    }
  }
  return {
    table<V, K extends Key = Key>(name: string, options: TableOptions = {}): KeyValueTable<V, K> {
      let table = tables.get(name)
      if (table === undefined) tables.set(name, (table = new MemoryTable(options.encoding === 'binary')))
      return table as unknown as KeyValueTable<V, K>
    },
    batch: async write => write(),
    transaction: work => Promise.resolve().then(() => transact(work)),
    commitSync: transact,
    flush: async () => undefined,
    refresh: () => undefined,
    failure: undefined,
    close: async () => undefined,
  }
}

class MemoryTable implements KeyValueTable<unknown> {
  entries: Entry[] = []
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    this.#isBinary = isBinary
  }

  get(key: Key): unknown {
    const entry = this.#find(key)
    return entry && this.#copy(entry.value)
  }

  getBinary(key: Key): Buffer | undefined {
    const entry = this.#find(key)
    if (entry === undefined) return undefined
    if (!(entry.value instanceof Uint8Array))
      throw new MillraceError('INVALID_ARGUMENT', 'the in-memory twin gives bytes of binary tables only')
    return Buffer.from(entry.value)
  }

  peekBinary(key: Key): Buffer | undefined {
    return this.getBinary(key)
  }

  has(key: Key): boolean {
    return this.#find(key) !== undefined
  }

  *range(range: KeyRange = {}): Iterable<{ readonly key: Key; readonly value: unknown }> {
    for (const { key, value } of this.#slice(range)) yield { key, value: this.#copy(value) }
  }

  *keys(range: KeyRange = {}): Iterable<Key> {
    for (const { key } of this.#slice(range)) yield key
  }

  async put(key: Key, value: unknown): Promise<void> {
    const at = this.#position(key)
    const isThere = at < this.entries.length && compareKeys((this.entries[at] as Entry).key, key) === 0
    this.entries.splice(at, isThere ? 1 : 0, { key: normalKey(key), value: this.#copy(value) })
  }

  async remove(key: Key): Promise<void> {
    const at = this.#position(key)
    if (at < this.entries.length && compareKeys((this.entries[at] as Entry).key, key) === 0) this.entries.splice(at, 1)
  }

  async clear(): Promise<void> {
    this.entries = []
  }

  #slice(range: KeyRange): Entry[] {
    const begin = range.from === undefined ? 0 : this.#position(range.from)
    const end = range.to === undefined ? this.entries.length : this.#position(range.to)
    const found = this.entries.slice(begin, Math.max(begin, end))
    if (range.reverse) found.reverse()
    return range.limit === undefined ? found : found.slice(0, range.limit)
  }

  #find(key: Key): Entry | undefined {
    const entry = this.entries[this.#position(key)]
    return entry && compareKeys(entry.key, key) === 0 ? entry : undefined
  }

  /** Index of the first entry whose key is not below `key`. */
  #position(key: Key): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareKeys((this.entries[middle] as Entry).key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #copy(value: unknown): unknown {
    return this.#isBinary ? Buffer.from(value as Uint8Array) : structuredClone(value)
  }
}

/** As LMDB gives it back: an array of one part is that part. */
function normalKey(key: Key): Key {
  return typeof key === 'object' && !(key instanceof Uint8Array) && key.length === 1 ? (key[0] as KeyPart) : key
}

/** LMDB's order of encoded keys: a shorter key that is a prefix comes first. */
function compareKeys(left: Key, right: Key): number {
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right)
  const leftParts = partsOf(left)
  const rightParts = partsOf(right)
  for (let i = 0; i < leftParts.length && i < rightParts.length; i++) {
    const order = compareParts(leftParts[i] as KeyPart, rightParts[i] as KeyPart)
    if (order !== 0) return order
  }
  return leftParts.length - rightParts.length
}

function partsOf(key: Key): readonly KeyPart[] {
  if (key instanceof Uint8Array)
    throw new MillraceError('INVALID_ARGUMENT', 'a table has either byte keys or ordered keys, not both')
  return typeof key === 'object' ? key : [key]
}

function compareParts(left: KeyPart, right: KeyPart): number {
  if (typeof left === 'string' && typeof right === 'string')
    return Buffer.compare(Buffer.from(left), Buffer.from(right))
  if (typeof left === typeof right) return Number(left) - Number(right)
  return rank(left) - rank(right)
}

function rank(part: KeyPart): number {
  return typeof part === 'boolean' ? 0 : typeof part === 'number' ? 1 : 2
}
