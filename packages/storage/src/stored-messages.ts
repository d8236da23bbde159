import type { IndexReader } from './index/index-reader.js'
import { recordCarriesKey } from './index/key-match.js'
import { ENTRY_NUMBERS, QueueTail, QueueTails, StoredTopic } from './index/queue-tails.js'
import type { KeyValue } from './kv/key-value.js'
import { RECORD_AT, RECORD_BYTES_MIN, readLong, SYS_FLAG_BORN_IPV6 } from './log/layout.js'
import type { LogFiles } from './log/log-files.js'
import { LogReader } from './log/log-reader.js'
import type { LogRing } from './log/log-ring.js'
import { RecordView } from './log/record-view.js'
import type { QueueEntry } from './message-store.js'

/** Enough of a record to find its store time. */
const TIME_READ_BYTES = 76
const HEAD_BYTES = 36
/**
 * What this process wrote is still in the page cache for about this long: checking it would compare memory with itself.
 * Measured: the check is a quarter of what a drained message of 1 KiB costs.
 */
const FRESH_BYTES = 2 ** 30

/** What the read side of a store works on. */
export interface StoredParts {
  readonly ring: LogRing
  readonly files: LogFiles
  readonly index: IndexReader
  readonly indexStore: KeyValue
}

/**
 * The read side of a log store: topics and queues, and the messages in them. The newest entries are in memory, older
 * ones in the index; bytes come from the ring or from the files.
 */
export class StoredMessages {
  readonly ring: LogRing
  readonly tails = new QueueTails()
  readonly reader: LogReader
  protected readonly files: LogFiles
  protected readonly index: IndexReader
  protected readonly indexStore: KeyValue
  protected readonly topics = new Map<string, StoredTopic>()
  private readonly entryOut = new Float64Array(ENTRY_NUMBERS)
  private readonly view = new RecordView()

  constructor({ ring, files, index, indexStore }: StoredParts) {
    this.ring = ring
    this.files = files
    this.index = index
    this.indexStore = indexStore
    this.reader = new LogReader(ring, files)
  }

  /** The store's object for a topic; keep it rather than asking per message. Void after `deleteTopic`. */
  topic(name: string): StoredTopic {
    let topic = this.topics.get(name)
    if (topic === undefined) {
      topic = new StoredTopic(name)
      this.topics.set(name, topic)
    }
    return topic
  }

  /** The queue of a topic; exists, empty, if nothing was ever written to it. */
  queue(topic: StoredTopic, queueId: number): QueueTail {
    const known = topic.queues[queueId]
    if (known !== undefined) return known
    const bounds = this.index.bounds(topic.name, queueId)
    const queue = new QueueTail(topic, queueId, bounds?.first ?? 0, bounds?.next ?? 0)
    topic.queues[queueId] = queue
    return queue
  }

  /** Offset after the last message that may be read. */
  visibleOffset(queue: QueueTail): number {
    return queue.visibleOffset(this.ring.written)
  }

  /** First offset whose record is still stored. */
  firstOffset(queue: QueueTail): number {
    const begin = this.files.begin
    if (queue.minCheckedAt < begin) {
      let low = queue.minOffset
      let high = queue.nextOffset
      while (low < high) {
        const middle = Math.floor((low + high) / 2)
        if (this.readEntries(queue, middle, 1, this.entryOut) === 1 && this.entryOut[0]! >= begin) high = middle
        else low = middle + 1
      }
      queue.minOffset = low
      queue.minCheckedAt = begin
    }
    return queue.minOffset
  }

  /** Copies up to `countMax` entries from `offset` on into `out`: position, size, tag hash each. Returns how many. */
  readEntries(queue: QueueTail, offset: number, countMax: number, out: Float64Array): number {
    if (offset >= queue.tailOffset) return queue.read(offset, countMax, out)
    return this.index.read(queue.topic.name, queue.queueId, offset, Math.min(countMax, queue.tailOffset - offset), out)
  }

  storedTopics(): string[] {
    this.indexStore.refresh()
    const names = this.index.topics()
    for (const topic of this.topics.values())
      if (topic.queues.some(queue => queue !== undefined && queue.nextOffset > 0)) names.add(topic.name)
    return [...names]
  }

  minOffset(topic: string, queueId: number): number {
    return this.firstOffset(this.queue(this.topic(topic), queueId))
  }

  maxOffset(topic: string, queueId: number): number {
    return this.visibleOffset(this.queue(this.topic(topic), queueId))
  }

  entry(topic: string, queueId: number, offset: number): QueueEntry | undefined {
    const queue = this.queue(this.topic(topic), queueId)
    if (offset < this.firstOffset(queue) || offset >= this.visibleOffset(queue)) return undefined
    if (this.readEntries(queue, offset, 1, this.entryOut) === 0) return undefined
    return { position: this.entryOut[0]!, sizeBytes: this.entryOut[1]!, tagHash: this.entryOut[2]! }
  }

  entries(topic: string, queueId: number, offset: number, countMax: number): QueueEntry[] {
    const queue = this.queue(this.topic(topic), queueId)
    const count = Math.min(countMax, this.visibleOffset(queue) - offset)
    const found: QueueEntry[] = []
    if (offset < this.firstOffset(queue) || count <= 0) return found
    const out = new Float64Array(count * ENTRY_NUMBERS)
    while (found.length < count) {
      // The newest lie in memory, older ones in the index: one read ends where the other begins.
      const read = this.readEntries(queue, offset + found.length, count - found.length, out)
      if (read === 0) break
      for (let at = 0; at < read * ENTRY_NUMBERS; at += ENTRY_NUMBERS)
        found.push({ position: out[at]!, sizeBytes: out[at + 1]!, tagHash: out[at + 2]! })
    }
    return found
  }

  record(position: number): Buffer | undefined {
    if (
      !Number.isSafeInteger(position) ||
      position < this.files.begin ||
      position + RECORD_BYTES_MIN > this.ring.written
    )
      return undefined
    const head = Buffer.allocUnsafe(HEAD_BYTES)
    if (!this.reader.copy(position, HEAD_BYTES, head, 0)) return undefined
    const sizeBytes = head.readUInt32BE(0)
    if (sizeBytes < RECORD_BYTES_MIN || position + sizeBytes > this.ring.written || readLong(head, 28) !== position)
      return undefined
    const record = Buffer.allocUnsafe(sizeBytes)
    if (!this.reader.copy(position, sizeBytes, record, 0)) return undefined
    if (this.view.read(record, 0, sizeBytes) !== 'record') return undefined
    return this.isFresh(position) || this.view.isBodyIntact(record) ? record : undefined
  }

  /**
   * Copies the record of `sizeBytes` at `position` to `target`. False when the log does not hold it whole: another size,
   * another place, or a body that does not have its checksum (looked at when it is no longer fresh).
   */
  copyRecord(position: number, sizeBytes: number, target: Buffer, at: number): boolean {
    if (!this.reader.copy(position, sizeBytes, target, at)) return false
    if (target.readInt32BE(at) !== sizeBytes || readLong(target, at + RECORD_AT.position) !== position) return false
    if (this.isFresh(position)) return true
    const { view } = this
    return view.read(target, at, at + sizeBytes) === 'record' && view.isBodyIntact(target)
  }

  /** Written by this process, and not long ago. */
  private isFresh(position: number): boolean {
    return position >= this.ring.base && position >= this.ring.written - FRESH_BYTES
  }

  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: 'lower' | 'upper'): number {
    const queue = this.queue(this.topic(topic), queueId)
    const first = this.firstOffset(queue)
    const end = this.visibleOffset(queue)
    // 'lower': first offset stored at or after; 'upper': the one before the first stored after.
    const isAfter = (offset: number): boolean => {
      const time = this.storeTime(queue, offset)
      return boundary === 'lower' ? time >= timestamp : time > timestamp
    }
    let low = first
    let high = end
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (isAfter(middle)) high = middle
      else low = middle + 1
    }
    if (boundary === 'lower') return low
    return low > first ? low - 1 : first
  }

  /** Store time (ms) of the message at an offset of the queue. */
  storeTime(queue: QueueTail, offset: number): number {
    const head = Buffer.allocUnsafe(TIME_READ_BYTES)
    if (this.readEntries(queue, offset, 1, this.entryOut) === 0) return 0
    if (!this.reader.copy(this.entryOut[0]!, TIME_READ_BYTES, head, 0)) return 0
    return storeTimeOf(head)
  }

  findByKey(
    topic: string,
    key: string,
    range: { fromMs: number; toMs: number; maxCount: number; uniqueOnly?: boolean },
  ): Buffer[] {
    this.indexStore.refresh()
    const found: Buffer[] = []
    const positions = this.index.findKey(topic, key, range.fromMs, range.toMs)
    for (let i = positions.length - 1; i >= 0 && found.length < range.maxCount; i--) {
      if (positions[i] === positions[i + 1]) continue
      const record = this.record(positions[i]!)
      if (!record || !recordCarriesKey(record, topic, key, range.uniqueOnly ?? false)) continue
      const time = storeTimeOf(record)
      if (time >= range.fromMs && time <= range.toMs) found.push(record)
    }
    return found
  }

  get logEnd(): number {
    return this.ring.end
  }
  get logBegin(): number {
    return this.files.begin
  }
  /** Bytes of log files. */
  get fileBytesTotal(): number {
    return this.files.totalBytes
  }
}

/** Store time (ms) in the first bytes of a record. */
export function storeTimeOf(record: Buffer): number {
  return readLong(record, record.readInt32BE(RECORD_AT.sysFlag) & SYS_FLAG_BORN_IPV6 ? 68 : 56)
}
