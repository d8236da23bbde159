import { FRAME_BYTES_MAX, HEADER_BYTES_MAX } from './limits.js'

/** Why a byte stream is no longer a stream of frames. The connection has to be closed: there is no way back in step. */
export interface FrameFailure {
  readonly ok: false
  readonly reason: string
}

const CARRY_BYTES_FIRST = 4096
/** A larger carry-over buffer is given back once its frame has been read. */
const CARRY_BYTES_KEPT = 262_144
const EMPTY = Buffer.alloc(0)

/**
 * Cuts socket chunks into frames without allocating per frame.
 *
 * ```
 * reader.feed(chunk)
 * while (reader.next()) use(reader.buffer, reader.start, reader.end)
 * if (reader.failure) close()
 * ```
 * [start, end) is what follows the length word. A frame that lies whole in the chunk is a range of the chunk itself;
 * one that crosses chunks is collected in a carry-over buffer, which grows as bytes arrive, whatever length the frame
 * claims. Either way the range is valid until the next call: copy what is kept.
 *
 * Invariant: before `feed`, every byte fed so far was yielded or is in the carry.
 */
export class FrameReader {
  buffer: Buffer = EMPTY
  start = 0
  end = 0
  /** Set once the stream is broken; `next` is false from then on. */
  failure: FrameFailure | undefined = undefined

  private chunk: Buffer = EMPTY
  private at = 0
  private carry: Buffer = EMPTY
  private carried = 0

  constructor(private readonly frameBytesMax: number = FRAME_BYTES_MAX) {}

  /** Hands over the next bytes. Call `next` until it is false before the chunk is reused and before feeding again. */
  feed(chunk: Buffer): void {
    this.chunk = chunk
    this.at = 0
  }

  /** Moves to the next complete frame. False: more bytes are needed, or the stream is broken (see `failure`). */
  next(): boolean {
    if (this.failure !== undefined) return false
    if (this.carried > 0) return this.nextCarried()
    if (this.carry.length > CARRY_BYTES_KEPT) this.carry = EMPTY
    const chunk = this.chunk
    const at = this.at
    const available = chunk.length - at
    if (available >= 4) {
      const length = chunk.readInt32BE(at)
      if (!this.isSound(length, chunk, at, available)) return false
      if (available - 4 >= length) {
        this.buffer = chunk
        this.start = at + 4
        this.end = this.at = at + 4 + length
        return true
      }
    }
    this.keep(available)
    return false
  }

  /**
   * Gives back the frame just yielded, with its length word, and everything after it, as a copy, and starts anew.
   * For a frame that cannot be served now: feed what is returned later, in front of what comes then.
   */
  takeRest(): Buffer {
    const frame = this.buffer.subarray(this.start - 4, this.end)
    const rest = Buffer.concat([frame, this.chunk.subarray(this.at)])
    this.chunk = EMPTY
    this.at = this.carried = 0
    return rest
  }

  private nextCarried(): boolean {
    if (this.carried < 8 && !this.fill(8) && this.carried < 4) return false
    const length = this.carry.readInt32BE(0)
    if (!this.isSound(length, this.carry, 0, this.carried)) return false
    if (!this.fill(4 + length)) return false
    // Filling to 8 bytes may have taken the whole of a 4-byte frame and nothing more: no frame is shorter.
    this.buffer = this.carry
    this.start = 4
    this.end = 4 + length
    this.carried = 0
    return true
  }

  /** Moves bytes from the chunk until the carry holds `target` bytes. */
  private fill(target: number): boolean {
    this.keep(Math.min(target - this.carried, this.chunk.length - this.at))
    return this.carried >= target
  }

  private keep(count: number): void {
    if (count <= 0) return
    const needed = this.carried + count
    if (needed > this.carry.length) {
      const grown = Buffer.allocUnsafe(
        Math.max(needed, Math.min(this.carry.length * 2, this.frameBytesMax + 4), CARRY_BYTES_FIRST),
      )
      this.carry.copy(grown, 0, 0, this.carried)
      this.carry = grown
    }
    this.chunk.copy(this.carry, this.carried, this.at, this.at + count)
    this.carried = needed
    this.at += count
  }

  private isSound(length: number, buffer: Buffer, at: number, available: number): boolean {
    if (length < 4) return this.fail(`frame length ${length} is below 4`)
    if (length > this.frameBytesMax)
      return this.fail(`frame length ${length} is over the limit of ${this.frameBytesMax}`)
    if (available < 8) return true
    const headerLength = buffer.readUInt32BE(at + 4) & HEADER_BYTES_MAX
    if (headerLength > length - 4)
      return this.fail(`header length ${headerLength} does not fit a frame of ${length} bytes`)
    return true
  }

  private fail(reason: string): false {
    this.failure = { ok: false, reason }
    this.chunk = this.carry = EMPTY
    this.at = this.carried = 0
    return false
  }
}
