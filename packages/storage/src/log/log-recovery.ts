import { MillraceError } from '@millrace/core'
import { IndexBatch, QueueNumbers } from '../index/index-batch.js'
import { clearIndex, type IndexTables, readVerifyFrom, readWatermark } from '../index/index-tables.js'
import { IndexWriter } from '../index/index-writer.js'
import { logFileName } from './layout.js'
import type { LogFiles } from './log-files.js'
import { LogScan } from './log-scan.js'

/** Records per batch: about what is held in memory at a time, and how often progress is told. */
const BATCH_RECORDS = 1 << 16
/** Batches kept unindexed for a fast start; a longer tail (a rebuild) is indexed on the way. */
const BATCHES_KEPT = 8

/** What opening a log found. */
export interface Recovered {
  /** End of the last good record; the log goes on here. */
  readonly end: number
  /** The index covers the log up to here; the records from here to `end` are in `tail`. */
  readonly watermark: number
  readonly tail: readonly IndexBatch[]
  readonly numbers: QueueNumbers
  /** Bytes of damaged tail that were cut off. */
  readonly isTailTorn: boolean
  readonly recordsScanned: number
}

/** Called now and then with positions, for people who wait. */
export type RecoveryProgress = (progress: { readonly from: number; readonly at: number; readonly to: number }) => void

/**
 * Finds the end of the log. Work is proportional to the log behind the index's watermark, not to the store.
 *
 * The last megabyte before the watermark is checked as well; when it is damaged the whole log is read again.
 * A record that is torn or damaged ends the log if it lies in the last file that has data: the rest of that file is
 * zeroed. Damage in an earlier file is an error: nothing is skipped in silence.
 *
 * @param pause lets other work of the thread run; called between batches
 * @throws MillraceError STORE_CORRUPT
 */
export async function recoverLog(
  files: LogFiles,
  tables: IndexTables,
  onProgress: RecoveryProgress,
  pause: () => Promise<void>,
): Promise<Recovered> {
  let from = startOfScan(files, readWatermark(tables))
  if (from > files.begin && !isTailWhole(files, readVerifyFrom(tables), from)) {
    // The log was damaged where the index ends, so the index tells of what is no more: the log decides.
    clearIndex(tables)
    from = files.begin
  }
  const numbers = new QueueNumbers()
  const scan = new LogScan(files, from, true)
  let watermark = from
  const tail: IndexBatch[] = []
  let batch = new IndexBatch(from)
  let recordsScanned = 0
  let writer: IndexWriter | undefined
  const take: Parameters<LogScan['next']>[1] = (bytes, position, view) => batch.add(bytes, position, view, numbers)
  for (;;) {
    let isMore = true
    while (batch.count < BATCH_RECORDS && (isMore = scan.next(files.limit, take)));
    recordsScanned += batch.count
    if (batch.count > 0) tail.push(batch)
    if (!isMore) break
    batch = new IndexBatch(scan.at)
    if (tail.length > BATCHES_KEPT) {
      const oldest = tail.shift()!
      writer ??= new IndexWriter(tables)
      writer.commit(oldest, numbers, oldest.end, files.begin)
      watermark = oldest.end
    }
    onProgress({ from, at: scan.at, to: files.limit })
    await pause()
  }
  const end = scan.at
  if (hasDataAfter(files, end)) {
    throw new MillraceError(
      'STORE_CORRUPT',
      `log file "${files.directory}/${logFileName(files.fileOf(end))}" is damaged at position ${end}, and later files hold messages; restore that file from a backup, or move it and the files before it away to serve the rest`,
      { detail: { position: end } },
    )
  }
  const isTailTorn = scan.ended === 'torn record'
  if (isTailTorn) files.cutAt(end)
  return { end, watermark, tail, numbers, isTailTorn, recordsScanned }
}

function startOfScan(files: LogFiles, watermark: number | undefined): number {
  if (watermark === undefined || watermark < files.begin) return files.begin
  if (watermark <= files.limit) return watermark
  throw new MillraceError(
    'STORE_CORRUPT',
    `the index reaches position ${watermark} but the log in "${files.directory}" ends before ${files.limit}; restore the missing log files, or delete the folder "millrace/index" to rebuild the index from what is there`,
    { detail: { watermark, limit: files.limit } },
  )
}

/** Is the stretch before the watermark as it was indexed? What damages a log most often damages its end. */
function isTailWhole(files: LogFiles, verifyFrom: number | undefined, watermark: number): boolean {
  if (verifyFrom === undefined || verifyFrom < files.begin) return true
  const scan = new LogScan(files, verifyFrom, true)
  while (scan.next(watermark, () => {}));
  return scan.at === watermark
}

/** Is there a record in any file after the one that holds `end`? */
function hasDataAfter(files: LogFiles, end: number): boolean {
  const head = Buffer.alloc(8)
  for (let begin = files.fileOf(end) + files.fileBytes; begin < files.limit; begin += files.fileBytes) {
    if (files.read(begin, head, 0, 8) === 8 && head.readUInt32BE(0) !== 0) return true
  }
  return false
}
