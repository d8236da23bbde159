import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decimalLength, parseInteger, writeDecimal } from '../../../src/protocol/hot/bytes.js'
import { PULL_REPLY_HEADER_BYTES_MAX, writePullReplyHeader } from '../../../src/protocol/hot/pull-reply.js'
import { SendReplyTemplate, sendReplyLengthMax, writeSendReply } from '../../../src/protocol/hot/send-reply.js'
import { offsetMessageId } from '../../../src/protocol/message/message-id.js'
import { decodeFrame } from '../../../src/protocol/remoting/frame.js'

const offset = fc.oneof(fc.maxSafeNat(), fc.nat(2_000_000_000))
const host = fc.constantFrom('127.0.0.1', '10.4.5.6', '2001:db8:0:0:0:0:0:2')

function decoded(bytes: Buffer, start: number, end: number) {
  expect(bytes.readUInt32BE(start)).toBe(end - start - 4)
  const result = decodeFrame(bytes, start + 4, end)
  if (!result.ok) throw new Error(result.reason)
  return { ...result.command, extFields: { ...result.command.extFields } }
}

it('writes and measures decimals', () => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -20, max: 20 })), value => {
      const target = Buffer.alloc(24)
      const end = writeDecimal(target, 2, value)
      expect(target.toString('latin1', 2, end)).toBe(String(value))
      expect(decimalLength(value)).toBe(end - 2)
      expect(parseInteger(target, 2, end)).toBe(value)
    }),
  )
  for (const value of [999_999_999, 1_000_000_000, 999_999_999_999_999, 1e15, Number.MAX_SAFE_INTEGER, -1e9]) {
    const target = Buffer.alloc(24)
    expect(target.toString('latin1', 0, writeDecimal(target, 0, value))).toBe(String(value))
    expect(decimalLength(value)).toBe(String(value).length)
  }
})

describe('writeSendReply', () => {
  const replies = fc.record({
    isBinary: fc.boolean(),
    opaque: fc.integer(),
    code: fc.constantFrom(0, 10, 11, 12),
    queueId: fc.nat(),
    queueOffset: offset,
    positions: fc.array(offset, { minLength: 1, maxLength: 4 }),
    uniqueKey: fc.oneof(fc.constant('7F0000010A1B18B4AAC2000000000000'), fc.string({ unit: 'binary' })),
    host,
  })

  it('writes a frame that the general codec reads', () => {
    fc.assert(
      fc.property(replies, fc.nat(20), ({ uniqueKey, host, ...reply }, at) => {
        const storeHost = { host, port: 10_911 }
        const transactionId = Buffer.from(`--${uniqueKey}--`)
        const whole = {
          ...reply,
          template: new SendReplyTemplate(storeHost, { region: 'DefaultRegion', isTraceOn: true }),
          positionCount: reply.positions.length,
          transactionId,
          transactionIdStart: 2,
          transactionIdEnd: transactionId.length - 2,
          recallHandle: Buffer.alloc(0),
        }
        const target = Buffer.alloc(at + sendReplyLengthMax(whole))
        const end = writeSendReply(target, at, whole)
        expect(end).toBeLessThanOrEqual(target.length)
        expect(decoded(target, at, end)).toEqual({
          code: reply.code,
          language: 'JAVA',
          version: 493,
          opaque: reply.opaque,
          flag: 1,
          remark: undefined,
          body: undefined,
          serialization: reply.isBinary ? 'ROCKETMQ' : 'JSON',
          extFields: {
            msgId: reply.positions.map(position => offsetMessageId(storeHost, position)).join(','),
            queueId: String(reply.queueId),
            queueOffset: String(reply.queueOffset),
            MSG_REGION: 'DefaultRegion',
            TRACE_ON: 'true',
            ...(uniqueKey === '' ? {} : { transactionId: uniqueKey }),
          },
        })
      }),
    )
  })

  it('refuses a broker host that is a name', () => {
    expect(() => new SendReplyTemplate({ host: 'broker', port: 1 }, { region: '', isTraceOn: true })).toThrow(
      /not an IP/,
    )
  })
})

it('writePullReplyHeader writes the head of a frame that the general codec reads', () => {
  const replies = fc.record({
    isBinary: fc.boolean(),
    opaque: fc.integer(),
    code: fc.constantFrom(0, 19, 20, 21),
    remark: fc.constantFrom('', 'FOUND', 'OFFSET_OVERFLOW_BADLY'),
    suggestWhichBrokerId: fc.nat(3),
    nextBeginOffset: offset,
    minOffset: offset,
    maxOffset: offset,
    topicSysFlag: fc.nat(1),
    groupSysFlag: fc.nat(1),
    body: fc.uint8Array({ maxLength: 40 }),
  })
  fc.assert(
    fc.property(replies, fc.nat(20), ({ body, ...reply }, at) => {
      const target = Buffer.alloc(at + PULL_REPLY_HEADER_BYTES_MAX + body.length)
      const end = writePullReplyHeader(target, at, { ...reply, bodyLength: body.length })
      expect(end - at).toBeLessThanOrEqual(PULL_REPLY_HEADER_BYTES_MAX)
      target.set(body, end)
      const { isBinary, code, opaque, remark, ...numbers } = reply
      expect(decoded(target, at, end + body.length)).toEqual({
        code,
        language: 'JAVA',
        version: 493,
        opaque,
        flag: 1,
        remark: remark || undefined,
        body: body.length > 0 ? Buffer.from(body) : undefined,
        serialization: isBinary ? 'ROCKETMQ' : 'JSON',
        extFields: Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)])),
      })
    }),
  )
})
