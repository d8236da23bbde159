import { type Clock, MillraceError } from '@millrace/core'
import type { LogFiles } from '../log/log-files.js'
import { LogScan } from '../log/log-scan.js'
import { RecordView } from '../log/record-view.js'
import { type SharedLog, SharedPosition, WORD } from '../log/shared-log.js'
import { IndexBatch, QueueNumbers } from './index-batch.js'
import type { IndexTables } from './index-tables.js'
import { IndexWriter } from './index-writer.js'

/** A batch is committed when it is this old, if the disk keeps up. */
const COMMIT_INTERVAL_MS = 100
/** Pause before a commit that found the disk full is tried again. */
const DISK_FULL_RETRY_MS = 1000
/** A batch is closed at this many records at the latest. */
const BATCH_RECORDS_MAX = 1 << 16
/** Records taken in by one step, so that requests are seen in between. */
const STEP_RECORDS = 4096
/** Known queues above this are forgotten after a commit; they are found again when needed. */
const KNOWN_QUEUES_MAX = 20_000

/**
 * Follows the log and keeps its index: takes records in from the ring (from the files where the index is behind the
 * ring), and commits them in batches.
 *
 * A batch is committed only when all of it is on stable storage, so the index never describes a record that a
 * power cut could take. While a closed batch waits for that, the next one fills.
 *
 * Invariants: watermark ≤ synced; watermark ≤ scanned ≤ written.
 */
export class Indexer {
  private readonly writer: IndexWriter
  private readonly ring: Buffer
  private readonly written: SharedPosition
  private readonly synced: SharedPosition
  private readonly scannedShared: SharedPosition
  private readonly view = new RecordView()
  private readonly behind: LogScan | undefined
  private numbers = new QueueNumbers()
  private open: IndexBatch
  /** A committed batch, for its arrays. */
  private spare: IndexBatch | undefined
  private openSince: number
  private closed: { batch: IndexBatch; numbers: QueueNumbers } | undefined
  private scanned: number
  private logBegin: number
  private retryAt = 0

  constructor(
    private readonly shared: SharedLog,
    files: LogFiles,
    tables: IndexTables,
    from: number,
    private readonly clock: Clock,
    private readonly onIndexed: (position: number) => void,
  ) {
    const words = new Int32Array(shared.words)
    this.writer = new IndexWriter(tables)
    this.ring = Buffer.from(shared.ring)
    this.written = new SharedPosition(words, WORD.written, shared.base)
    this.synced = new SharedPosition(words, WORD.synced, shared.base)
    this.scannedShared = new SharedPosition(words, WORD.scanned, shared.base)
    this.behind = from < shared.base ? new LogScan(files, from, false) : undefined
    this.scanned = from
    this.open = new IndexBatch(from)
    this.openSince = clock.monotonic()
    this.logBegin = files.begin
  }

  /** Something is taken in and not committed yet. */
  get isDirty(): boolean {
    return this.open.count > 0 || this.closed !== undefined
  }

  /** Takes in what is there and commits what is due. Returns true when there is more to do at once. */
  step(): boolean {
    const isMore = this.scanned < this.shared.base ? this.catchUp() : this.follow()
    this.commitDue(isMore)
    return isMore
  }

  /** Commits everything that may be committed. Call when nothing more will be written. */
  finish(): void {
    while (this.step());
    this.commitClosed()
    if (this.closed === undefined) this.closeOpen()
    this.commitClosed()
  }

  deleteTopic(topic: string, position: number): void {
    this.writer.deleteTopic(topic, position)
  }

  trim(logBegin: number): void {
    this.logBegin = logBegin
    this.writer.trim(logBegin)
  }

  private catchUp(): boolean {
    const take = (bytes: Buffer, position: number, view: RecordView): void =>
      this.open.add(bytes, position, view, this.numbers)
    for (let i = 0; i < STEP_RECORDS; i++) {
      if (this.isFull) return true
      if (!this.behind!.next(this.shared.base, take)) {
        this.scanned = this.shared.base
        this.open.end = this.scanned
        return true
      }
    }
    return true
  }

  private follow(): boolean {
    const written = this.written.get()
    const { ringBytes } = this.shared
    let { scanned } = this
    for (let i = 0; i < STEP_RECORDS && scanned < written && !this.isFull; i++) {
      const at = scanned % ringBytes
      const found = this.view.read(this.ring, at, this.ring.length)
      if (found === 'filler') {
        scanned += this.view.totalSize
        continue
      }
      if (found !== 'record') throw new Error(`no record at log position ${scanned} in the ring`)
      this.open.add(this.ring, scanned, this.view, this.numbers)
      scanned += this.view.totalSize
    }
    if (scanned !== this.scanned) {
      this.scanned = scanned
      this.open.end = scanned
      this.scannedShared.set(scanned)
    }
    return scanned < written && !this.isFull
  }

  /** The open batch takes no more, and the closed one still waits for the disk. */
  private get isFull(): boolean {
    return this.open.count >= BATCH_RECORDS_MAX * 16
  }

  private commitDue(isMore: boolean): void {
    if (this.closed) this.commitClosed()
    if (this.closed || this.open.count === 0) return
    const isDue = this.clock.monotonic() - this.openSince >= COMMIT_INTERVAL_MS
    if (!isDue && this.open.count < BATCH_RECORDS_MAX) return
    if (isMore && this.open.count < BATCH_RECORDS_MAX) return
    this.closeOpen()
    this.commitClosed()
  }

  private closeOpen(): void {
    this.closed = { batch: this.open, numbers: this.numbers }
    const { end } = this.open
    this.open = this.spare ?? new IndexBatch(end)
    this.open.reset(end)
    this.spare = undefined
    this.openSince = this.clock.monotonic()
    if (this.numbers.queues.length > KNOWN_QUEUES_MAX) this.numbers = new QueueNumbers()
  }

  private commitClosed(): void {
    if (this.closed === undefined) return
    const { batch, numbers } = this.closed
    if (batch.end > Math.max(this.synced.get(), this.shared.base)) return
    if (this.clock.monotonic() < this.retryAt) return
    try {
      this.writer.commit(batch, numbers, batch.end, this.logBegin)
    } catch (error) {
      // Nothing was applied; the log itself is not concerned, and the batch stays until there is room.
      if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') throw error
      this.retryAt = this.clock.monotonic() + DISK_FULL_RETRY_MS
      return
    }
    this.closed = undefined
    const { end } = batch
    if (batch.count <= BATCH_RECORDS_MAX * 4) this.spare = batch
    this.onIndexed(end)
  }
}
