import { bodyCrc, encodeMessage, formatProperties, tagHash } from '@millrace/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { QueueTail, QueueTails, StoredTopic } from '../../src/index/queue-tails.js'
import { encodeHost } from '../../src/log/host-bytes.js'
import { LogRing } from '../../src/log/log-ring.js'
import { OUTCOME, RECORD_EXTRA_BYTES_MAX, RecordInput, RecordWriter } from '../../src/log/record-writer.js'
import { createSharedLog } from '../../src/log/shared-log.js'

const RECORD_MAX = 1000 + RECORD_EXTRA_BYTES_MAX
const time = fc.integer({ min: 0, max: 2_000_000_000_000 })
const address = fc.record({
  host: fc.constantFrom('127.0.0.1', '10.4.5.6', '2001:db8:0:0:0:0:0:2'),
  port: fc.nat(65_535),
})
const text = fc.string({ unit: fc.constantFrom(...'abc"\\/é题 '), minLength: 1, maxLength: 12 })

it('writes the bytes that the general codec writes, from escaped and from plain properties', () => {
  const ring = { ringBytes: RECORD_MAX * 2, recordBytesMax: RECORD_MAX, fileBytes: RECORD_MAX * 4, base: 0 }
  const message = fc.record({
    topic: fc.string({ unit: fc.constantFrom('a', '%', '_'), minLength: 1, maxLength: 200 }),
    queueId: fc.nat(1000),
    queueOffset: fc.nat(),
    flag: fc.integer(),
    sysFlag: fc.integer({ min: 0, max: 0xf }),
    bornTimestamp: time,
    bornHost: address,
    storeTimestamp: time,
    storeHost: address,
    reconsumeTimes: fc.nat(),
    preparedTransactionOffset: time,
    body: fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
    tag: text,
    key: text,
    isEscaped: fc.boolean(),
  })
  fc.assert(
    fc.property(message, given => {
      const log = new LogRing(createSharedLog(ring), RECORD_MAX)
      const writer = new RecordWriter(log, new QueueTails())
      const queue = new QueueTail(new StoredTopic(given.topic), given.queueId, given.queueOffset, given.queueOffset)
      const properties = formatProperties({ TAGS: given.tag, UNIQ_KEY: given.key })
      const source = given.isEscaped ? JSON.stringify(properties).slice(1, -1) : properties
      const input = new RecordInput()
      Object.assign(input, given, { bornHost: encodeHost(given.bornHost), storeHost: encodeHost(given.storeHost) })
      input.source = Buffer.concat([given.body, Buffer.from(source)])
      input.bodyEnd = given.body.length
      input.propertiesStart = given.body.length
      input.propertiesEnd = input.source.length
      input.propertiesEscaped = given.isEscaped
      input.addedProperties = Buffer.from('CLUSTER\u0001c\u0002')
      expect(writer.append(queue, input, given.storeTimestamp)).toBe(OUTCOME.appended)
      const expected = encodeMessage({
        ...given,
        commitLogOffset: 0,
        bodyCrc: bodyCrc(given.body),
        properties: Buffer.from(`${properties}CLUSTER\u0001c\u0002`),
      })
      expect(Buffer.from(log.bytes.subarray(0, writer.sizeBytes))).toEqual(expected)
      expect(writer.properties.tagHash).toBe(tagHash(given.tag))
    }),
  )
})

it('refuses properties that are too long, and leaves the log as it was', () => {
  const log = new LogRing(
    createSharedLog({ ringBytes: RECORD_MAX * 2, recordBytesMax: RECORD_MAX, fileBytes: RECORD_MAX * 4, base: 0 }),
    RECORD_MAX,
  )
  const writer = new RecordWriter(log, new QueueTails())
  const queue = new QueueTail(new StoredTopic('t'), 0, 0, 0)
  const input = new RecordInput()
  input.bornHost = input.storeHost = Buffer.alloc(8)
  for (const length of [32_768, 1_000_000]) {
    input.source = Buffer.from(`K\u0001${'x'.repeat(length)}\u0002`)
    input.propertiesEnd = input.source.length
    expect(writer.append(queue, input, 1)).toBe(OUTCOME.propertiesTooLong)
  }
  expect([log.end, queue.nextOffset]).toEqual([0, 0])
})
