import fc from 'fast-check'
import { encodeRequest } from '../../../src/protocol/remoting/frame.js'

export type Fields = Record<string, string | number | boolean>

/** A generated request: what it says, and how its header is written. */
export interface RequestShape {
  readonly code: number
  readonly opaque: number
  readonly flag: number
  readonly version: number
  readonly fields: Fields
  readonly body: Uint8Array
  readonly style: { readonly order: number; readonly space: string; readonly escapeEvery: number }
}

const LETTERS: Readonly<Record<string, string>> = {
  producerGroup: 'a',
  topic: 'b',
  defaultTopic: 'c',
  defaultTopicQueueNums: 'd',
  queueId: 'e',
  sysFlag: 'f',
  bornTimestamp: 'g',
  flag: 'h',
  properties: 'i',
  reconsumeTimes: 'j',
  unitMode: 'k',
  maxReconsumeTimes: 'l',
  batch: 'm',
}

const name = fc.string({ unit: fc.constantFrom(...'abcXYZ019_-%|'), minLength: 1, maxLength: 20 })
const int = fc.oneof(fc.integer({ min: -2, max: 20 }), fc.integer())
const long = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }))
const asWritten = <T>(value: fc.Arbitrary<T>) => value.chain(v => fc.constantFrom(v, String(v)))
const properties = fc
  .array(fc.tuple(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme', minLength: 1 })), { maxLength: 4 })
  .map(pairs => pairs.map(([key, value]) => `${key}\u0001${value}\u0002`).join(''))

export const sendFields = fc.record(
  {
    producerGroup: name,
    topic: name,
    defaultTopic: name,
    defaultTopicQueueNums: asWritten(int),
    queueId: asWritten(int),
    sysFlag: asWritten(int),
    bornTimestamp: asWritten(long),
    flag: asWritten(int),
    properties,
    reconsumeTimes: asWritten(int),
    unitMode: asWritten(fc.boolean()),
    maxReconsumeTimes: asWritten(int),
    batch: fc.oneof(asWritten(fc.boolean()), fc.constantFrom('0', '1', 0, 1)),
  },
  {
    requiredKeys: [
      'producerGroup',
      'topic',
      'defaultTopic',
      'defaultTopicQueueNums',
      'queueId',
      'sysFlag',
      'bornTimestamp',
      'flag',
    ],
  },
)

export const pullFields = fc.record(
  {
    consumerGroup: name,
    topic: name,
    queueId: asWritten(int),
    queueOffset: asWritten(long),
    maxMsgNums: asWritten(int),
    sysFlag: asWritten(int),
    commitOffset: asWritten(long),
    suspendTimeoutMillis: asWritten(long),
    subVersion: fc.oneof(fc.nat(), fc.constant('1700000000123456789')),
    subscription: fc.string({ unit: 'grapheme' }),
    expressionType: fc.constantFrom('TAG', 'SQL92', ''),
    maxMsgBytes: asWritten(int),
  },
  {
    requiredKeys: [
      'consumerGroup',
      'topic',
      'queueId',
      'queueOffset',
      'maxMsgNums',
      'sysFlag',
      'commitOffset',
      'suspendTimeoutMillis',
      'subVersion',
    ],
  },
)

/** Fields that the hot path does not know. */
const strangers = fc.dictionary(
  fc.oneof(fc.constantFrom('n', 'bname', 'ns', 'AccessKey', 'topik', 'queueID'), fc.stringMatching(/^x[ !#-[\]-~]*$/)),
  fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.boolean(),
  ),
  { maxKeys: 3 },
)

const style = fc.record({
  order: fc.nat(),
  space: fc.constantFrom('', '', ' ', '\n\t '),
  escapeEvery: fc.constantFrom(0, 0, 1, 3),
})

function request(code: fc.Arbitrary<number>, fields: fc.Arbitrary<Fields>): fc.Arbitrary<RequestShape> {
  return fc
    .record({
      code,
      opaque: fc.integer(),
      flag: fc.constantFrom(0, 2),
      version: fc.integer({ min: 0, max: 600 }),
      fields,
      strangers,
      body: fc.uint8Array({ maxLength: 40 }),
      style,
    })
    .map(({ strangers: others, ...shape }) => {
      const isLettered = shape.code === 310 || shape.code === 320
      const named = Object.entries(shape.fields).map(
        ([key, value]) => [isLettered ? LETTERS[key] : key, value] as const,
      )
      return { ...shape, fields: Object.fromEntries([...Object.entries(others), ...named]) }
    })
}

export const sends = request(fc.constantFrom(10, 310, 320), sendFields as fc.Arbitrary<Fields>)
export const pulls = request(fc.constantFrom(11, 361), pullFields as fc.Arbitrary<Fields>)

/** The frame without its length word, header serialized as JSON in the shape's style. */
export function jsonFrame(shape: RequestShape): Buffer {
  const { code, opaque, flag, version, fields, style } = shape
  const space = style.space
  const text = (value: unknown) => escaped(JSON.stringify(value), typeof value === 'string' ? style.escapeEvery : 0)
  const object = (members: readonly (readonly [string, string])[]) =>
    `{${space}${members.map(([key, value]) => `${JSON.stringify(key)}${space}:${space}${value}`).join(`${space},${space}`)}${space}}`
  const ext = rotated(Object.entries(fields), style.order).map(([key, value]) => [key, text(value)] as const)
  const members = rotated(
    [
      ['code', String(code)],
      ['language', '"GO"'],
      ['extFields', object(ext)],
      ['version', String(version)],
      ['opaque', String(opaque)],
      ['remark', 'null'],
      ['flag', String(flag)],
    ] as const,
    style.order,
  )
  return frame(Buffer.from(`${object(members)}${space}`), shape.body)
}

function frame(header: Buffer, body: Uint8Array): Buffer {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(header.length)
  return Buffer.concat([word, header, body])
}

/** The frame without its length word, in the binary serialization. */
export function binaryFrame({ code, opaque, flag, version, fields, body, style }: RequestShape): Buffer {
  const ext = Object.fromEntries(
    rotated(Object.entries(fields), style.order).map(([key, value]) => [key, String(value)]),
  )
  const whole = encodeRequest({
    code,
    opaque,
    isOneway: flag === 2,
    version,
    extFields: ext,
    body,
    serialization: 'ROCKETMQ',
  })
  return whole.subarray(4)
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

/** Writes every n-th plain character of a JSON text as an escape. */
function escaped(json: string, every: number): string {
  if (every === 0) return json
  let count = 0
  return json.replace(/\\u....|\\.|[^"\\]/g, token => {
    if (token.length > 1 || ++count % every !== 0) return token
    return `\\u${token.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
