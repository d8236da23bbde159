import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeRequest } from '../../../src/protocol/remoting/frame.js'
import { FrameReader } from '../../../src/protocol/remoting/frame-reader.js'

function read(reader: FrameReader, chunks: readonly Buffer[]): string[] {
  const frames: string[] = []
  for (const chunk of chunks) {
    // The reader must not depend on a chunk after `next` was false.
    const lent = Buffer.from(chunk)
    reader.feed(lent)
    while (reader.next()) frames.push(reader.buffer.toString('hex', reader.start, reader.end))
    lent.fill(0xff)
  }
  return frames
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map(place => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
}

describe('FrameReader', () => {
  it('yields the same frames however the stream is cut', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 10_000 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 12 }), (bodies, places) => {
        const frames = bodies.map((body, opaque) => encodeRequest({ code: 10, opaque, body }))
        const reader = new FrameReader()
        expect(read(reader, cut(Buffer.concat(frames), places))).toEqual(frames.map(f => f.toString('hex', 4)))
        expect(reader.failure).toBeUndefined()
      }),
      { numRuns: 60 },
    )
  })

  it('yields frames byte by byte, the shortest one too', () => {
    const shortest = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0])
    const bytes = Buffer.concat([shortest, encodeRequest({ code: 10, opaque: 1 }), shortest])
    expect(
      read(
        new FrameReader(),
        [...bytes].map(byte => Buffer.from([byte])),
      ),
    ).toHaveLength(3)
  })

  it('does not copy a frame that lies whole in a chunk', () => {
    const chunk = encodeRequest({ code: 10, opaque: 1 })
    const reader = new FrameReader()
    reader.feed(chunk)
    expect(reader.next()).toBe(true)
    expect(reader.buffer).toBe(chunk)
    expect([reader.start, reader.end]).toEqual([4, chunk.length])
    expect(reader.next()).toBe(false)
  })

  it('does not allocate by the length that a frame claims', () => {
    const reader = new FrameReader()
    reader.feed(Buffer.from([0, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1]))
    expect(reader.next()).toBe(false)
    expect(reader.failure).toBeUndefined()
    expect((reader as unknown as { carry: Buffer }).carry.length).toBeLessThan(10_000)
  })

  it.each([
    ['negative length', [0xff, 0xff, 0xff, 0xff]],
    ['length below 4', [0, 0, 0, 3]],
    ['length over the limit', [1, 0, 0, 1]],
    ['header longer than the frame', [0, 0, 0, 8, 0, 0, 0, 5]],
  ])('fails for good on a %s', (_what, bytes) => {
    for (const chunks of [[Buffer.from(bytes)], bytes.map(byte => Buffer.from([byte]))]) {
      const reader = new FrameReader()
      expect(read(reader, [...chunks, Buffer.from([0, 0, 0, 4, 0, 0, 0, 0])])).toEqual([])
      expect(reader.failure).toMatchObject({ ok: false, reason: expect.stringMatching(/length/) })
    }
  })

  it('takes a frame of exactly the limit', () => {
    const reader = new FrameReader(64)
    const frame = Buffer.alloc(68)
    frame.writeUInt32BE(64)
    expect(read(reader, [frame, frame.subarray(0, 60), frame.subarray(60)])).toHaveLength(2)
  })

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), chunks => {
        read(
          new FrameReader(),
          chunks.map(chunk => Buffer.from(chunk)),
        )
      }),
    )
  })
})
