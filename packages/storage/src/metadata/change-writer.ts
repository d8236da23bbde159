import type { DataVersion, Environment } from '@millrace/core'
import { MillraceError } from '@millrace/core'
import type { KeyValue, KeyValueTable } from '../kv/key-value.js'
import type { ChangeJournal, TableChange } from './change-journal.js'

/** Stores changes of metadata tables. */
export interface ChangeWriter {
  /**
   * Resolves when the change is as durable as the store promises.
   * @throws MillraceError DISK_FULL | DISK_FAILED | STORE_READ_ONLY by the promise: not stored
   */
  write(change: TableChange): Promise<void>
  /** Resolves when the store has every change, or has failed. Never rejects. */
  flush(): Promise<void>
  /** Releases what the writer holds; the store is closed already. */
  close(): void
}

/** Name of a table's records in the key-value store. */
export const recordsOf = (table: string): string => `table:${table}`

/** Puts record and version of a table, inside a batch. */
class TableRows {
  readonly #versions: KeyValueTable<DataVersion, string>

  constructor(private readonly store: KeyValue) {
    this.#versions = store.table('versions')
  }

  put({ key, table, value, version }: TableChange): void {
    const records = this.store.table<unknown, string>(recordsOf(table))
    void (value === undefined ? records.remove(key) : records.put(key, value))
    void this.#versions.put(table, version)
  }
}

/** Straight into the key-value store: a change is as durable as its commit. */
export class DirectWriter implements ChangeWriter {
  readonly #rows: TableRows

  constructor(private readonly store: KeyValue) {
    this.#rows = new TableRows(store)
  }

  write(change: TableChange): Promise<void> {
    return this.store.batch(() => this.#rows.put(change))
  }

  async flush(): Promise<void> {}

  close(): void {}
}

/** Changes of this long share one commit of the key-value store. */
const APPLY_DELAY_MS = 50
/** The journal is emptied at this size, when the store has all of it. */
const CLEAR_BYTES = 1024 * 1024
/** Until changes that the store had no room for are tried again. */
const RETRY_MS = 1_000
const APPLIED = 'applied'
const STORED = Promise.resolve()

interface Queued {
  readonly change: TableChange
  readonly sequence: number
  /** Present when the journal did not take the change: somebody waits for the store. */
  readonly waiter: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined
}

/**
 * A change is in the journal when `write` resolves, and in the key-value store some milliseconds later: many changes
 * share a commit there, and nobody waits for its fsync. The store remembers the last change that it has (`applied`), so
 * that after a crash just the rest is taken from the journal.
 *
 * A change that the journal cannot take is written the direct way, behind those before it. One batch at a time is under way.
 */
export class JournaledWriter implements ChangeWriter {
  readonly #rows: TableRows
  readonly #progress: KeyValueTable<number, string>
  #queue: Queued[] = []
  #applying: Promise<void> | undefined
  #isTimerSet = false
  #hasFailed = false
  #sequence: number

  constructor(
    private readonly store: KeyValue,
    private readonly journal: ChangeJournal,
    private readonly scheduler: Environment['scheduler'],
  ) {
    this.#rows = new TableRows(store)
    this.#progress = progressOf(store)
    this.#sequence = this.#progress.get(APPLIED) ?? 0
  }

  /** Brings what only the journal has into the store, and empties the journal. @throws MillraceError DISK_FULL | DISK_FAILED */
  static async replay(store: KeyValue, journal: ChangeJournal): Promise<void> {
    const progress = progressOf(store)
    const applied = progress.get(APPLIED) ?? 0
    const missing = journal.found.filter(change => change.sequence > applied)
    const rows = new TableRows(store)
    if (missing.length > 0) {
      // Tables cannot be opened inside a batch.
      for (const { table } of missing) store.table(recordsOf(table))
      await store.batch(() => {
        for (const change of missing) rows.put(change)
        void progress.put(APPLIED, missing.at(-1)!.sequence)
      })
      await store.flush()
    }
    journal.clear()
  }

  write(change: TableChange): Promise<void> {
    const sequence = ++this.#sequence
    if (this.store.failure === undefined && this.journal.append({ ...change, sequence })) {
      this.#queue.push({ change, sequence, waiter: undefined })
      this.#applyIn(APPLY_DELAY_MS)
      return STORED
    }
    const written = new Promise<void>((resolve, reject) => {
      this.#queue.push({ change, sequence, waiter: { resolve, reject } })
    })
    this.#apply()
    return written
  }

  async flush(): Promise<void> {
    while (this.#queue.length > 0 && this.store.failure === undefined) {
      this.#apply()
      await this.#applying
    }
    await this.#applying
  }

  close(): void {
    this.#clearWhenStored(0)
    this.journal.close()
  }

  #applyIn(delayMs: number): void {
    if (this.#isTimerSet) return
    this.#isTimerSet = true
    const apply = () => {
      this.#isTimerSet = false
      this.#apply()
    }
    this.scheduler.after(delayMs, apply, { unref: true })
  }

  /** Brings the queue into the store, unless a batch is under way: its end goes on. */
  #apply(): void {
    if (this.#applying !== undefined || this.#queue.length === 0) return
    const batch = this.#queue
    this.#queue = []
    const last = new Map(batch.map(({ change }, i) => [`${change.table}\0${change.key}`, i]))
    const stored = this.store.batch(() => {
      for (const i of last.values()) this.#rows.put(batch[i]!.change)
      void this.#progress.put(APPLIED, batch.at(-1)!.sequence)
    })
    this.#applying = stored.then(
      () => this.#applied(batch),
      error => this.#failed(batch, error),
    )
  }

  #applied(batch: readonly Queued[]): void {
    this.#applying = undefined
    for (const { waiter } of batch) waiter?.resolve()
    this.#clearWhenStored(CLEAR_BYTES)
    if (this.#queue.some(({ waiter }) => waiter)) this.#apply()
    else if (this.#queue.length > 0) this.#applyIn(APPLY_DELAY_MS)
  }

  /** What is in the journal goes on being valid: after a full disk it is tried again, else by the next start. */
  #failed(batch: readonly Queued[], error: unknown): void {
    this.#applying = undefined
    for (const { waiter } of batch) waiter?.reject(error)
    this.#queue = [...batch.filter(({ waiter }) => !waiter), ...this.#queue]
    if (isDiskFull(error)) this.#applyIn(RETRY_MS)
    else for (const { waiter } of this.#queue.splice(0)) waiter?.reject(error)
    this.#hasFailed = !isDiskFull(error)
  }

  #clearWhenStored(sizeBytes: number): void {
    if (this.#hasFailed || this.#applying !== undefined || this.#queue.length > 0) return
    if (this.journal.sizeBytes >= sizeBytes) this.journal.clear()
  }
}

function progressOf(store: KeyValue): KeyValueTable<number, string> {
  return store.table<number, string>('journal')
}

function isDiskFull(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'DISK_FULL'
}
