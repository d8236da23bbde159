import type { LogFiles } from './log-files.js'
import { RecordView } from './record-view.js'

const CHUNK_BYTES = 1024 * 1024
/** A size word above this is damage, not a record: nothing is allocated for it. */
const PLAUSIBLE_RECORD_BYTES = 128 * 1024 * 1024

/** Where a scan ended, and whether the log goes on behind the damage. */
export interface ScanEnd {
  /** Position after the last good record. */
  readonly end: number
  readonly reason: 'end of log' | 'torn record'
}

/**
 * Walks the records of log files from a position on, in order, reading in large chunks.
 * A record counts only if it is whole, says its own position, and its body has the right checksum.
 */
export class LogScan {
  readonly view = new RecordView()
  private buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  private bufferFrom = 0
  private bufferLength = 0

  constructor(
    private readonly files: LogFiles,
    private position: number,
    private readonly verifyBodies: boolean,
  ) {}

  /** Position of the record that `next` will look at. */
  get at(): number {
    return this.position
  }

  /** Bytes that hold the current record. */
  get bytes(): Buffer {
    return this.buffer
  }

  /**
   * Moves to the next record before `limit` and calls `visit(bytes, position)` with `view` filled in.
   * Returns false at the end (see `ended`).
   */
  next(limit: number, visit: (bytes: Buffer, position: number, view: RecordView) => void): boolean {
    for (;;) {
      if (this.position >= limit) return false
      const fileEnd = this.files.fileOf(this.position) + this.files.fileBytes
      if (!this.load(this.position, 8)) return this.stop('end of log')
      let at = this.position - this.bufferFrom
      let found = this.view.read(this.buffer, at, this.bufferLength)
      if (found === 'incomplete') {
        if (this.view.totalSize > PLAUSIBLE_RECORD_BYTES || this.position + this.view.totalSize > fileEnd)
          return this.stop('torn record')
        if (!this.load(this.position, this.view.totalSize)) return this.stop('torn record')
        at = this.position - this.bufferFrom
        found = this.view.read(this.buffer, at, this.bufferLength)
      }
      if (found === 'filler') {
        if (this.position + this.view.totalSize !== fileEnd) return this.stop('torn record')
        this.position = fileEnd
        continue
      }
      if (found !== 'record') return this.stop(this.view.totalSize === 0 ? 'end of log' : 'torn record')
      if (this.view.position !== this.position) return this.stop('torn record')
      if (this.verifyBodies && !this.view.isBodyIntact(this.buffer)) return this.stop('torn record')
      const position = this.position
      this.position += this.view.totalSize
      visit(this.buffer, position, this.view)
      return true
    }
  }

  ended: ScanEnd['reason'] | undefined

  private stop(reason: ScanEnd['reason']): false {
    this.ended = reason
    return false
  }

  /** Makes sure that `length` bytes from `position` are buffered; false when the file has not that many. */
  private load(position: number, length: number): boolean {
    if (position >= this.bufferFrom && position + length <= this.bufferFrom + this.bufferLength) return true
    if (length > this.buffer.length) this.buffer = Buffer.allocUnsafe(length)
    this.bufferFrom = position
    this.bufferLength = this.files.read(position, this.buffer, 0, this.buffer.length)
    return this.bufferLength >= length
  }
}
