import type { NetConnection } from '@millrace/core'

const SLAB_BYTES_FIRST = 4 * 1024
const SLAB_BYTES_KEPT = 256 * 1024

/**
 * Encoded replies of one connection that wait for the log: each may leave once `written` has passed its position.
 * Replies lie back to back in one buffer; those of one turn of the event loop leave in one write.
 *
 * Marks: (end in the buffer, log position) per group of replies, both growing.
 */
export class ReplyGate {
  private slab: Buffer = NO_BYTES
  private sent = 0
  private end = 0
  private readonly markEnds: number[] = []
  private readonly markPositions: number[] = []
  private head = 0

  get isEmpty(): boolean {
    return this.head === this.markEnds.length
  }

  /** Bytes that wait. */
  get waitingBytes(): number {
    return this.end - this.sent
  }

  /** The buffer to encode a reply of at most `bytesMax` into, at `at`. */
  reserve(bytesMax: number): Buffer {
    if (this.end + bytesMax > this.slab.length) {
      const waiting = this.end - this.sent
      const grown = Buffer.allocUnsafeSlow(Math.max(this.slab.length, SLAB_BYTES_FIRST, (waiting + bytesMax) * 2))
      this.slab.copy(grown, 0, this.sent, this.end)
      for (let i = this.head; i < this.markEnds.length; i++) this.markEnds[i]! -= this.sent
      this.slab = grown
      this.sent = 0
      this.end = waiting
    }
    return this.slab
  }

  get at(): number {
    return this.end
  }

  /**
   * Takes the reply that was encoded up to `end`; it leaves when the log is written up to `position`.
   * `opensGroup`: first of a turn.
   */
  commit(end: number, position: number, opensGroup: boolean): void {
    this.end = end
    const last = this.markEnds.length - 1
    if (opensGroup || last < this.head) {
      this.markEnds.push(end)
      this.markPositions.push(position)
    } else {
      this.markEnds[last] = end
      this.markPositions[last] = position
    }
  }

  /** Sends what may leave now that the log is written up to `written`. */
  release(written: number, net: NetConnection): void {
    const from = this.sent
    while (this.head < this.markEnds.length && this.markPositions[this.head]! <= written)
      this.sent = this.markEnds[this.head++]!
    if (this.sent === from) return
    net.write(this.slab.subarray(from, this.sent))
    if (this.head < this.markEnds.length) return
    this.markEnds.length = 0
    this.markPositions.length = 0
    this.head = 0
    // The socket took all of it already in most cases, so the buffer can be used again from its start.
    if (net.bufferedBytes === 0) this.sent = this.end = 0
    if (this.slab.length > SLAB_BYTES_KEPT) {
      this.slab = NO_BYTES
      this.sent = this.end = 0
    }
  }

  /** Takes out what waits: the frames of all replies that cannot be sent as they are. */
  takeAll(): Buffer {
    const frames = Buffer.from(this.slab.subarray(this.sent, this.end))
    this.markEnds.length = 0
    this.markPositions.length = 0
    this.head = 0
    this.sent = this.end
    return frames
  }
}

const NO_BYTES: Buffer = Buffer.alloc(0)
