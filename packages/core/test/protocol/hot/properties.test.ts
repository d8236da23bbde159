import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PropertyScan, scanProperties } from '../../../src/protocol/hot/property-scan.js'
import { unescapeInto } from '../../../src/protocol/hot/unescape.js'
import { formatProperties, parseProperties } from '../../../src/protocol/message/properties.js'
import { tagHash } from '../../../src/protocol/message/tag.js'
import { vectors } from '../vectors.js'

const UNUSUAL = ['DELAY', 'POP_CK', 'TIMER_DELAY_SEC', 'TIMER_DELAY_MS', 'TIMER_DELIVER_MS', 'INNER_MULTI_DISPATCH']
const known = fc.constantFrom(
  'TAGS',
  'KEYS',
  'UNIQ_KEY',
  'WAIT',
  'CLUSTER',
  'MSG_REGION',
  'TRACE_ON',
  'TRAN_MSG',
  ...UNUSUAL,
)
const value = fc.oneof(fc.constantFrom('true', 'false', 'TagA'), fc.string({ unit: 'grapheme' }))
const pairs = fc.array(fc.tuple(fc.oneof(known, fc.string({ unit: 'grapheme' })), value), { maxLength: 6 })

function check(bytes: Buffer): boolean {
  const scan = new PropertyScan()
  scanProperties(bytes, 0, bytes.length, scan)
  if (scan.isUnusual) return false
  const properties = parseProperties(bytes)
  const range = (start: number, end: number) => (end > start ? bytes.toString('utf8', start, end) : undefined)
  expect(range(scan.tagsStart, scan.tagsEnd)).toBe(properties['TAGS'])
  expect(range(scan.keysStart, scan.keysEnd)).toBe(properties['KEYS'])
  expect(range(scan.uniqueKeyStart, scan.uniqueKeyEnd)).toBe(properties['UNIQ_KEY'])
  expect({ ...scan }).toMatchObject({
    tagHash: tagHash(properties['TAGS'] ?? ''),
    waitFalse: properties['WAIT'] === 'false',
    hasCluster: 'CLUSTER' in properties,
    hasRegion: 'MSG_REGION' in properties,
    hasTraceOn: 'TRACE_ON' in properties,
  })
  expect(properties['TRAN_MSG']).not.toBe('true')
  for (const name of UNUSUAL) expect(properties[name]).toBeUndefined()
  // Nothing was dropped: the bytes can be stored as they are.
  expect(Buffer.from(bytes.toString('utf8'))).toEqual(bytes)
  return true
}

it('scanProperties says what the general reader says, or that the string is unusual', () => {
  fc.assert(
    fc.property(pairs, fc.constantFrom('', '\u0002', '\u0001', 'x'), (list, tail) => {
      check(Buffer.from(list.map(([name, text]) => `${name}\u0001${text}\u0002`).join('') + tail))
    }),
    { numRuns: 1000 },
  )
})

it('scanProperties takes ordinary strings', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,12}$/), fc.stringMatching(/^[ -~é世]{1,20}$/)), tags => {
      const text = formatProperties({
        ...tags,
        TAGS: 'TagA',
        KEYS: 'k1 k2',
        UNIQ_KEY: '7F00',
        WAIT: 'false',
        TRAN_MSG: 'false',
      })
      expect(check(Buffer.from(text))).toBe(true)
    }),
  )
  expect(check(Buffer.alloc(0))).toBe(true)
})

it.each([...UNUSUAL, 'TIMER_X'])('scanProperties calls %s unusual', name => {
  expect(check(Buffer.from(`a\u0001b\u0002${name}\u00011\u0002`))).toBe(false)
})

it.each(['TRAN_MSG\u0001true\u0002', 'a\u0001b', 'a\u0002', '\u0001b\u0002', 'a\u0001\u0002', '\u0002'])(
  'scanProperties calls %j unusual',
  text => {
    expect(check(Buffer.from(text))).toBe(false)
  },
)

it('scanProperties calls invalid UTF-8 unusual', () => {
  expect(check(Buffer.from([0x61, 1, 0xff, 2]))).toBe(false)
})

it.each(vectors<{ tag: string; hash: number }>('tags'))('scanProperties hashes the tag $tag', ({ tag, hash }) => {
  const bytes = Buffer.from(`x\u0001y\u0002TAGS\u0001${tag}\u0002`)
  const scan = new PropertyScan()
  scanProperties(bytes, 0, bytes.length, scan)
  expect(scan.tagHash).toBe(hash)
})

it('unescapeInto agrees with JSON.parse, or declines', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(4), (text, at) => {
      const inside = Buffer.from(JSON.stringify(text).slice(1, -1))
      const target = Buffer.alloc(at + inside.length)
      const length = unescapeInto(inside, 0, inside.length, target, at)
      expect(target.toString('utf8', at, at + length)).toBe(text)
    }),
  )
})

it.each([
  ['\\u0001\\u007f\\u004A\\u004a', '\u0001\u007fJJ'],
  ['\\"\\\\\\/\\b\\f\\n\\r\\t', '"\\/\b\f\n\r\t'],
  ['\\u0080', undefined],
  ['\\u4e16', undefined],
  ['\\ud83d\\ude00', undefined],
  ['\\', undefined],
  ['\\x', undefined],
  ['\\u00', undefined],
  ['\\u00g0', undefined],
])('unescapeInto reads %s', (escaped, text) => {
  const source = Buffer.from(escaped)
  const target = Buffer.alloc(32)
  const length = unescapeInto(source, 0, source.length, target, 0)
  expect(length < 0 ? undefined : target.toString('utf8', 0, length)).toBe(text)
})
