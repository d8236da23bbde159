import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RequestCode } from '../../../src/index.js'
import type { Serialization } from '../../../src/protocol/remoting/command.js'
import { decodeFrame, encodeRequest, encodeResponse } from '../../../src/protocol/remoting/frame.js'
import { hex, vectors } from '../vectors.js'

interface FrameCase {
  readonly name: string
  readonly decoded: {
    readonly code: number
    readonly language: string
    readonly version: number
    readonly opaque: number
    readonly flag: number
    readonly remark: string | null
    readonly extFields: Record<string, string> | null
    readonly bodyHex: string | null
  }
  readonly jsonHex: string
  readonly binaryHex: string
  readonly binaryDecodedCode?: number
}

const CASES = vectors<FrameCase>('frames')

function decoded(frame: Buffer) {
  const result = decodeFrame(frame, 4, frame.length)
  if (!result.ok) throw new Error(result.reason)
  const { serialization: _, body, extFields, ...rest } = result.command
  return { ...rest, extFields: { ...extFields }, body: body?.toString('hex') }
}

function expected({ bodyHex, remark, extFields, code, language, version, opaque, flag }: FrameCase['decoded']) {
  const body = bodyHex || undefined
  return { code, language, version, opaque, flag, remark: remark ?? undefined, extFields: extFields ?? {}, body }
}

describe('frames of the official library', () => {
  it.each(CASES.map(c => [c.name, c] as const))('decodes %s in both serializations', (_name, frameCase) => {
    const want = expected(frameCase.decoded)
    expect(decoded(Buffer.from(frameCase.jsonHex, 'hex'))).toEqual(want)
    expect(decoded(Buffer.from(frameCase.binaryHex, 'hex'))).toEqual(want)
  })

  it.each(CASES.map(c => [c.name, c] as const))('encodes %s so that it decodes to the same', (_name, frameCase) => {
    const { bodyHex, remark, extFields, code, opaque, flag, language, version } = frameCase.decoded
    const fields = { extFields: extFields ?? {}, body: hex(bodyHex) }
    for (const serialization of ['JSON', 'ROCKETMQ'] as const) {
      const frame =
        (flag & 1) === 1
          ? encodeResponse({ opaque, serialization }, { code, remark: remark ?? undefined, ...fields })
          : encodeRequest({ code, opaque, isOneway: flag === 2, language, version, serialization, ...fields })
      expect(frame.readUInt32BE(0)).toBe(frame.length - 4)
      expect(decoded(frame)).toEqual(expected(frameCase.decoded))
      if (Object.keys(fields.extFields).length <= 1) {
        expect(frame.length).toBe((serialization === 'JSON' ? jsonLength : binaryLength)(frameCase))
      }
    }
  })
})

function binaryLength(frameCase: FrameCase): number {
  return frameCase.binaryHex.length / 2
}

/** The official library writes an empty ext field map where a request header class exists but sets nothing. */
function jsonLength(frameCase: FrameCase): number {
  const empty = Buffer.from('"extFields":{},').toString('hex')
  return (frameCase.jsonHex.length - (frameCase.jsonHex.includes(empty) ? empty.length : 0)) / 2
}

function jsonFrame(header: string, body = ''): Buffer {
  const head = Buffer.from(header)
  const frame = Buffer.concat([Buffer.alloc(8), head, Buffer.from(body)])
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(head.length, 4)
  return frame
}

describe('JSON headers of other clients', () => {
  it('reads numbers and booleans as text, drops null and nested values, and tolerates unknown members', () => {
    const frame = jsonFrame(
      '{ "version":"7","extFields":{"queueId":3,"unitMode":false,"none":null,"x":{"y":1}},"remark":null,"code":10,"language":"ZIG","new":[1]}',
      'hi',
    )
    expect(decoded(frame)).toEqual({
      code: 10,
      language: 'ZIG',
      version: 7,
      opaque: 0,
      flag: 0,
      remark: undefined,
      extFields: { queueId: '3', unitMode: 'false' },
      body: Buffer.from('hi').toString('hex'),
    })
  })

  it('is not troubled by deep nesting', () => {
    const depth = 200_000
    const frame = jsonFrame(`{"code":1,"extFields":{"n":1,"deep":${'['.repeat(depth)}${']'.repeat(depth)}}}`)
    expect(decodeFrame(frame, 4, frame.length)).toHaveProperty('ok')
  })

  it.each(['', '{', '[]', 'null', '{}', '{"code":1.5}', '{"code":null}', '{"code":"x"}'])('refuses %s', header => {
    const frame = jsonFrame(header)
    expect(decodeFrame(frame, 4, frame.length)).toMatchObject({ ok: false })
  })

  it('reads names that exist on every object as plain names', () => {
    const names = JSON.parse('{"__proto__":"a","constructor":"b"}') as Record<string, string>
    for (const serialization of ['JSON', 'ROCKETMQ'] as const) {
      const frame = encodeRequest({ code: 1, opaque: 1, serialization, extFields: names })
      const result = decodeFrame(frame, 4, frame.length)
      expect(result.ok && Object.entries(result.command.extFields)).toEqual(Object.entries(names))
    }
  })
})

it('maps binary codes that lost their high bits back, in requests only', () => {
  for (const code of [RequestCode.POP_MESSAGE, RequestCode.POP_ROLLBACK, RequestCode.BATCH_ACK_MESSAGE]) {
    const request = encodeRequest({ code, opaque: 1, serialization: 'ROCKETMQ' })
    expect(decoded(request).code).toBe(code)
    const response = encodeResponse({ opaque: 1, serialization: 'ROCKETMQ' }, { code })
    expect(decoded(response).code).toBe((code << 16) >> 16)
  }
})

it('refuses to encode a frame over the limit', () => {
  expect(() => encodeRequest({ code: 1, opaque: 1, body: new Uint8Array(16_777_216) })).toThrow(/over the limit/)
})

const commands = fc.record({
  code: fc.integer({ min: 0, max: 32_767 }),
  opaque: fc.integer(),
  isOneway: fc.boolean(),
  language: fc.constantFrom('JAVA', 'GO', 'CPP', 'NODE_JS'),
  version: fc.integer({ min: 0, max: 600 }),
  serialization: fc.constantFrom<Serialization>('JSON', 'ROCKETMQ'),
  extFields: fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 6 }),
  body: fc.uint8Array({ minLength: 1, maxLength: 64 }),
})

/** Lone surrogates have no UTF-8 form; both serializations replace them. */
function wellFormed(fields: Record<string, string>): boolean {
  return Object.entries(fields).every(([name, value]) => name.isWellFormed() && value.isWellFormed())
}

it('round trips whatever a request can say', () => {
  fc.assert(
    fc.property(commands, command => {
      fc.pre(wellFormed(command.extFields))
      const result = decoded(encodeRequest(command))
      expect(result.extFields).toEqual({ ...command.extFields })
      expect(result).toMatchObject({
        code: command.code,
        opaque: command.opaque,
        flag: command.isOneway ? 2 : 0,
        language: command.language,
        version: command.version,
        body: Buffer.from(command.body).toString('hex'),
      })
    }),
  )
})

it('decodes each truncation and each flipped bit of a frame to a value or a reason', () => {
  for (const { jsonHex, binaryHex } of CASES.slice(0, 12)) {
    for (const frame of [Buffer.from(jsonHex, 'hex'), Buffer.from(binaryHex, 'hex')]) {
      for (let end = 4; end < frame.length; end++) expect(decodeFrame(frame, 4, end)).toHaveProperty('ok')
      for (let bit = 32; bit < frame.length * 8; bit++) {
        const mutated = Buffer.from(frame)
        mutated[bit >> 3] ^= 1 << (bit & 7)
        expect(decodeFrame(mutated, 4, mutated.length)).toHaveProperty('ok')
      }
    }
  }
})
