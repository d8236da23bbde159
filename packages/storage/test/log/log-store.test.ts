import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { decodeMessages, tagHash } from '@millrace/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LogStore } from '../../src/log-store.js'
import { eventually, message, openSmall, tempDirectory } from './temp-store.js'

let directory: ReturnType<typeof tempDirectory>
let store: LogStore | undefined

beforeEach(() => {
  directory = tempDirectory()
})
afterEach(async () => {
  await store?.close()
  store = undefined
  directory.remove()
})

async function open(options?: Parameters<typeof openSmall>[1]): Promise<LogStore> {
  store = await openSmall(directory.path, options)
  return store
}

async function reopen(options?: Parameters<typeof openSmall>[1]): Promise<LogStore> {
  await store!.close()
  return open(options)
}

function bodyOf(record: Buffer | undefined): string {
  const decoded = decodeMessages(record!)
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.messages[0]!.body.toString()
}

function bodiesOf(log: LogStore, topic: string, queueId: number): string[] {
  const bodies: string[] = []
  for (let offset = log.minOffset(topic, queueId); offset < log.maxOffset(topic, queueId); offset++) {
    bodies.push(bodyOf(log.record(log.entry(topic, queueId, offset)!.position)))
  }
  return bodies
}

describe.each(['sync', 'async'] as const)('log store, %s flush', flush => {
  it('gives dense offsets per queue and reads back what was appended', async () => {
    const log = await open({ flush })
    const appended = await Promise.all([0, 1, 2, 3, 4, 5].map(i => log.append(message('t', i % 2, `body ${i}`))))
    expect(appended.map(each => each.queueOffset)).toEqual([0, 0, 1, 1, 2, 2])
    expect(bodiesOf(log, 't', 0)).toEqual(['body 0', 'body 2', 'body 4'])
    expect(bodiesOf(log, 't', 1)).toEqual(['body 1', 'body 3', 'body 5'])
    expect(log.maxOffset('t', 7)).toBe(0)
  })

  it('keeps records and offsets across a restart, without scanning what is indexed', async () => {
    let log = await open({ flush })
    await log.append(message('t', 0, 'a', { TAGS: 'x' }))
    await log.append(message('t', 0, 'b'))
    log = await reopen({ flush })
    expect(log.recovered.recordsScanned).toBe(0)
    expect(bodiesOf(log, 't', 0)).toEqual(['a', 'b'])
    expect(log.entry('t', 0, 0)!.tagHash).toBe(tagHash('x'))
    expect((await log.append(message('t', 0, 'c'))).queueOffset).toBe(2)
    expect(bodiesOf(log, 't', 0)).toEqual(['a', 'b', 'c'])
  })

  it('crosses ring and file ends with records of every size', async () => {
    const log = await open({ flush })
    const sizes = Array.from({ length: 400 }, (_, i) => 1 + ((i * 7919) % 30_000))
    const appends: Promise<unknown>[] = []
    for (const [i, size] of sizes.entries())
      appends.push(log.append(message('big', i % 3, String(i).padEnd(size, '.'))))
    await Promise.all(appends)
    expect(readdirSync(join(directory.path, 'commitlog')).length).toBeGreaterThan(2)
    const check = (opened: LogStore): void => {
      const found = [0, 1, 2].flatMap(queueId => bodiesOf(opened, 'big', queueId))
      expect(found.length).toBe(sizes.length)
      for (const body of found)
        expect(body.length).toBe(Math.max(sizes[Number.parseInt(body, 10)]!, String(Number.parseInt(body, 10)).length))
    }
    check(log)
    await eventually(() => log.indexed === log.logEnd)
    check(log)
    check(await reopen({ flush }))
  })
})

describe('log store', () => {
  it('shows a message to readers only once it is written', async () => {
    const log = await open()
    const pending = log.append(message('t', 0, 'a'))
    expect(log.maxOffset('t', 0)).toBe(0)
    await pending
    expect(log.maxOffset('t', 0)).toBe(1)
  })

  it('finds messages by key, by unique key and by time', async () => {
    const log = await open()
    for (let i = 0; i < 50; i++)
      await log.append(message('t', 0, `b${i}`, { KEYS: `k${i % 5} all`, UNIQ_KEY: `U${i}` }))
    await eventually(() => log.indexed === log.logEnd)
    const always = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 100 }
    expect(log.findByKey('t', 'k3', always).map(bodyOf)).toEqual([
      'b48',
      'b43',
      'b38',
      'b33',
      'b28',
      'b23',
      'b18',
      'b13',
      'b8',
      'b3',
    ])
    expect(log.findByKey('t', 'all', { ...always, maxCount: 3 }).map(bodyOf)).toEqual(['b49', 'b48', 'b47'])
    expect(log.findByKey('t', 'U7', { ...always, uniqueOnly: true }).map(bodyOf)).toEqual(['b7'])
    expect(log.findByKey('t', 'nowhere', always)).toEqual([])
    expect(log.findByKey('other', 'k3', always)).toEqual([])
    const { storeTimestamp } = await log.append(message('t', 0, 'last'))
    expect(log.offsetByTime('t', 0, storeTimestamp + 1, 'lower')).toBe(51)
    expect(log.offsetByTime('t', 0, 0, 'lower')).toBe(0)
    expect(log.offsetByTime('t', 0, storeTimestamp + 1, 'upper')).toBe(50)
  })

  it('cuts off a torn tail and serves everything before it', async () => {
    let log = await open()
    for (let i = 0; i < 10; i++) await log.append(message('t', 0, `body ${i}`))
    const lastPosition = log.entry('t', 0, 9)!.position
    await log.close()
    damage(0, lastPosition + 40, Buffer.alloc(200, 0xee))
    // The index knows of the record, so it has to be rebuilt from the log as after a crash.
    removeIndex()
    log = await open()
    expect(log.recovered.isTailTorn).toBe(true)
    expect(bodiesOf(log, 't', 0)).toEqual(Array.from({ length: 9 }, (_, i) => `body ${i}`))
    expect((await log.append(message('t', 0, 'again'))).queueOffset).toBe(9)
    log = await reopen()
    expect(bodiesOf(log, 't', 0).at(-1)).toBe('again')
  })

  it('refuses to open when a file before the last is damaged', async () => {
    const log = await open()
    for (let i = 0; i < 100; i++) await log.append(message('t', 0, 'x'.repeat(40_000)))
    await log.close()
    store = undefined
    expect(readdirSync(join(directory.path, 'commitlog')).length).toBe(2)
    damage(0, 500_000, Buffer.alloc(100, 0xee))
    removeIndex()
    await expect(openSmall(directory.path)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringMatching(/00000000000000000000.*damaged/),
    })
  })

  it('rebuilds the whole index from the log', async () => {
    let log = await open()
    const appends: Promise<unknown>[] = []
    for (let i = 0; i < 3000; i++) appends.push(log.append(message(`t${i % 7}`, i % 4, `${i}`, { KEYS: `k${i}` })))
    await Promise.all(appends)
    await log.close()
    removeIndex()
    log = await open()
    expect(log.recovered.recordsScanned).toBe(3000)
    const found = Array.from({ length: 7 }, (_, t) => [0, 1, 2, 3].flatMap(q => bodiesOf(log, `t${t}`, q))).flat()
    expect(new Set(found).size).toBe(3000)
    await eventually(() => log.indexed === log.logEnd)
    expect(log.findByKey('t0', 'k7', { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 5 }).map(bodyOf)).toEqual([
      '7',
    ])
  })

  it('forgets a deleted topic, also across a restart, and starts its queues anew', async () => {
    let log = await open()
    await log.append(message('gone', 0, 'a'))
    await log.append(message('stays', 0, 'b'))
    await log.deleteTopic('gone')
    expect(log.maxOffset('gone', 0)).toBe(0)
    expect((await log.append(message('gone', 0, 'new'))).queueOffset).toBe(0)
    log = await reopen()
    expect(bodiesOf(log, 'gone', 0)).toEqual(['new'])
    expect(bodiesOf(log, 'stays', 0)).toEqual(['b'])
  })

  it('finds a topic that was made anew when the index has to be rebuilt', async () => {
    let log = await open()
    for (const body of ['a', 'b', 'c']) await log.append(message('again', 0, body))
    await log.deleteTopic('again')
    await log.append(message('again', 0, 'new'))
    await log.close()
    removeIndex()
    log = await open()
    expect(bodiesOf(log, 'again', 0)).toEqual(['new'])
    log = await reopen()
    expect(bodiesOf(log, 'again', 0)).toEqual(['new'])
    expect((await log.append(message('again', 0, 'newer'))).queueOffset).toBe(1)
  })

  it('drops the oldest files by size and moves the first offsets on', async () => {
    let log = await open()
    for (let i = 0; i < 250; i++) await log.append(message('t', 0, String(i).padEnd(30_000)))
    await eventually(() => log.indexed === log.logEnd)
    const filesBefore = readdirSync(join(directory.path, 'commitlog')).length
    expect(filesBefore).toBe(4)
    expect(log.retain({ bytesMax: 2 * 2 * 1024 * 1024 })).toBe(2 * 2 * 1024 * 1024)
    expect(log.retain({ bytesMax: 2 * 2 * 1024 * 1024 })).toBe(0)
    const min = log.minOffset('t', 0)
    expect(min).toBeGreaterThan(100)
    expect(log.entry('t', 0, min - 1)).toBeUndefined()
    expect(bodiesOf(log, 't', 0).map(Number)).toEqual(Array.from({ length: 250 - min }, (_, i) => min + i))
    await eventually(() => readdirSync(join(directory.path, 'commitlog')).length === 2)
    log = await reopen()
    expect(log.minOffset('t', 0)).toBe(min)
    expect(log.maxOffset('t', 0)).toBe(250)
  })

  it('frees as many of the oldest files as are needed, and never the one being written', async () => {
    const log = await open()
    for (let i = 0; i < 250; i++) await log.append(message('t', 0, String(i).padEnd(30_000)))
    await eventually(() => log.indexed === log.logEnd)
    expect(log.retain({ freeBytes: 1 })).toBe(2 * 1024 * 1024)
    expect(log.retain({ freeBytes: 2 ** 40 })).toBe(2 * 2 * 1024 * 1024)
    expect(log.retain({ freeBytes: 2 ** 40 })).toBe(0)
    await log.append(message('t', 0, 'goes on'))
    expect(bodiesOf(log, 't', 0).at(-1)).toBe('goes on')
  })

  it('goes on from what is there after a crash between giving a file up and deleting it', async () => {
    let log = await open()
    for (let i = 0; i < 250; i++) await log.append(message('t', 0, String(i).padEnd(30_000)))
    await eventually(() => log.indexed === log.logEnd)
    const first = join(directory.path, 'commitlog', '0'.repeat(20))
    const bytes = readFileSync(first)
    log.retain({ freeBytes: 1 })
    const min = log.minOffset('t', 0)
    await eventually(() => !existsSync(first))
    await store!.close()
    writeFileSync(first, bytes)
    log = await open()
    expect(log.logBegin).toBe(0)
    expect(log.minOffset('t', 0)).toBeLessThanOrEqual(min)
    expect(bodiesOf(log, 't', 0).at(-1)?.trimEnd()).toBe('249')
    expect(log.retain({ freeBytes: 1 })).toBe(2 * 1024 * 1024)
  })

  it('refuses sends while it is told to, and takes them again', async () => {
    const told: string[] = []
    const log = await open({ onState: state => told.push(state) })
    await log.append(message('t', 0, 'before'))
    log.refuseWrites('the disk is nearly full')
    await expect(log.append(message('t', 0, 'x'))).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(bodiesOf(log, 't', 0)).toEqual(['before'])
    log.refuseWrites(undefined)
    await log.append(message('t', 0, 'after'))
    expect(told).toEqual(['full', 'open'])
  })

  it('keeps files young enough and drops those that are not', async () => {
    const log = await open()
    for (let i = 0; i < 100; i++) await log.append(message('t', 0, 'x'.repeat(40_000)))
    await eventually(() => log.indexed === log.logEnd)
    expect(log.retain({ beforeMs: 1000 })).toBe(0)
    expect(log.retain({ beforeMs: Date.now() + 60_000 })).toBe(2 * 1024 * 1024)
  })

  it('refuses a message that is over the limits, and takes the next', async () => {
    const log = await open()
    await expect(log.append(message('t', 0, 'x'.repeat(70_000)))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(log.append(message('t', 0, 'x', { big: 'y'.repeat(40_000) }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect((await log.append(message('t', 0, 'ok'))).queueOffset).toBe(0)
  })

  it('creates files at their full size, named by position', async () => {
    const log = await open()
    await log.append(message('t', 0, 'a'))
    const file = join(directory.path, 'commitlog', '00000000000000000000')
    expect(statSync(file).size).toBe(2 * 1024 * 1024)
    expect(readFileSync(file).readInt32BE(4)).toBe(0xdaa320a7 | 0)
  })
})

function damage(fileBegin: number, at: number, bytes: Buffer): void {
  const file = openSync(join(directory.path, 'commitlog', String(fileBegin).padStart(20, '0')), 'r+')
  writeSync(file, bytes, 0, bytes.length, at - fileBegin)
  closeSync(file)
}

function removeIndex(): void {
  rmSync(join(directory.path, 'millrace', 'index'), { recursive: true })
}
