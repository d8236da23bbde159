import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { peekCode } from '../../../src/protocol/hot/header-scan.js'
import { PullScan, scanPull } from '../../../src/protocol/hot/pull-scan.js'
import { SendScan, scanSend } from '../../../src/protocol/hot/send-scan.js'
import { unescapeInto } from '../../../src/protocol/hot/unescape.js'
import type { RemotingCommand } from '../../../src/protocol/remoting/command.js'
import { decodeFrame } from '../../../src/protocol/remoting/frame.js'
import { vectors } from '../vectors.js'
import { binaryFrame, jsonFrame, pulls, sends } from './requests.js'

function general(bytes: Buffer): RemotingCommand {
  const result = decodeFrame(bytes, 0, bytes.length)
  if (!result.ok) throw new Error(`the scanner took what the general codec refuses: ${result.reason}`)
  return result.command
}

function text(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, end)
}

/** Text of a range that may hold escapes; undefined when these are left to the general codec. */
function resolved(bytes: Buffer, start: number, end: number, isEscaped: boolean): string | undefined {
  if (!isEscaped) return text(bytes, start, end)
  const target = Buffer.alloc(end - start)
  const length = unescapeInto(bytes, start, end, target, 0)
  return length < 0 ? undefined : text(target, 0, length)
}

function isTrue(value: string | undefined): boolean {
  return value === 'true' || value === '1'
}

/** Compares without the cost of `toEqual`, which would be most of the time of these tests. */
function expectSame(scanned: object, wanted: object): void {
  if (JSON.stringify(scanned) !== JSON.stringify(wanted)) expect(scanned).toEqual(wanted)
}

/** What the general codec makes of a send must be what the scanner made of it. */
function expectSend(bytes: Buffer, scan: SendScan): void {
  const { code, opaque, flag, version, serialization, extFields, body } = general(bytes)
  const isLong = code === 10
  const field = (letter: string, long: string): string | undefined => extFields[isLong ? long : letter]
  const properties = resolved(bytes, scan.propertiesStart, scan.propertiesEnd, scan.propertiesEscaped)
  expectSame(
    {
      code: scan.code,
      opaque: scan.opaque,
      flag: scan.flag,
      version: scan.version,
      isBinary: scan.isBinary,
      group: text(bytes, scan.groupStart, scan.groupEnd),
      topic: text(bytes, scan.topicStart, scan.topicEnd),
      defaultTopic: text(bytes, scan.defaultTopicStart, scan.defaultTopicEnd),
      defaultTopicQueueNums: scan.defaultTopicQueueNums,
      queueId: scan.queueId,
      sysFlag: scan.sysFlag,
      bornTimestamp: scan.bornTimestamp,
      userFlag: scan.userFlag,
      properties,
      reconsumeTimes: scan.reconsumeTimes,
      maxReconsumeTimes: scan.maxReconsumeTimes,
      unitMode: scan.unitMode,
      isBatch: scan.isBatch,
      body: bytes.toString('hex', scan.bodyStart, scan.bodyEnd),
    },
    {
      code,
      opaque,
      flag,
      version,
      isBinary: serialization === 'ROCKETMQ',
      group: field('a', 'producerGroup'),
      topic: field('b', 'topic'),
      defaultTopic: field('c', 'defaultTopic'),
      defaultTopicQueueNums: Number(field('d', 'defaultTopicQueueNums')),
      queueId: Number(field('e', 'queueId')),
      sysFlag: Number(field('f', 'sysFlag')),
      bornTimestamp: Number(field('g', 'bornTimestamp')),
      userFlag: Number(field('h', 'flag')),
      properties: properties === undefined ? undefined : (field('i', 'properties') ?? ''),
      reconsumeTimes: Number(field('j', 'reconsumeTimes') ?? 0),
      maxReconsumeTimes: Number(field('l', 'maxReconsumeTimes') ?? -1),
      unitMode: isTrue(field('k', 'unitMode')),
      isBatch: code === 320 || isTrue(field('m', 'batch')),
      body: body?.toString('hex') ?? '',
    },
  )
}

function expectPull(bytes: Buffer, scan: PullScan): void {
  const { code, opaque, flag, version, serialization, extFields } = general(bytes)
  const subscription = resolved(bytes, scan.subscriptionStart, scan.subscriptionEnd, scan.subscriptionEscaped)
  expectSame(
    {
      code: scan.code,
      opaque: scan.opaque,
      flag: scan.flag,
      version: scan.version,
      isBinary: scan.isBinary,
      group: text(bytes, scan.groupStart, scan.groupEnd),
      topic: text(bytes, scan.topicStart, scan.topicEnd),
      queueId: scan.queueId,
      queueOffset: scan.queueOffset,
      maxMsgNums: scan.maxMsgNums,
      sysFlag: scan.sysFlag,
      commitOffset: scan.commitOffset,
      suspendTimeoutMillis: scan.suspendTimeoutMillis,
      subscription,
      subVersion: scan.subVersion,
      expressionType: text(bytes, scan.expressionTypeStart, scan.expressionTypeEnd),
      maxMsgBytes: scan.maxMsgBytes,
    },
    {
      code,
      opaque,
      flag,
      version,
      isBinary: serialization === 'ROCKETMQ',
      group: extFields['consumerGroup'],
      topic: extFields['topic'],
      queueId: Number(extFields['queueId']),
      queueOffset: Number(extFields['queueOffset']),
      maxMsgNums: Number(extFields['maxMsgNums']),
      sysFlag: Number(extFields['sysFlag']),
      commitOffset: Number(extFields['commitOffset']),
      suspendTimeoutMillis: Number(extFields['suspendTimeoutMillis']),
      subscription: subscription === undefined ? undefined : (extFields['subscription'] ?? ''),
      subVersion: Number(extFields['subVersion']),
      expressionType: extFields['expressionType'] ?? '',
      maxMsgBytes: Number(extFields['maxMsgBytes'] ?? -1),
    },
  )
}

describe('scanSend and scanPull', () => {
  it('take every ordinary request, wherever it lies, and say what the general codec says', () => {
    fc.assert(
      fc.property(sends, pulls, fc.nat(50), (send, pull, before) => {
        const isPlain = send.style.escapeEvery === 0
        for (const [shape, bytes] of [
          [send, jsonFrame(send)],
          [send, binaryFrame(send)],
          [pull, jsonFrame(pull)],
          [pull, binaryFrame(pull)],
        ] as const) {
          const padded = Buffer.concat([Buffer.alloc(before, '"'), bytes, Buffer.from('"}}')])
          const end = before + bytes.length
          const sent = new SendScan()
          const pulled = new PullScan()
          const isSend = scanSend(padded, before, end, sent)
          const isPull = scanPull(padded, before, end, pulled)
          expect(peekCode(padded, before, end)).toBe(bytes[0] === 0 && shape.style.space !== '' ? -1 : shape.code)
          // Escaped names and numbers are left to the general codec.
          if (bytes[0] === 1 || (isPlain && shape === send))
            expect([isSend, isPull]).toEqual([shape === send, shape === pull])
          scanSend(bytes, 0, bytes.length, sent)
          scanPull(bytes, 0, bytes.length, pulled)
          if (isSend) expectSend(bytes, sent)
          if (isPull) expectPull(bytes, pulled)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('agree with the general codec, or decline, on every flipped bit and truncation of a header', () => {
    const out = new SendScan()
    const pulled = new PullScan()
    let taken = 0
    const check = (bytes: Buffer) => {
      if (scanSend(bytes, 0, bytes.length, out)) expectSend(bytes, out)
      else if (scanPull(bytes, 0, bytes.length, pulled)) expectPull(bytes, pulled)
      else return
      taken++
    }
    for (const { jsonHex, binaryHex, name } of vectors<{ name: string; jsonHex: string; binaryHex: string }>(
      'frames',
    )) {
      if (!/^(send_message_v|send_batch|pull_message)/.test(name)) continue
      for (const whole of [Buffer.from(jsonHex, 'hex').subarray(4), Buffer.from(binaryHex, 'hex').subarray(4)]) {
        check(whole)
        for (let end = 0; end < whole.length; end++) check(whole.subarray(0, end))
        for (let bit = 0; bit < whole.length * 8; bit++) {
          const mutated = Buffer.from(whole)
          mutated[bit >> 3] ^= 1 << (bit & 7)
          check(mutated)
        }
      }
    }
    expect(taken).toBeGreaterThan(1000)
  })

  it('agree with the general codec, or decline, on spliced bytes', () => {
    const splice = fc.record({
      at: fc.nat(),
      drop: fc.nat(3),
      insert: fc.constantFrom(
        '"',
        '\\',
        '{',
        '}',
        ',',
        ':',
        '0',
        '-',
        '.',
        'e1',
        'null',
        'true',
        '"b":"x",',
        '"e":5,',
        '\\u0062',
        '\u0000',
        'é',
        '[]',
      ),
    })
    fc.assert(
      fc.property(
        fc.oneof(sends, pulls),
        fc.boolean(),
        fc.array(splice, { minLength: 1, maxLength: 3 }),
        (shape, isJson, edits) => {
          const original = isJson ? jsonFrame(shape) : binaryFrame(shape)
          const headerEnd = 4 + (original.readUInt32BE(0) & 0xffffff)
          let header = original.subarray(4, headerEnd)
          for (const { at, drop, insert } of edits) {
            const from = at % (header.length + 1)
            header = Buffer.concat([header.subarray(0, from), Buffer.from(insert), header.subarray(from + drop)])
          }
          const word = Buffer.alloc(4)
          word.writeUInt32BE((isJson ? 0 : 0x1000000) + header.length)
          const bytes = Buffer.concat([word, header, original.subarray(headerEnd)])
          const sent = new SendScan()
          const pulled = new PullScan()
          if (scanSend(bytes, 0, bytes.length, sent)) expectSend(bytes, sent)
          if (scanPull(bytes, 0, bytes.length, pulled)) expectPull(bytes, pulled)
          peekCode(bytes, 0, bytes.length)
        },
      ),
      { numRuns: 1500 },
    )
  })

  it.each([
    ['a response', '{"code":310,"flag":1,"extFields":{F}}'],
    ['a code that is a text', '{"code":"310","extFields":{F}}'],
    ['a second code', '{"code":310,"code":310,"extFields":{F}}'],
    ['a second extFields', '{"code":310,"extFields":{},"extFields":{F}}'],
    ['an escaped name', '{"code":310,"extFields":{F,"\\u0061":"x"}}'],
    ['a null where a number is due', '{"code":310,"extFields":{F,"e":null}}'],
    ['a leading zero', '{"code":310,"extFields":{F,"e":"01"}}'],
    ['a fraction', '{"code":310,"extFields":{F,"e":"1.0"}}'],
    ['an empty number', '{"code":310,"extFields":{F,"e":""}}'],
    ['a 33-bit queue id', '{"code":310,"extFields":{F,"e":"4294967296"}}'],
    ['a number beyond 2^53', '{"code":310,"extFields":{F,"g":"9007199254740993"}}'],
    ['an empty topic', '{"code":310,"extFields":{F,"b":""}}'],
    ['a nested value', '{"code":310,"extFields":{F,"x":{}}}'],
    ['both kinds of names', '{"code":310,"extFields":{F,"topic":"t"}}'],
    ['text after the header', '{"code":310,"extFields":{F}}x'],
    ['a trailing comma', '{"code":310,"extFields":{F,}}'],
    ['another code', '{"code":311,"extFields":{F}}'],
    ['a missing field', '{"code":310,"extFields":{"a":"g","b":"t"}}'],
  ])('decline %s', (_what, template) => {
    const fields = '"a":"g","b":"t","c":"d","d":"4","e":"1","f":"0","g":"1700000000000","h":"0"'
    const scan = (header: string) => {
      const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(header)])
      bytes.writeUInt32BE(bytes.length - 4)
      return scanSend(bytes, 0, bytes.length, new SendScan())
    }
    expect(scan(`{"code":310,"extFields":{${fields}}}`)).toBe(true)
    expect(scan(template.replace('F', fields))).toBe(false)
  })
})

describe('peekCode', () => {
  it('finds the code wherever it is, and -1 where there is none', () => {
    const peek = (header: string) => {
      const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(header), Buffer.from('"code":9')])
      bytes.writeUInt32BE(header.length)
      return peekCode(bytes, 0, bytes.length)
    }
    expect(peek('{"code":310,"flag":0}')).toBe(310)
    expect(peek('{"flag":0,"code":11}')).toBe(11)
    expect(peek('{"flag":0}')).toBe(-1)
    expect(peek('{"code":"x"}')).toBe(-1)
    expect(peekCode(Buffer.from([0, 0, 0, 0]), 0, 4)).toBe(-1)
    expect(peekCode(Buffer.from([7, 0, 0, 0, 1, 1]), 0, 6)).toBe(-1)
  })
})
