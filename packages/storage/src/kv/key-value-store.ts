import { type Environment, MillraceError } from '@millrace/core'
import type * as lmdb from 'lmdb'
import { CommitGuard } from './commit-guard.js'
import type { Key, KeyRange, KeyValue, KeyValueTable, TableOptions } from './key-value.js'

export interface KeyValueStoreOptions {
  /**
   * What a resolved write promise means. 'flushed': on stable storage. 'committed': visible and safe from a crash of
   * the process; stable storage follows within about a second, in commit order, and `flush` waits for it.
   */
  readonly durability: 'flushed' | 'committed'
  readonly environment: Pick<Environment, 'clock' | 'scheduler' | 'disk'>
  /** Address space to reserve; grows by itself when the data does, which costs a pause. Default 256 MiB. */
  readonly mapSizeBytes?: number
  /** A commit without an answer for this long fails the store. Default 10 s. */
  readonly commitDeadlineMs?: number
  /** Told once, when the store fails and takes no more writes. */
  readonly onFailure?: (error: MillraceError) => void
}

const MAP_SIZE_BYTES = 256 * 1024 * 1024
const COMMIT_DEADLINE_MS = 10_000
/** Closing a database that cannot answer must not hold up a shutdown. */
const CLOSE_DEADLINE_MS = 5_000
const TABLES_MAX = 64
/** Flags of lmdb-js' transactionSync: abortable (1), commit on this thread (2), do not wait for the disk (0x1_0000). */
const SYNC_COMMIT = 3
const SYNC_COMMIT_UNFLUSHED = 0x1_0003

/** Parts of lmdb-js that its types leave out. */
type Database<V, K extends Key> = lmdb.Database<V, K & lmdb.Key> & { readonly name: string; readonly lastSize: number }
type RootDatabase = lmdb.RootDatabase<unknown, lmdb.Key> & {
  sync(done: (error: Error | null) => void): void
  transactionSync<T>(work: () => T, flags: number): T
}

/**
 * An LMDB environment: one writer at a time, any number of readers, in all threads and processes.
 *
 * - The same path may be open in several threads of one process: give the writes to one of them, since a second
 *   writer waits for the lock (the main thread would stand still in `commitSync`).
 * - Fail-stop: after any failed commit but a full disk the store takes no more writes, in this handle, for good.
 *   Rejected does not mean not applied. Reopen after a restart of the process. Reads go on, unless the page that
 *   failed was the one that makes a commit count: then LMDB refuses reads too (DISK_FAILED), and if
 *   another commit was queued behind, a thread of it waits for ever: such a process may end by SIGKILL only.
 * - A path is a directory: `data.mdb` and `lock.mdb`.
 */
export class KeyValueStore implements KeyValue {
  readonly path: string
  readonly #root: RootDatabase
  readonly #guard: CommitGuard
  readonly #options: KeyValueStoreOptions
  readonly #tables = new Map<string, LmdbTable<unknown, Key>>()
  #closed: Promise<void> | undefined

  private constructor(path: string, root: RootDatabase, guard: CommitGuard, options: KeyValueStoreOptions) {
    this.path = path
    this.#root = root
    this.#guard = guard
    this.#options = options
  }

  /**
   * Opens or creates the environment in directory `path`. Loads the native library on first use.
   * @throws MillraceError DISK_FAILED (cannot be opened: permissions, not a database, damaged)
   */
  static async open(path: string, options: KeyValueStoreOptions): Promise<KeyValueStore> {
    const { environment } = options
    try {
      environment.disk.makeDirectory(path)
      const { open } = await import('lmdb')
      const root = open<unknown, lmdb.Key>({
        path,
        noSubdir: false,
        maxDbs: TABLES_MAX,
        mapSize: options.mapSizeBytes ?? MAP_SIZE_BYTES,
        overlappingSync: options.durability === 'committed',
        // With batching by lmdb-js each turn has a second promise that nobody can get hold of: a failed commit
        // would end the process. Without, a commit takes what was written until the end of the turn all the same.
        eventTurnBatching: false,
        txnStartThreshold: Number.MAX_SAFE_INTEGER,
      } as lmdb.RootDatabaseOptions) as unknown as RootDatabase
      const guard = new CommitGuard(environment.clock, environment.scheduler, {
        path,
        deadlineMs: options.commitDeadlineMs ?? COMMIT_DEADLINE_MS,
        isUsable: () => isReadable(root),
        onFailure: error => options.onFailure?.(error),
      })
      return new KeyValueStore(path, root, guard, options)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new MillraceError('DISK_FAILED', `key-value store "${path}" could not be opened: ${reason}`, { cause })
    }
  }

  get failure(): MillraceError | undefined {
    return this.#guard.failure
  }

  table<V, K extends Key = Key>(name: string, options: TableOptions = {}): KeyValueTable<V, K> {
    let table = this.#tables.get(name)
    if (table === undefined) {
      const refusal = this.#refusal()
      if (refusal) throw refusal
      const database = this.#root.openDB<unknown, lmdb.Key>({
        name,
        encoding: options.encoding ?? 'msgpack',
        keyEncoding: options.keys === 'binary' ? 'binary' : 'ordered-binary',
        encoder: options.encoding === 'binary' ? undefined : { useRecords: false },
      } as lmdb.DatabaseOptions & { name: string })
      table = new LmdbTable<unknown, Key>(database as unknown as Database<unknown, Key>, this.#guard, () =>
        this.#refusal(),
      )
      this.#tables.set(name, table)
    }
    return table as unknown as KeyValueTable<V, K>
  }

  batch(write: () => void): Promise<void> {
    const refusal = this.#refusal()
    if (refusal) return rejected(refusal)
    return this.#guard.watch(this.#root.batch(write))
  }

  transaction<T>(work: () => T): Promise<T> {
    const refusal = this.#refusal()
    if (refusal) return rejected(refusal)
    let thrown: { readonly error: unknown } | undefined
    const native = this.#root.childTransaction(() => {
      try {
        return work()
      } catch (error) {
        thrown = { error }
        throw error
      }
    })
    return this.#guard.own(
      native,
      value => value,
      error => thrown !== undefined && thrown.error === error,
    )
  }

  commitSync<T>(work: () => T): T {
    const refusal = this.#refusal()
    if (refusal) throw refusal
    let isWorkDone = false
    try {
      return this.#root.transactionSync(
        () => {
          const value = work()
          isWorkDone = true
          return value
        },
        this.#options.durability === 'flushed' ? SYNC_COMMIT : SYNC_COMMIT_UNFLUSHED,
      )
    } catch (error) {
      throw isWorkDone ? this.#guard.fail(error) : error
    }
  }

  flush(): Promise<void> {
    const refusal = this.#refusal()
    if (refusal) return rejected(refusal)
    const synced = new Promise<void>((resolve, reject) => {
      this.#root.committed.then(() => this.#root.sync(error => (error ? reject(error) : resolve())), reject)
    })
    return this.#guard.own(synced, () => undefined)
  }

  refresh(): void {
    this.#root.resetReadTxn()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#guard.idle()
    // A failed environment may wait for ever for a lock its writer died with: the process's end frees it.
    if (this.#guard.failure) return
    await new Promise<void>(resolve => {
      const cancel = this.#options.environment.scheduler.after(CLOSE_DEADLINE_MS, resolve)
      const done = () => {
        cancel()
        resolve()
      }
      this.#root.close().then(done, done)
    })
  }

  /** Why nothing can be written now. */
  #refusal(): MillraceError | undefined {
    if (this.#guard.failure) return this.#guard.refusal()
    return this.#closed && new MillraceError('CLOSED', `key-value store "${this.path}" is closed`)
  }
}

const APPLIED = Promise.resolve()

class LmdbTable<V, K extends Key> implements KeyValueTable<V, K> {
  readonly #database: Database<V, K>
  readonly #guard: CommitGuard
  readonly #refusal: () => MillraceError | undefined

  constructor(database: Database<V, K>, guard: CommitGuard, refusal: () => MillraceError | undefined) {
    this.#database = database
    this.#guard = guard
    this.#refusal = refusal
  }

  get(key: K): V | undefined {
    try {
      return this.#database.get(key as K & lmdb.Key)
    } catch (cause) {
      throw this.#unreadable(cause)
    }
  }

  getBinary(key: K): Buffer | undefined {
    try {
      return this.#database.getBinary(key as K & lmdb.Key)
    } catch (cause) {
      throw this.#unreadable(cause)
    }
  }

  peekBinary(key: K): Buffer | undefined {
    let bytes: Buffer | undefined
    try {
      bytes = this.#database.getBinaryFast(key as K & lmdb.Key)
    } catch (cause) {
      throw this.#unreadable(cause)
    }
    // The shared buffer is longer than the value; a value inside LMDB's map comes as a plain Uint8Array.
    return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, this.#database.lastSize)
  }

  has(key: K): boolean {
    return this.#database.doesExist(key as K & lmdb.Key)
  }

  range(range: KeyRange<K> = {}): Iterable<{ readonly key: K; readonly value: V }> {
    return this.#database.getRange(nativeRange(range)) as Iterable<{ key: K; value: V }>
  }

  keys(range: KeyRange<K> = {}): Iterable<K> {
    return this.#database.getKeys(nativeRange(range))
  }

  put(key: K, value: V): Promise<void> {
    return this.#write(() => this.#database.put(key as K & lmdb.Key, value))
  }

  remove(key: K): Promise<void> {
    return this.#write(() => this.#database.remove(key as K & lmdb.Key))
  }

  clear(): Promise<void> {
    return this.#write(() => this.#database.clearAsync())
  }

  #unreadable(cause: unknown): MillraceError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new MillraceError('DISK_FAILED', `table "${this.#database.name}" cannot be read: ${reason}`, { cause })
  }

  #write(write: () => Promise<unknown>): Promise<void> {
    const refusal = this.#refusal()
    if (refusal) return rejected(refusal)
    let native: Promise<unknown>
    try {
      native = write()
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new MillraceError('INVALID_ARGUMENT', `table "${this.#database.name}" cannot store this entry: ${reason}`, {
        cause,
      })
    }
    // Inside a transaction the write is done; the transaction's own promise tells of the commit.
    return 'isSync' in native ? APPLIED : this.#guard.watch(native)
  }
}

/** False after MDB_PANIC: the page that makes a commit count could not be written. */
function isReadable(root: RootDatabase): boolean {
  try {
    root.resetReadTxn()
    root.doesExist('any')
    return true
  } catch {
    // Whatever the reason, the answer is no.
    return false
  }
}

function rejected(error: MillraceError): Promise<never> {
  const promise = Promise.reject(error)
  promise.catch(() => undefined)
  return promise
}

/** lmdb-js reads from `start` to `end` in reading direction, without `end`; ours is [from, to) in both. */
function nativeRange<K extends Key>(range: KeyRange<K>): lmdb.RangeOptions {
  const options: Record<string, unknown> = {}
  if (range.reverse) {
    options['reverse'] = true
    if (range.to !== undefined) Object.assign(options, { start: range.to, exclusiveStart: true })
    if (range.from !== undefined) Object.assign(options, { end: range.from, inclusiveEnd: true })
  } else {
    if (range.from !== undefined) options['start'] = range.from
    if (range.to !== undefined) options['end'] = range.to
  }
  if (range.limit !== undefined) options['limit'] = range.limit
  return options
}
