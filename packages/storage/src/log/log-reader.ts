import type { LogFiles } from './log-files.js'
import type { LogRing } from './log-ring.js'

/** Cold reads go through chunks of this size, so that neighbours in the log are read once. */
const CHUNK_BYTES = 128 * 1024
const CHUNKS_KEPT = 32

/**
 * Copies stored bytes out of the log: what is hot from the ring, without a system call; what is cold through a few
 * cached chunks of the files. Readers of old data cost the ring nothing.
 */
export class LogReader {
  /** Chunks by their first position, least recently used first. Only whole chunks of written data are kept. */
  private readonly chunks = new Map<number, Buffer>()
  /** The chunk of the last read and where it begins: most reads are of the same chunk as the one before. */
  private lastChunk: Buffer | undefined
  private lastBegin = -1
  hotReads = 0
  coldReads = 0

  constructor(
    private readonly ring: LogRing,
    private readonly files: LogFiles,
  ) {}

  /** What the last `view` found its bytes in; valid until the next call of this reader, and the next append. */
  viewed: Buffer = NO_BYTES

  /** Where in `viewed` the `length` bytes at `position` are, without copying them; -1 when they do not lie in one piece. */
  view(position: number, length: number): number {
    if (this.ring.holds(position)) {
      this.viewed = this.ring.bytes
      return this.ring.offsetOf(position)
    }
    const begin = position - ((position - this.files.fileOf(position)) % CHUNK_BYTES)
    const chunk = this.chunk(begin, position)
    if (chunk === undefined || position - begin + length > chunk.length) return -1
    this.coldReads++
    this.viewed = chunk
    return position - begin
  }

  /** Copies `length` bytes at `position` into `target`. False when the log does not hold them. */
  copy(position: number, length: number, target: Buffer, at: number): boolean {
    if (this.ring.holds(position)) {
      this.hotReads++
      const offset = this.ring.offsetOf(position)
      this.ring.bytes.copy(target, at, offset, offset + length)
      return true
    }
    this.coldReads++
    return this.copyCold(position, length, target, at)
  }

  private copyCold(position: number, length: number, target: Buffer, at: number): boolean {
    let copied = 0
    while (copied < length) {
      const from = position + copied
      const fileBegin = this.files.fileOf(from)
      const chunkBegin = from - ((from - fileBegin) % CHUNK_BYTES)
      const chunk = this.chunk(chunkBegin, from)
      if (chunk === undefined) return false
      const inChunk = from - chunkBegin
      const count = Math.min(length - copied, chunk.length - inChunk)
      if (count <= 0) return false
      chunk.copy(target, at + copied, inChunk, inChunk + count)
      copied += count
    }
    return true
  }

  private chunk(begin: number, needed: number): Buffer | undefined {
    if (begin === this.lastBegin && this.lastChunk!.length > needed - begin) return this.lastChunk
    this.lastChunk = this.find(begin, needed) ?? this.load(begin)
    this.lastBegin = this.lastChunk === undefined ? -1 : begin
    return this.lastChunk
  }

  /** A kept chunk that reaches past `needed`. */
  private find(begin: number, needed: number): Buffer | undefined {
    const known = this.chunks.get(begin)
    if (known === undefined || known.length <= needed - begin) return undefined
    this.chunks.delete(begin)
    this.chunks.set(begin, known)
    return known
  }

  private load(begin: number): Buffer | undefined {
    const reused = this.chunks.size >= CHUNKS_KEPT ? this.evict() : undefined
    const whole =
      reused?.buffer.byteLength === CHUNK_BYTES
        ? Buffer.from(reused.buffer, 0, CHUNK_BYTES)
        : Buffer.allocUnsafeSlow(CHUNK_BYTES)
    const written = this.ring.written
    const length = Math.min(CHUNK_BYTES, written - begin)
    if (length <= 0) return undefined
    const read = this.files.read(begin, whole, 0, length)
    if (read <= 0) return undefined
    const chunk = whole.subarray(0, read)
    this.chunks.set(begin, chunk)
    return chunk
  }

  private evict(): Buffer {
    const [begin, chunk] = this.chunks.entries().next().value!
    this.chunks.delete(begin)
    return chunk
  }

  /** Forgets chunks before `position`: their file is gone. */
  forgetBefore(position: number): void {
    for (const begin of [...this.chunks.keys()]) if (begin < position) this.chunks.delete(begin)
    if (this.lastBegin < position) this.lastBegin = -1
  }
}

const NO_BYTES = Buffer.alloc(0)
