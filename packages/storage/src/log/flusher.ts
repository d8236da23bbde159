import { FILLER_BYTES_MIN } from './layout.js'
import type { LogFiles } from './log-files.js'
import { type SharedLog, SharedPosition, WORD } from './shared-log.js'

/** Longest write: bounds how long a reply waits behind others. */
const GROUP_BYTES_MAX = 8 * 1024 * 1024

/** Why the flusher stopped. `sync` is final: the kernel may have dropped what it could not write. */
export type FlushFailure = { readonly kind: 'write' | 'sync'; readonly code: string; readonly message: string }

/**
 * Takes the log from the ring to its files: one write per group of records, and in sync mode one fdatasync.
 * While a group is on its way the next one forms in the ring.
 *
 * Invariants: written ≤ appended; synced ≤ written; bytes are published in `written` only after the disk took all of them.
 */
export class Flusher {
  private readonly words: Int32Array
  private readonly ring: Uint8Array
  private readonly appended: SharedPosition
  private readonly writtenShared: SharedPosition
  private readonly syncedShared: SharedPosition
  private readonly fillerShared: SharedPosition
  private readonly scanned: SharedPosition
  private written: number

  constructor(
    private readonly shared: SharedLog,
    private readonly files: LogFiles,
    private readonly mode: 'sync' | 'async',
  ) {
    this.words = new Int32Array(shared.words)
    this.ring = new Uint8Array(shared.ring)
    this.appended = new SharedPosition(this.words, WORD.appended, shared.base)
    this.writtenShared = new SharedPosition(this.words, WORD.written, shared.base)
    this.syncedShared = new SharedPosition(this.words, WORD.synced, shared.base)
    this.fillerShared = new SharedPosition(this.words, WORD.filler, shared.base)
    this.scanned = new SharedPosition(this.words, WORD.scanned, shared.base)
    this.written = shared.base
  }

  /** What the index worker has not read yet. */
  get unscannedBytes(): number {
    return this.written - this.scanned.get()
  }

  /** Writes one group. Returns 'idle' when there is nothing to write. */
  step(): 'idle' | 'progress' | FlushFailure {
    const appended = this.appended.get()
    if (appended === this.written) return 'idle'
    const from = this.written
    let to = Math.min(appended, from + GROUP_BYTES_MAX)
    let next = to
    const fileEnd = this.files.fileOf(from) + this.shared.fileBytes
    if (to >= fileEnd) {
      // The file ends inside this group: its filler is written, the unused rest of the file stays a hole.
      to = this.fillerShared.get() + FILLER_BYTES_MIN
      next = fileEnd
    }
    try {
      if (!this.writeRange(from, to))
        return { kind: 'write', code: 'ENOSPC', message: 'the disk took only a part of the write' }
    } catch (error) {
      return failure('write', error)
    }
    if (this.mode === 'sync') {
      try {
        this.files.sync()
      } catch (error) {
        return failure('sync', error)
      }
      this.syncedShared.set(next)
    }
    this.written = next
    this.writtenShared.set(next)
    return 'progress'
  }

  /**
   * Drops what could not be written: the broker's thread has taken those records back. The file is cleared behind
   * the last good byte: a whole record that got there could otherwise be found after a crash, at the end of others.
   * Throws the platform's error.
   */
  rewind(): void {
    this.files.closeWriter()
    this.files.cutAt(this.written)
    this.appended.reset(this.written)
    this.fillerShared.reset(this.written)
  }

  private writeRange(from: number, to: number): boolean {
    const ringBytes = this.shared.ringBytes
    let position = from
    while (position < to) {
      const offset = position % ringBytes
      const length = Math.min(to - position, ringBytes - offset)
      if (this.files.write(position, this.ring, offset, length) !== length) return false
      position += length
    }
    return true
  }
}

function failure(kind: 'write' | 'sync', error: unknown): FlushFailure {
  const { code, message } = error as NodeJS.ErrnoException
  return { kind, code: code ?? 'UNKNOWN', message }
}
