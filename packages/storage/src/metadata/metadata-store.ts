import { join } from 'node:path'
import { type Clock, type DataVersion, type Environment, MillraceError } from '@millrace/core'
import { nodeStorageEngine, type StorageEngine } from '../engine.js'
import type { KeyValue, KeyValueTable } from '../kv/key-value.js'
import { PopReceipts } from '../pop/pop-receipts.js'
import { ReceiptJournal } from '../pop/receipt-journal.js'
import { ChangeJournal } from './change-journal.js'
import { type ChangeWriter, DirectWriter, JournaledWriter } from './change-writer.js'
import { ConsumerOffsets } from './consumer-offsets.js'
import { MetadataTable } from './metadata-table.js'

/** Format of a data directory as a whole. Raised when an older Millrace could no longer read it rightly. */
const STORE_FORMAT = 1

interface FormatRecord {
  readonly format: number
}

export interface MetadataStoreOptions {
  readonly environment: Environment
  /** Default: LMDB. */
  readonly engine?: StorageEngine
  /**
   * What a resolved write of a table means. 'flushed' (default): on stable storage. 'committed': safe from a crash of the
   * process, by a journal; see `JournaledWriter`.
   */
  readonly durability?: 'flushed' | 'committed'
  /** Told once, when a write failed and the store has become read-only. */
  readonly onFailure?: (error: MillraceError) => void
}

type TimePorts = Pick<Environment, 'clock' | 'scheduler'>

/**
 * What a broker must not lose and cannot rebuild from its log: topics, subscription groups, consumer offsets,
 * settings. Opens a broker's data directory for this process: it comes first, before the log.
 */
export class MetadataStore {
  readonly offsets: ConsumerOffsets
  readonly receipts: PopReceipts
  readonly #store: KeyValue
  readonly #versions: KeyValueTable<DataVersion, string>
  readonly #writer: ChangeWriter
  readonly #receiptJournal: ReceiptJournal | undefined
  readonly #clock: Clock
  readonly #tables = new Map<string, MetadataTable<unknown>>()
  readonly #unlock: () => void
  #closed: Promise<void> | undefined

  private constructor(
    store: KeyValue,
    writer: ChangeWriter,
    { clock, scheduler }: TimePorts,
    receiptJournal: ReceiptJournal | undefined,
    unlock: () => void,
  ) {
    this.#store = store
    this.#writer = writer
    this.#receiptJournal = receiptJournal
    this.#clock = clock
    this.#unlock = unlock
    this.#versions = store.table('versions')
    this.offsets = new ConsumerOffsets(store, this.#versions, clock)
    this.receipts = new PopReceipts(store, this.offsets, scheduler, receiptJournal)
  }

  /**
   * Locks data directory `directory` (file `millrace.lock`), checks its format, and opens `metadata/` in it.
   * @throws MillraceError STORE_LOCKED (names the pid) | INVALID_CONFIG (written by a newer Millrace) | DISK_FAILED
   */
  static async open(directory: string, options: MetadataStoreOptions): Promise<MetadataStore> {
    const { lockDirectory, openKeyValue } = options.engine ?? nodeStorageEngine
    const lock = lockDirectory(directory)
    const { disk, clock, scheduler } = options.environment
    const path = join(directory, 'metadata')
    let store: KeyValue | undefined
    try {
      store = await openKeyValue(path, { durability: 'flushed', ...options })
      const journal = openJournal(() => ChangeJournal.open(disk, join(path, 'journal')), `${path}/journal`)
      await JournaledWriter.replay(store, journal)
      const writer =
        options.durability === 'committed' ? new JournaledWriter(store, journal, scheduler) : new DirectWriter(store)
      if (writer instanceof DirectWriter) journal.close()
      const receiptJournal = openJournal(() => ReceiptJournal.open(disk, join(path, 'pop')), `${path}/pop`)
      const isJournaled = options.durability === 'committed'
      const metadata = await MetadataStore.over(store, {
        clock,
        scheduler,
        name: directory,
        writer,
        ...(isJournaled && { receiptJournal }),
        onClose: lock.release,
      })
      await metadata.receipts.recover(receiptJournal)
      if (!isJournaled) receiptJournal.close()
      return metadata
    } catch (error) {
      await store?.close()
      lock.release()
      throw error
    }
  }

  /** The same over any key-value store: simulations use `memoryKeyValue()`. @throws as `open` */
  static async over(
    store: KeyValue,
    options: TimePorts & {
      readonly name: string
      readonly writer?: ChangeWriter
      readonly receiptJournal?: ReceiptJournal
      readonly onClose?: () => void
    },
  ): Promise<MetadataStore> {
    const formats = store.table<FormatRecord, string>('format')
    const found = formats.get('store')
    if (found === undefined) await formats.put('store', { format: STORE_FORMAT })
    else if (found.format > STORE_FORMAT)
      throw new MillraceError(
        'INVALID_CONFIG',
        `data directory "${options.name}" has format ${found.format}, and this Millrace reads up to ${STORE_FORMAT}; start it with the newer version that wrote it, or choose another directory`,
        { detail: { found: found.format, supported: STORE_FORMAT } },
      )
    const writer = options.writer ?? new DirectWriter(store)
    return new MetadataStore(store, writer, options, options.receiptJournal, options.onClose ?? (() => undefined))
  }

  /** Same name, same table; its records are in memory from the first call on. */
  table<V>(name: string): MetadataTable<V> {
    let table = this.#tables.get(name)
    if (table === undefined) {
      table = new MetadataTable<unknown>(name, this.#store, this.#versions, this.#writer, this.#clock)
      this.#tables.set(name, table)
    }
    return table as MetadataTable<V>
  }

  /** Why nothing can be written any more; undefined while the store is healthy. */
  get failure(): Error | undefined {
    return this.#store.failure
  }

  /** Stores offsets that are still in memory only, closes, and gives the directory free. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    // A failed flush has been reported by onFailure; closing goes on.
    if (this.failure === undefined) await this.offsets.flush().catch(() => undefined)
    await this.#writer.flush()
    await this.#store.close()
    this.#writer.close()
    this.#receiptJournal?.close()
    this.#unlock()
  }
}

/** @throws MillraceError DISK_FAILED */
function openJournal<J>(open: () => J, path: string): J {
  try {
    return open()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new MillraceError('DISK_FAILED', `metadata journal "${path}" could not be opened: ${reason}`, { cause })
  }
}
