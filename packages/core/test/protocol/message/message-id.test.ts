import { expect, it } from 'vitest'
import { formatIp, parseAddress, parseIp } from '../../../src/protocol/message/host.js'
import {
  offsetMessageId,
  parseOffsetMessageId,
  parseUniqueId,
  UniqueIds,
} from '../../../src/protocol/message/message-id.js'
import { vectors } from '../vectors.js'

type IdCase =
  | { kind: 'offsetMsgId'; id: string; host: string; port: number; commitLogOffset: number }
  | { kind: 'uniqId'; id: string; ip: string; pid: number; millisSinceMonthStart: number; counter: number }

const CASES = vectors<IdCase>('ids')

it.each(CASES.filter(c => c.kind === 'offsetMsgId'))('reads and writes offset message id $id', c => {
  if (!Number.isSafeInteger(c.commitLogOffset)) {
    expect(parseOffsetMessageId(c.id)).toBeUndefined()
    return
  }
  expect(offsetMessageId({ host: c.host, port: c.port }, c.commitLogOffset)).toBe(c.id)
  expect(parseOffsetMessageId(c.id)).toEqual({
    storeHost: { host: c.host, port: c.port },
    commitLogOffset: c.commitLogOffset,
  })
})

it.each(CASES.filter(c => c.kind === 'uniqId'))('reads and writes unique id $id', c => {
  const parsed = parseUniqueId(c.id)
  expect(parsed).toEqual({
    host: formatIp(parseIp(c.ip) ?? new Uint8Array()),
    processId: c.pid,
    millisSinceMonthStart: c.millisSinceMonthStart,
    counter: c.counter,
  })
  const monthStart = new Date(2026, 4, 1).getTime()
  const random = { next: () => 0, int: () => 0x18b4aac2 }
  const clock = { now: () => monthStart + c.millisSinceMonthStart, monotonic: () => 0 }
  const ids = new UniqueIds(clock, random, { host: c.ip, processId: c.pid })
  let id = ids.next()
  for (let i = 0; i < c.counter; i++) id = ids.next()
  expect(id).toBe(c.id)
})

it.each(['', 'x'.repeat(32), '7F00', `${'F'.repeat(24)}FFFFFFFF`])('reads no id from "%s"', text => {
  expect(parseOffsetMessageId(text)).toBeUndefined()
})

it('starts a new month with a new count of milliseconds', () => {
  let now = new Date(2026, 11, 31, 23, 59, 59, 999).getTime()
  const ids = new UniqueIds(
    { now: () => now, monotonic: () => 0 },
    { next: () => 0, int: () => 1 },
    { host: '1.2.3.4', processId: 1 },
  )
  expect(parseUniqueId(ids.next())?.millisSinceMonthStart).toBe(31 * 86_400_000 - 1)
  now++
  expect(parseUniqueId(ids.next())?.millisSinceMonthStart).toBe(0)
})

it.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::1', '0:0:0:0:0:0:0:1'],
  ['2001:DB8::2', '2001:db8:0:0:0:0:0:2'],
  ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
  ['1::', '1:0:0:0:0:0:0:0'],
])('reads the address %s', (text, canonical) => {
  const bytes = parseIp(text)
  expect(bytes && formatIp(bytes)).toBe(canonical)
})

it.each([
  '',
  'localhost',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '1.2.3.-4',
  ':',
  ':::',
  '1:2',
  '1::2::3',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
])('reads no address from "%s"', text => {
  expect(parseIp(text)).toBeUndefined()
})

it('reads host and port', () => {
  expect(parseAddress('broker-a:10911')).toEqual({ host: 'broker-a', port: 10_911 })
  expect(parseAddress('[2001:db8::1]:80')).toEqual({ host: '2001:db8::1', port: 80 })
  for (const text of ['broker', ':1', 'a:b', 'a:70000', '1:2:3']) expect(parseAddress(text)).toBeUndefined()
})
