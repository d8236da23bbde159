import { deflateSync, inflateSync } from 'node:zlib'
import { compressLz4, decompressLz4 } from './lz4-frame.js'
import { SysFlag } from './sys-flag.js'

/** How a message body is compressed. Producers compress, consumers decompress; brokers pass the bytes on. messages.md §2 */
export type Compression = 'zlib' | 'lz4' | 'zstd'

export type BodyResult = { readonly ok: true; readonly body: Buffer } | { readonly ok: false; readonly reason: string }

/** Compresses and decompresses bodies of one kind. */
export interface BodyCodec {
  compress(body: Buffer): Buffer
  /** Never throws; a body that unpacks to more than `bytesMax` bytes is refused without being unpacked. */
  decompress(body: Buffer, bytesMax: number): BodyResult
}

/** Default of what a body may unpack to: what one frame may carry. */
export const INFLATED_BYTES_MAX = 16_777_216

/** Level of the official producer. */
const LEVEL = 5

const zlib: BodyCodec = {
  compress: body => deflateSync(body, { level: LEVEL }),
  decompress(body, bytesMax) {
    try {
      return { ok: true, body: inflateSync(body, { maxOutputLength: Math.max(1, bytesMax) }) }
    } catch (error) {
      return failed('zlib', error)
    }
  },
}

const lz4: BodyCodec = { compress: compressLz4, decompress: decompressLz4 }

let zstd: Promise<BodyCodec> | undefined

/** The codec of a kind. Zstandard (WebAssembly) is loaded by the first call that asks for it. */
export async function loadBodyCodec(kind: Compression): Promise<BodyCodec> {
  if (kind === 'zlib') return zlib
  if (kind === 'lz4') return lz4
  zstd ??= loadZstd()
  return zstd
}

async function loadZstd(): Promise<BodyCodec> {
  const library = await import('@bokuweb/zstd-wasm')
  await library.init()
  return {
    compress: body => Buffer.from(library.compress(body, LEVEL)),
    decompress(body, bytesMax) {
      const refusal = checkZstdFrame(body, bytesMax)
      if (refusal !== undefined) return { ok: false, reason: refusal }
      try {
        return { ok: true, body: Buffer.from(library.decompress(body, { defaultHeapSize: bytesMax })) }
      } catch (error) {
        return failed('zstd', error)
      }
    },
  }
}

/**
 * The library takes memory for the content size that a frame claims, or for `defaultHeapSize` if it claims none:
 * this looks at the claim first. Source: RFC 8878 §3.1.1.1
 */
function checkZstdFrame(body: Buffer, bytesMax: number): string | undefined {
  if (body.length < 6 || body.readUInt32LE(0) !== 0xfd2fb528) return 'body is no zstd frame'
  const descriptor = body[4]
  if (descriptor & 3) return 'zstd frame needs a dictionary'
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]
  const at = isSingleSegment ? 5 : 6
  if (body.length < at + sizeBytes) return 'zstd frame is cut short'
  let size = 0
  for (let i = sizeBytes - 1; i >= 0; i--) size = size * 256 + body[at + i]
  if (sizeBytes === 2) size += 256
  return size > bytesMax ? `zstd frame claims ${size} bytes, over the limit of ${bytesMax}` : undefined
}

function failed(kind: Compression, error: unknown): BodyResult {
  return {
    ok: false,
    reason: `${kind} body does not unpack: ${error instanceof Error ? error.message : String(error)}`,
  }
}

/** sysFlag bits of a body compressed this way. */
export function compressionFlags(kind: Compression): number {
  return SysFlag.COMPRESSED | COMPRESSION_BITS[kind]
}

const COMPRESSION_BITS = {
  zlib: SysFlag.COMPRESSION_ZLIB,
  lz4: SysFlag.COMPRESSION_LZ4,
  zstd: SysFlag.COMPRESSION_ZSTD,
} as const

/** How the body of a message with this sysFlag is compressed; undefined when it is not, 'unknown' for spare bits. */
export function compressionOf(sysFlag: number): Compression | 'unknown' | undefined {
  if ((sysFlag & SysFlag.COMPRESSED) === 0) return undefined
  switch (sysFlag & SysFlag.COMPRESSION_MASK) {
    case 0:
    case SysFlag.COMPRESSION_ZLIB:
      return 'zlib'
    case SysFlag.COMPRESSION_LZ4:
      return 'lz4'
    case SysFlag.COMPRESSION_ZSTD:
      return 'zstd'
    default:
      return 'unknown'
  }
}

/** The body as the producer gave it; `body` itself when it is not compressed. Rejects only if zstd cannot be loaded. */
export async function decompressBody(
  body: Buffer,
  sysFlag: number,
  bytesMax: number = INFLATED_BYTES_MAX,
): Promise<BodyResult> {
  const kind = compressionOf(sysFlag)
  if (kind === undefined) return { ok: true, body }
  if (kind === 'unknown') return { ok: false, reason: `unknown body compression in sysFlag 0x${sysFlag.toString(16)}` }
  return (await loadBodyCodec(kind)).decompress(body, bytesMax)
}
