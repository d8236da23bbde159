import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Compression,
  compressionFlags,
  compressionOf,
  decompressBody,
  loadBodyCodec,
} from '../../../src/protocol/message/compression.js'
import { xxh32 } from '../../../src/protocol/message/xxh32.js'

const KINDS: readonly Compression[] = ['zlib', 'lz4', 'zstd']

const text = fc.array(fc.constantFrom('order ', 'payment ', '{"id":', '1', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'), {
  maxLength: 400,
})
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map(bytes => Buffer.from(bytes)),
  text.map(words => Buffer.from(words.join(''))),
)

describe.each(KINDS)('%s', kind => {
  it('round trips', async () => {
    const codec = await loadBodyCodec(kind)
    fc.assert(
      fc.property(bodies, body => {
        expect(codec.decompress(codec.compress(body), Math.max(1, body.length))).toEqual({ ok: true, body })
      }),
    )
  })

  it('round trips 9 MB and makes repetitive bytes small', async () => {
    const codec = await loadBodyCodec(kind)
    const body = Buffer.alloc(9_000_000, 'abcdefg')
    const packed = codec.compress(body)
    expect(packed.length).toBeLessThan(body.length / 50)
    const result = codec.decompress(packed, body.length)
    expect(result.ok && result.body.equals(body)).toBe(true)
  })

  it('refuses to unpack more than asked for', async () => {
    const codec = await loadBodyCodec(kind)
    const packed = codec.compress(Buffer.alloc(1_000_000))
    expect(codec.decompress(packed, 999_999)).toMatchObject({ ok: false })
    expect(codec.decompress(packed, 1_000_000)).toMatchObject({ ok: true })
  })

  it('answers each truncation and each flipped bit with a value within bounds or a reason', async () => {
    const codec = await loadBodyCodec(kind)
    const packed = codec.compress(Buffer.from(`${'RocketMQ wire vectors '.repeat(8)}and the end`))
    for (let end = 0; end < packed.length; end++) {
      expect(codec.decompress(packed.subarray(0, end), 100_000)).toMatchObject({ ok: false })
    }
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const mutated = Buffer.from(packed)
      mutated[bit >> 3] ^= 1 << (bit & 7)
      const result = codec.decompress(mutated, 100_000)
      if (result.ok) expect(result.body.length).toBeLessThanOrEqual(100_000)
    }
  })
})

it('reads the compression bits of a sysFlag', async () => {
  expect(compressionOf(0x300)).toBeUndefined()
  expect(compressionOf(0x001)).toBe('zlib')
  for (const kind of KINDS) expect(compressionOf(compressionFlags(kind))).toBe(kind)
  expect(await decompressBody(Buffer.from('x'), 0x401)).toMatchObject({ ok: false })
})

it('verifies the optional checksums of an LZ4 frame', async () => {
  const codec = await loadBodyCodec('lz4')
  const content = Buffer.from('stored as it is')
  const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40 | 0x20 | 0x10 | 0x04, 0x40])
  const word = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value >>> 0)
    return bytes
  }
  const sum = word(xxh32(content, 0, content.length))
  const frame = Buffer.concat([
    header,
    Buffer.from([(xxh32(header, 4, 6) >> 8) & 0xff]),
    word(content.length | 0x80000000),
    content,
    sum,
    word(0),
    sum,
  ])
  expect(codec.decompress(frame, 100)).toEqual({ ok: true, body: content })
  for (const at of [frame.length - 1, frame.length - 9]) {
    const mutated = Buffer.from(frame)
    mutated[at] ^= 1
    expect(codec.decompress(mutated, 100)).toMatchObject({ ok: false, reason: expect.stringContaining('checksum') })
  }
})

it('computes the published XXH32 values', () => {
  const hash = (input: string) => xxh32(Buffer.from(input), 0, Buffer.byteLength(input))
  expect(hash('')).toBe(0x02cc5d05)
  expect(hash('abc')).toBe(0x32d153ff)
  expect(hash('Nobody inspects the spammish repetition')).toBe(0xe2293b2f)
})
