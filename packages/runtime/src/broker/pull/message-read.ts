import { type Clock, SysFlag } from '@millrace/core'
import { ENTRY_NUMBERS, type LogStore, type QueueTail } from '@millrace/storage'
import type { MessageFilter } from '../filter/message-filter.js'
import { isExpired } from './expiry.js'

/** Entries looked at by one pull at most when a filter drops most of them. behaviour.md §6 */
const ENTRIES_EXAMINED_MAX = 800
/** Bytes that are brought in to be looked at by one pull at most; a cold record counts whole, as its file is read. */
const BYTES_EXAMINED_MAX = 2 * 2 ** 20
/** Of a larger record only what is not its body is brought in. */
const WHOLE_BYTES_MAX = 4096
/** A record up to the end of its body's length, with hosts as long as they can be. */
const RECORD_HEAD_BYTES_MAX = 112
/** Room in front of the messages for the frame's length word and header. */
export const HEAD_BYTES_MAX = 512
const SCRATCH_BYTES = 512 * 1024

/** How a read at an offset ended. */
export type ReadStatus =
  | 'found'
  | 'nothing matched'
  | 'nothing new'
  | 'offset too small'
  | 'offset too large'
  | 'empty queue'
  | 'unreadable'

/** Limits of one pull. */
export interface ReadLimits {
  readonly messagesMax: number
  readonly bytesMax: number
}

/**
 * Reads messages of a queue into one buffer, as stored, back to back: one object, reused for every pull.
 */
export class MessageRead {
  status: ReadStatus = 'nothing new'
  messageCount = 0
  /** Where to go on: after the last entry that was looked at. */
  nextOffset = 0
  minOffset = 0
  maxOffset = 0
  /** Messages lie in [HEAD_BYTES_MAX, end). */
  buffer: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  end = HEAD_BYTES_MAX
  private readonly entries = new Float64Array(ENTRIES_EXAMINED_MAX * ENTRY_NUMBERS)

  constructor(
    private readonly store: LogStore,
    private readonly clock: Clock,
  ) {}

  /** The buffer was given away: the next read gets another. */
  giveAway(): void {
    this.buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  }

  /** Reads nothing: the client is to pull again from `offset`. */
  skip(queue: QueueTail, offset: number): void {
    this.end = HEAD_BYTES_MAX
    this.messageCount = 0
    this.maxOffset = this.store.visibleOffset(queue)
    this.minOffset = Math.min(this.store.firstOffset(queue), this.maxOffset)
    this.nextOffset = offset
    this.status = 'nothing matched'
  }

  /** Reads from `offset` on what `filter` lets through. */
  read(queue: QueueTail, offset: number, filter: MessageFilter | undefined, limits: ReadLimits): void {
    const { store } = this
    this.end = HEAD_BYTES_MAX
    this.messageCount = 0
    this.maxOffset = store.visibleOffset(queue)
    this.minOffset = Math.min(store.firstOffset(queue), this.maxOffset)
    this.nextOffset = offset
    if (this.maxOffset === 0) {
      this.status = 'empty queue'
      this.nextOffset = 0
      return
    }
    if (offset < this.minOffset) {
      this.status = 'offset too small'
      this.nextOffset = this.minOffset
      return
    }
    if (offset > this.maxOffset) {
      this.status = 'offset too large'
      this.nextOffset = this.maxOffset
      return
    }
    if (offset === this.maxOffset) {
      this.status = 'nothing new'
      return
    }
    this.collect(queue, offset, filter, limits)
  }

  private collect(queue: QueueTail, offset: number, filter: MessageFilter | undefined, limits: ReadLimits): void {
    const { store, entries } = this
    const examineMax = filter === undefined ? limits.messagesMax : Math.max(ENTRIES_EXAMINED_MAX, limits.messagesMax)
    const tagHashes = filter?.tagHashes
    const takes = filter?.takes
    const now = this.clock.now()
    let bytesLeft = BYTES_EXAMINED_MAX
    let at = offset
    const stopAt = Math.min(this.maxOffset, offset + examineMax)
    outer: while (at < stopAt) {
      const count = store.readEntries(queue, at, Math.min(stopAt - at, ENTRIES_EXAMINED_MAX), entries)
      if (count === 0) break
      for (let i = 0; i < count; i++, at++) {
        if (tagHashes !== undefined && !tagHashes.has(entries[i * ENTRY_NUMBERS + 2]!)) continue
        const position = entries[i * ENTRY_NUMBERS]!
        const sizeBytes = entries[i * ENTRY_NUMBERS + 1]!
        if (takes !== undefined) {
          if (bytesLeft <= 0) break outer
          // Of a record that lies in one piece nothing is copied to look at it.
          const start = store.reader.view(position, sizeBytes)
          const end = start >= 0 ? start + sizeBytes : this.bringIn(position, sizeBytes)
          const bytes = start >= 0 ? store.reader.viewed : this.buffer
          const from = start >= 0 ? start : this.end
          bytesLeft -= store.ring.holds(position) && start >= 0 ? 0 : sizeBytes
          if (end === from || (start >= 0 && !isRecord(bytes, start, position, sizeBytes))) {
            this.status = this.messageCount > 0 ? 'found' : 'unreadable'
            this.nextOffset = at
            return
          }
          if (!takes(bytes, from, end)) continue
        }
        if (this.messageCount > 0 && this.end - HEAD_BYTES_MAX + sizeBytes > limits.bytesMax) break outer
        if (!this.copyRecord(position, sizeBytes)) {
          if (this.messageCount > 0) break outer
          this.status = 'unreadable'
          this.nextOffset = at
          return
        }
        if (isExpired(this.buffer, this.end - sizeBytes, this.end, now)) {
          this.end -= sizeBytes
          continue
        }
        if (++this.messageCount >= limits.messagesMax) {
          at++
          break outer
        }
      }
    }
    this.nextOffset = at
    this.status = this.messageCount > 0 ? 'found' : 'nothing matched'
  }

  /**
   * Brings a record in for a look at its properties, to where the next message goes: whole, or without its body.
   * Returns its end there; the start, when the log does not hold this record.
   */
  private bringIn(position: number, sizeBytes: number): number {
    const { store, end } = this
    const { reader } = store
    if (sizeBytes <= WHOLE_BYTES_MAX) {
      this.ensureRoom(sizeBytes)
      const { buffer } = this
      const isThere = reader.copy(position, sizeBytes, buffer, end) && isRecord(buffer, end, position, sizeBytes)
      return isThere ? end + sizeBytes : end
    }
    this.ensureRoom(RECORD_HEAD_BYTES_MAX + WHOLE_BYTES_MAX * 16)
    const { buffer } = this
    if (!reader.copy(position, RECORD_HEAD_BYTES_MAX, buffer, end) || !isRecord(buffer, end, position, sizeBytes))
      return end
    const sysFlag = buffer.readInt32BE(end + 36)
    const headBytes = 88 + (sysFlag & SysFlag.BORN_HOST_V6 ? 12 : 0) + (sysFlag & SysFlag.STORE_HOST_V6 ? 12 : 0)
    const bodyBytes = buffer.readInt32BE(end + headBytes - 4)
    const tailBytes = sizeBytes - headBytes - bodyBytes
    if (bodyBytes < 0 || tailBytes < 0 || tailBytes > WHOLE_BYTES_MAX * 16) return end
    if (!reader.copy(position + sizeBytes - tailBytes, tailBytes, buffer, end + headBytes)) return end
    buffer.writeInt32BE(headBytes + tailBytes, end)
    buffer.writeInt32BE(0, end + headBytes - 4)
    return end + headBytes + tailBytes
  }

  private copyRecord(position: number, sizeBytes: number): boolean {
    this.ensureRoom(sizeBytes)
    // Never hand out other bytes than the index speaks of.
    if (!this.store.copyRecord(position, sizeBytes, this.buffer, this.end)) return false
    this.end += sizeBytes
    return true
  }

  private ensureRoom(sizeBytes: number): void {
    if (this.end + sizeBytes <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow((this.end + sizeBytes) * 2)
    this.buffer.copy(grown, HEAD_BYTES_MAX, HEAD_BYTES_MAX, this.end)
    this.buffer = grown
  }
}

/** Is it the record that the index speaks of? */
function isRecord(bytes: Buffer, at: number, position: number, sizeBytes: number): boolean {
  return (
    bytes.readInt32BE(at) === sizeBytes &&
    bytes.readInt32BE(at + 28) * 0x1_0000_0000 + bytes.readUInt32BE(at + 32) === position
  )
}
