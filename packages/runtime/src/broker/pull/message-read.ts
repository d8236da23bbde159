import { ENTRY_NUMBERS, type LogStore, type QueueTail } from '@millrace/storage'
import type { TagFilter } from './tag-filter.js'

/** Entries looked at by one pull at most when a filter drops most of them. behaviour.md §6 */
const ENTRIES_EXAMINED_MAX = 800
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

  constructor(private readonly store: LogStore) {}

  /** The buffer was given away: the next read gets another. */
  giveAway(): void {
    this.buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  }

  /** Reads from `offset` on what `filter` lets through. */
  read(queue: QueueTail, offset: number, filter: TagFilter, limits: ReadLimits): void {
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

  private collect(queue: QueueTail, offset: number, filter: TagFilter, limits: ReadLimits): void {
    const { store, entries } = this
    const examineMax = filter === undefined ? limits.messagesMax : ENTRIES_EXAMINED_MAX
    let at = offset
    const stopAt = Math.min(this.maxOffset, offset + examineMax)
    outer: while (at < stopAt) {
      const count = store.readEntries(queue, at, Math.min(stopAt - at, ENTRIES_EXAMINED_MAX), entries)
      if (count === 0) break
      for (let i = 0; i < count; i++, at++) {
        if (filter !== undefined && !filter.has(entries[i * ENTRY_NUMBERS + 2]!)) continue
        const sizeBytes = entries[i * ENTRY_NUMBERS + 1]!
        if (this.messageCount > 0 && this.end - HEAD_BYTES_MAX + sizeBytes > limits.bytesMax) break outer
        if (!this.copyRecord(entries[i * ENTRY_NUMBERS]!, sizeBytes)) {
          if (this.messageCount > 0) break outer
          this.status = 'unreadable'
          this.nextOffset = at
          return
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

  private copyRecord(position: number, sizeBytes: number): boolean {
    if (this.end + sizeBytes > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow((this.end + sizeBytes) * 2)
      this.buffer.copy(grown, HEAD_BYTES_MAX, HEAD_BYTES_MAX, this.end)
      this.buffer = grown
    }
    // Never hand out other bytes than the index speaks of.
    if (!this.store.copyRecord(position, sizeBytes, this.buffer, this.end)) return false
    this.end += sizeBytes
    return true
  }
}
