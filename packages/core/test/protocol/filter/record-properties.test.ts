import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecordProperties } from '../../../src/protocol/filter/record-properties.js'
import { formatProperties, parseProperties } from '../../../src/protocol/message/properties.js'
import { encodeMessage } from '../../../src/protocol/message/record.js'

function record(properties: string | Buffer, { host = '127.0.0.1', topic = 'T', body = 'body' } = {}): Buffer {
  const address = { host, port: 1 }
  return encodeMessage({
    topic,
    queueId: 0,
    queueOffset: 0,
    commitLogOffset: 0,
    bornTimestamp: 0,
    bornHost: address,
    storeTimestamp: 0,
    storeHost: address,
    body: Buffer.from(body),
    properties: Buffer.from(properties),
  })
}

describe('properties read from the bytes of a record', () => {
  const reader = new RecordProperties()

  it('are those that decoding gives, whatever the property string looks like', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      'ab',
      '\u0001',
      '\u0002',
      '\u0001\u0002',
      'é',
      '一二三四五六七',
      'x'.repeat(20),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), pieces => {
        const text = pieces.join('')
        const bytes = record(text)
        expect(reader.locate(bytes, 0, bytes.length)).toBe(true)
        const decoded = parseProperties(text)
        for (const name of ['a', 'b', 'ab', 'abab', 'c']) expect(reader.text(name)).toBe(decoded[name])
      }),
      { numRuns: 3000 },
    )
  })

  it('are found behind long topics, IPv6 hosts and at any place of a buffer', () => {
    const bytes = record(formatProperties({ k: 'v', n: '17' }), { host: '::1', topic: 'T'.repeat(200) })
    const shifted = Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(9)])
    expect(reader.locate(shifted, 7, 7 + bytes.length)).toBe(true)
    expect([reader.text('k'), reader.text('n'), reader.text('m')]).toEqual(['v', '17', undefined])
  })

  it('can be many', () => {
    const properties = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`n${i}`, `v${i}`]))
    const bytes = record(formatProperties(properties))
    reader.locate(bytes, 0, bytes.length)
    for (const [name, value] of Object.entries(properties)) expect(reader.text(name)).toBe(value)
  })

  it('are none when the bytes are no whole record', () => {
    const bytes = record(formatProperties({ k: 'v' }))
    expect(reader.locate(bytes, 0, bytes.length - 1)).toBe(false)
    expect(reader.text('k')).toBeUndefined()
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const damaged = Buffer.from(bytes)
        damaged[at] = value
        reader.locate(damaged, 0, damaged.length)
        reader.text('k')
      }),
    )
  })
})
