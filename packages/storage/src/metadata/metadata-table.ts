import type { Clock, DataVersion } from '@millrace/core'
import type { KeyValue, KeyValueTable } from '../kv/key-value.js'
import { type ChangeWriter, recordsOf } from './change-writer.js'
import { firstDataVersion, nextDataVersion } from './data-version.js'

/**
 * A durable map from names to records, wholly in memory for reading: topics, subscription groups, settings.
 * A record is plain data and never changed in place: read, copy, put.
 */
export class MetadataTable<V> {
  readonly name: string
  readonly #entries = new Map<string, V>()
  readonly #writer: ChangeWriter
  readonly #store: KeyValue
  readonly #stored: KeyValueTable<V, string>
  readonly #clock: Clock
  #version: DataVersion

  /** @internal made by `MetadataStore.table` */
  constructor(
    name: string,
    store: KeyValue,
    versions: KeyValueTable<DataVersion, string>,
    writer: ChangeWriter,
    clock: Clock,
  ) {
    this.name = name
    this.#store = store
    this.#writer = writer
    this.#stored = store.table(recordsOf(name))
    this.#clock = clock
    this.#version = versions.get(name) ?? firstDataVersion(clock.now())
    for (const { key, value } of this.#stored.range()) this.#entries.set(key, value)
  }

  /** Counts the changes of this table; stored with them. */
  get version(): DataVersion {
    return this.#version
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** In the order of first insertion, by name after a restart. */
  entries(): IterableIterator<[string, V]> {
    return this.#entries.entries()
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys()
  }

  /**
   * Stores a record. Readers see it at once; the promise resolves when it is durable (see `MetadataStoreOptions`), with
   * the version.
   * @throws MillraceError DISK_FULL | DISK_FAILED | STORE_READ_ONLY by the promise; readers see what is stored again
   */
  put(key: string, value: V): Promise<void> {
    if (this.#store.failure) return this.#stored.put(key, value)
    this.#entries.set(key, value)
    return this.#change(key, value)
  }

  /** Removes a record, as `put`; resolves at once when there is none. */
  remove(key: string): Promise<void> {
    if (!this.#entries.has(key)) return Promise.resolve()
    if (this.#store.failure) return this.#stored.remove(key)
    this.#entries.delete(key)
    return this.#change(key, undefined)
  }

  #change(key: string, value: V | undefined): Promise<void> {
    this.#version = nextDataVersion(this.#version, this.#clock.now())
    const written = this.#writer.write({ table: this.name, key, value, version: this.#version })
    written.catch(() => this.#restore(key, value))
    return written
  }

  /** After a failed write: back to what is stored, unless a later write has changed the record again. */
  #restore(key: string, failed: V | undefined): void {
    if (this.#entries.get(key) !== failed) return
    const stored = this.#stored.get(key)
    if (stored === undefined) this.#entries.delete(key)
    else this.#entries.set(key, stored)
  }
}
