import type { BodyResult } from './compression.js'
import { lz4BlockBound, lz4BlockLength, packLz4Block, unpackLz4Block } from './lz4-block.js'
import { xxh32 } from './xxh32.js'

const MAGIC = 0x184d2204
const BLOCK_BYTES_MAX = 4_194_304
const STORED = 0x80000000
/** Version 1, independent blocks, no checksums, no content size; blocks of up to 4 MiB: what the Java library writes. */
const FLAGS = 0x60
const BLOCK_DESCRIPTOR = 0x70

interface FrameShape {
  readonly blocksStart: number
  readonly areBlocksIndependent: boolean
  readonly blockChecksumBytes: number
  readonly contentChecksumBytes: number
  readonly blockBytesMax: number
}

/**
 * Unpacks one LZ4 frame. The first pass measures the blocks, so that no memory is taken by an unchecked length;
 * the second fills. Checksums are verified where there are any. Source: the LZ4 frame format description.
 */
export function decompressLz4(source: Buffer, bytesMax: number): BodyResult {
  const shape = readShape(source)
  if (typeof shape === 'string') return bad(shape)
  const length = measure(source, shape, bytesMax)
  if (length < 0) return bad(`LZ4 frame is malformed or unpacks to more than ${bytesMax} bytes`)
  const target = Buffer.allocUnsafe(length)
  let at = shape.blocksStart
  let to = 0
  for (;;) {
    const word = source.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const end = at + (word & ~STORED)
    if (shape.blockChecksumBytes > 0 && xxh32(source, at, end) !== source.readUInt32LE(end))
      return bad('LZ4 block checksum does not match')
    if (word >>> 31 === 1) to += source.copy(target, to, at, end)
    else to = unpackLz4Block(source, at, end, target, to, shape.areBlocksIndependent ? to : 0)
    if (to < 0) return bad('LZ4 match reaches before its window')
    at = end + shape.blockChecksumBytes
  }
  if (shape.contentChecksumBytes > 0 && xxh32(target, 0, to) !== source.readUInt32LE(at))
    return bad('LZ4 content checksum does not match')
  return { ok: true, body: target }
}

function bad(reason: string): BodyResult {
  return { ok: false, reason }
}

function readShape(source: Buffer): FrameShape | string {
  if (source.length < 11 || source.readUInt32LE(0) !== MAGIC) return 'body is no LZ4 frame'
  const flags = source[4]
  const blockSize = (source[5] >> 4) & 7
  if (flags >> 6 !== 1 || flags & 1 || blockSize < 4) return 'LZ4 frame of an unsupported kind'
  const checksumAt = flags & 8 ? 14 : 6
  if (source.length < checksumAt + 5) return 'LZ4 frame is cut short'
  if (((xxh32(source, 4, checksumAt) >> 8) & 0xff) !== source[checksumAt]) return 'LZ4 header checksum does not match'
  return {
    blocksStart: checksumAt + 1,
    areBlocksIndependent: (flags & 0x20) !== 0,
    blockChecksumBytes: flags & 0x10 ? 4 : 0,
    contentChecksumBytes: flags & 4 ? 4 : 0,
    blockBytesMax: 1 << (8 + 2 * blockSize),
  }
}

/** Unpacked length of all blocks; -1 when malformed or over `bytesMax`. Afterwards every length is known to fit. */
function measure(source: Buffer, shape: FrameShape, bytesMax: number): number {
  let at = shape.blocksStart
  let length = 0
  for (;;) {
    if (source.length - at < 4) return -1
    const word = source.readUInt32LE(at)
    at += 4
    if (word === 0) return source.length - at === shape.contentChecksumBytes ? length : -1
    const size = word & ~STORED
    if (size > source.length - at - shape.blockChecksumBytes) return -1
    const limit = Math.min(shape.blockBytesMax, bytesMax - length)
    const unpacked = word >>> 31 === 1 ? size : lz4BlockLength(source, at, at + size, limit)
    if (unpacked < 0 || unpacked > limit) return -1
    length += unpacked
    at += size + shape.blockChecksumBytes
  }
}

/** Packs `body` as one LZ4 frame. */
export function compressLz4(body: Buffer): Buffer {
  const blockCount = Math.ceil(body.length / BLOCK_BYTES_MAX)
  const target = Buffer.allocUnsafe(11 + lz4BlockBound(body.length) + 16 * blockCount)
  target.writeUInt32LE(MAGIC, 0)
  target[4] = FLAGS
  target[5] = BLOCK_DESCRIPTOR
  target[6] = (xxh32(target, 4, 6) >> 8) & 0xff
  let to = 7
  for (let at = 0; at < body.length; at += BLOCK_BYTES_MAX) {
    const end = Math.min(at + BLOCK_BYTES_MAX, body.length)
    let packed = packLz4Block(body, at, end, target, to + 4) - to - 4
    if (packed < end - at) target.writeUInt32LE(packed, to)
    else {
      packed = body.copy(target, to + 4, at, end)
      target.writeUInt32LE((packed | STORED) >>> 0, to)
    }
    to += 4 + packed
  }
  return target.subarray(0, target.writeUInt32LE(0, to))
}
