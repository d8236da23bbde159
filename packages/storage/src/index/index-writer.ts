import type { IndexBatch, QueueNumbers } from './index-batch.js'
import { BLOCK_ENTRIES, blockKey, ENTRY_BYTES, queueKey, topicRange } from './index-format.js'
import {
  type IndexTables,
  readBounds,
  readDeletion,
  readVerifyFrom,
  writeBounds,
  writeDeletion,
  writeVerifyFrom,
  writeWatermark,
} from './index-tables.js'
import { KeyRun, mergeRuns, RUN_ENTRIES_MAX, RUNS_PER_LEVEL, RunScratch } from './key-runs.js'

/** Of the log before the watermark, what is read again at every start. */
const VERIFIED_BYTES = 1024 * 1024

/**
 * Writes index batches to LMDB. One transaction per batch holds entries, key runs, queue bounds and the watermark,
 * so that the index always describes exactly the log before its watermark.
 */
export class IndexWriter {
  private runSequence: number
  private readonly scratch = new RunScratch()
  /** Entries of the block that is being filled; LMDB copies what is put. */
  private readonly block = Buffer.alloc(BLOCK_ENTRIES * ENTRY_BYTES)

  constructor(private readonly tables: IndexTables) {
    let last = 0
    for (const key of tables.runs.keys()) last = Math.max(last, Buffer.from(key).readDoubleBE(1))
    this.runSequence = last + 1
  }

  /** Commits `batch`; the watermark is then `watermark`. @throws MillraceError DISK_FAILED | DISK_FULL */
  commit(batch: IndexBatch, numbers: QueueNumbers, watermark: number, logBegin: number): void {
    this.tables.store.commitSync(() => {
      this.writeEntries(batch, numbers)
      if (batch.keys.count > 0) this.addRun(0, batch.keys.toRun(this.scratch), logBegin)
      this.moveVerifyFrom(batch)
      writeWatermark(this.tables, watermark)
    })
  }

  /** Forgets all queues of a topic; records of it before `position` stay forgotten. */
  deleteTopic(topic: string, position: number): void {
    const { blocks, queues, store } = this.tables
    store.commitSync(() => {
      const range = topicRange(topic)
      for (const key of [...blocks.keys(range)]) void blocks.remove(key)
      for (const key of [...queues.keys(range)]) void queues.remove(key)
      writeDeletion(this.tables, topic, position)
    })
  }

  /** Removes blocks, runs and bounds that describe nothing at or after `logBegin`. */
  trim(logBegin: number): void {
    const { blocks, queues, runs, store } = this.tables
    store.commitSync(() => {
      for (const { key, value } of [...runs.range()]) {
        if (new KeyRun(Buffer.from(value)).lastPosition < logBegin) void runs.remove(key)
      }
      for (const key of [...queues.keys()]) {
        const queue = Buffer.from(key)
        const bounds = readBounds(this.tables, queue)
        if (!bounds) continue
        let { first } = bounds
        for (const block of blocks.keys({ from: blockKey(queue, 0), to: blockKey(queue, 0xffff_ffff) })) {
          const entries = blocks.getBinary(block)!
          const number = Buffer.from(block).readUInt32BE(queue.length)
          const last = entries.readDoubleLE(entries.length - ENTRY_BYTES)
          if (last >= logBegin) break
          first = Math.min(number * BLOCK_ENTRIES + entries.length / ENTRY_BYTES, bounds.next)
          void blocks.remove(block)
        }
        if (first !== bounds.first) writeBounds(this.tables, queue, { first, next: bounds.next })
      }
    })
  }

  /** Keeps `verify from` at a record at most VERIFIED_BYTES before the end, or at the last one. */
  private moveVerifyFrom(batch: IndexBatch): void {
    const earliest = batch.end - VERIFIED_BYTES
    const known = readVerifyFrom(this.tables)
    if (batch.count === 0 || (known !== undefined && known >= earliest)) return
    let i = 0
    while (i < batch.count - 1 && batch.position[i]! < earliest) i++
    writeVerifyFrom(this.tables, batch.position[i]!)
  }

  private writeEntries(batch: IndexBatch, numbers: QueueNumbers): void {
    // Chain the entries of each queue, so that every queue's blocks are written once.
    const queues = numbers.queues
    const head = new Int32Array(queues.length).fill(-1)
    const tail = new Int32Array(queues.length).fill(-1)
    const next = new Int32Array(batch.count).fill(-1)
    const touched: number[] = []
    for (let i = 0; i < batch.count; i++) {
      const queue = batch.queueNumber[i]!
      if (head[queue] === -1) {
        head[queue] = i
        touched.push(queue)
      } else next[tail[queue]!] = i
      tail[queue] = i
    }
    for (const queue of touched) this.writeQueue(batch, queues[queue]!, head[queue]!, next)
  }

  private writeQueue(
    batch: IndexBatch,
    queue: { topic: string; queueId: number },
    head: number,
    next: Int32Array,
  ): void {
    const key = queueKey(queue.topic, queue.queueId)
    const bounds = readBounds(this.tables, key)
    const deletedBefore = readDeletion(this.tables, queue.topic) ?? -1
    let first = bounds?.first
    let end = bounds?.next
    const bytes = this.block
    let block = -1
    let used = 0
    for (let i = head; i !== -1; i = next[i]!) {
      if (batch.position[i]! < deletedBefore) continue
      const offset = batch.offset[i]!
      if (end !== undefined && offset !== end) {
        // Entries and watermark are committed together, so this is no repeat: the topic was deleted and made anew (a
        // rebuilt index does not know when), or another broker left a gap. What came before cannot be reached.
        this.removeBlocks(key)
        used = 0
        block = -1
        first = offset
      }
      const number = Math.floor(offset / BLOCK_ENTRIES)
      if (number !== block) {
        if (used > 0) void this.tables.blocks.put(blockKey(key, block), bytes.subarray(0, used))
        block = number
        const stored = offset % BLOCK_ENTRIES === 0 ? undefined : this.tables.blocks.peekBinary(blockKey(key, number))
        used = stored ? stored.copy(bytes) : 0
        // A queue whose first message here is not the first of a block.
        bytes.fill(0, used)
      }
      const at = (offset % BLOCK_ENTRIES) * ENTRY_BYTES
      bytes.writeDoubleLE(batch.position[i]!, at)
      bytes.writeUInt32LE(batch.size[i]!, at + 8)
      bytes.writeInt32LE(batch.tag[i]!, at + 12)
      used = Math.max(used, at + ENTRY_BYTES)
      first ??= offset
      end = offset + 1
    }
    if (used > 0) void this.tables.blocks.put(blockKey(key, block), bytes.subarray(0, used))
    if (first !== undefined && end !== undefined) writeBounds(this.tables, key, { first, next: end })
  }

  private removeBlocks(queue: Buffer): void {
    const { blocks } = this.tables
    for (const key of [...blocks.keys({ from: blockKey(queue, 0), to: blockKey(queue, 0xffff_ffff) })]) {
      void blocks.remove(key)
    }
  }

  private addRun(level: number, run: Buffer, logBegin: number): void {
    const { runs } = this.tables
    void runs.put(runKey(level, this.runSequence++), run)
    if (new KeyRun(run).count > RUN_ENTRIES_MAX) return
    const keys = [...runs.keys({ from: runKey(level, 0), to: runKey(level + 1, 0) })].map(key => Buffer.from(key))
    if (keys.length < RUNS_PER_LEVEL) return
    const read = (key: Buffer): KeyRun => new KeyRun(runs.peekBinary(key)!)
    const small = keys.filter(key => read(key).count <= RUN_ENTRIES_MAX)
    if (small.length < RUNS_PER_LEVEL) return
    const merged = mergeRuns(
      (function* () {
        for (const key of small) yield read(key)
      })(),
      logBegin,
      this.scratch,
    )
    for (const key of small) void runs.remove(key)
    if (merged) this.addRun(level + 1, merged, logBegin)
  }
}

function runKey(level: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = level
  key.writeDoubleBE(sequence, 1)
  return key
}
