import { assert } from '@millrace/core'
import { FILLER_BYTES_MIN, FILLER_MAGIC } from './layout.js'
import { type SharedLog, SharedPosition, WORD } from './shared-log.js'

/**
 * The end of the log as the broker's thread sees it: records are encoded straight into the shared ring, then
 * published in batches to the workers.
 *
 * The byte at log position p lies at p mod ringBytes. A record that starts near the end of the ring runs on into
 * its overhang, so that it is contiguous, and its tail is mirrored to the start, so that workers find every byte
 * by its position.
 *
 * Invariants: written ≤ appended ≤ end; end − min(written, scanned) ≤ ringBytes.
 */
export class LogRing {
  /** Encode records here, at what `reserve` returned. */
  readonly bytes: Buffer
  private readonly words: Int32Array
  private readonly appended: SharedPosition
  private readonly writtenShared: SharedPosition
  private readonly scannedShared: SharedPosition
  private readonly syncedShared: SharedPosition
  private readonly fillerShared: SharedPosition
  private endPosition: number
  private fileEnd: number
  /** How far `end` may grow before a record overwrites what a worker still needs, as last seen. */
  private limit: number
  /** Largest `end` ever: what lies more than a ring behind it is overwritten. */
  private highest: number

  constructor(
    private readonly shared: SharedLog,
    private readonly recordBytesMax: number,
  ) {
    const { base, fileBytes, ringBytes } = shared
    assert(ringBytes * 2 <= fileBytes, 'the ring holds at most one file end', { ringBytes, fileBytes })
    this.words = new Int32Array(shared.words)
    this.bytes = Buffer.from(shared.ring)
    this.appended = new SharedPosition(this.words, WORD.appended, base)
    this.writtenShared = new SharedPosition(this.words, WORD.written, base)
    this.scannedShared = new SharedPosition(this.words, WORD.scanned, base)
    this.syncedShared = new SharedPosition(this.words, WORD.synced, base)
    this.fillerShared = new SharedPosition(this.words, WORD.filler, base)
    this.endPosition = base
    this.fileEnd = (Math.floor(base / fileBytes) + 1) * fileBytes
    this.limit = base + ringBytes
    this.highest = base
  }

  /** End of the log when it was opened: what lies behind was written by this process. */
  get base(): number {
    return this.shared.base
  }
  /** Position of the next record. */
  get end(): number {
    return this.endPosition
  }
  /** End of the records that have reached the flush policy's goal. */
  get written(): number {
    return this.writtenShared.get()
  }
  get scanned(): number {
    return this.scannedShared.get()
  }
  /** End of what is on stable storage. */
  get synced(): number {
    return this.syncedShared.get()
  }
  /** Async mode: another thread has synced the files up to `position`. */
  set synced(position: number) {
    this.syncedShared.set(position)
  }
  /** Share of the ring in use, 0 … 1. */
  get fill(): number {
    return 1 - (this.reuseLimit() - this.endPosition) / this.shared.ringBytes
  }

  /**
   * Makes room for a record of at most `bytesMax` bytes and ends the file first when it does not fit.
   * Returns where in `bytes` the record goes (`end` is its position then), or -1 when the ring is full.
   */
  reserve(bytesMax: number): number {
    assert(bytesMax <= this.recordBytesMax, 'record within the limit')
    const roomNeeded = bytesMax + FILLER_BYTES_MIN
    if (this.endPosition + roomNeeded > this.fileEnd) {
      if (this.fileEnd + bytesMax > this.limit && this.fileEnd + bytesMax > this.reuseLimit()) return -1
      this.endFile()
    } else if (this.endPosition + roomNeeded > this.limit && this.endPosition + roomNeeded > this.reuseLimit()) {
      return -1
    }
    return this.endPosition % this.shared.ringBytes
  }

  /** Records that are to be appended together fit an empty ring up to this many bytes. */
  get batchBytesMax(): number {
    return this.shared.ringBytes - this.recordBytesMax
  }

  /** Is there room for records of `bytes` in all, wherever the file ends? */
  hasRoom(bytes: number): boolean {
    return this.endPosition + bytes + this.recordBytesMax <= this.reuseLimit()
  }

  private reuseLimit(): number {
    this.limit = Math.min(this.writtenShared.get(), this.scannedShared.get()) + this.shared.ringBytes
    return this.limit
  }

  private endFile(): void {
    const { ringBytes, fileBytes } = this.shared
    const at = this.endPosition % ringBytes
    this.bytes.writeUInt32BE(this.fileEnd - this.endPosition, at)
    this.bytes.writeInt32BE(FILLER_MAGIC, at + 4)
    this.mirror(at, FILLER_BYTES_MIN)
    this.fillerShared.set(this.endPosition)
    this.endPosition = this.fileEnd
    this.fileEnd += fileBytes
  }

  /** Takes the record of `sizeBytes` that was encoded at the reserved place. Returns its position. */
  commit(sizeBytes: number): number {
    const position = this.endPosition
    this.mirror(position % this.shared.ringBytes, sizeBytes)
    this.endPosition = position + sizeBytes
    return position
  }

  private mirror(at: number, sizeBytes: number): void {
    const over = at + sizeBytes - this.shared.ringBytes
    if (over > 0) this.bytes.copyWithin(0, this.shared.ringBytes, this.shared.ringBytes + over)
  }

  /** Hands everything committed to the flush worker. `wantsNews`: tell this thread when it is written. */
  publish(wantsNews: boolean): void {
    if (wantsNews) Atomics.store(this.words, WORD.wantsWritten, 1)
    if (this.appended.get() === this.endPosition) return
    this.appended.set(this.endPosition)
    Atomics.add(this.words, WORD.wakeFlush, 1)
    Atomics.notify(this.words, WORD.wakeFlush)
  }

  /** Takes back every record that is not written. The flush worker must be halted. */
  takeBack(): void {
    const written = this.writtenShared.get()
    this.highest = Math.max(this.highest, this.endPosition)
    this.endPosition = written
    this.fileEnd = (Math.floor(written / this.shared.fileBytes) + 1) * this.shared.fileBytes
    this.appended.set(written)
    this.fillerShared.set(written)
  }

  /** True while the bytes of [position, end) are in the ring. */
  holds(position: number): boolean {
    const highest = Math.max(this.highest, this.endPosition)
    return position >= this.shared.base && position >= highest - this.shared.ringBytes && position < this.endPosition
  }

  /** Where in `bytes` the record at `position` begins; it is contiguous there. Valid until the next `reserve`. */
  offsetOf(position: number): number {
    return position % this.shared.ringBytes
  }
}
