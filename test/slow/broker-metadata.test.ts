import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerTarget } from '../faults/broker-target.js'
import { checkHistory } from '../faults/checkers.js'
import { type FaultPlan, faultsUnavailable, planFaults, SYNC_CALLS, WRITE_CALLS } from '../faults/fault-shim.js'
import { flipBit, recordPlaces } from '../faults/log-damage.js'
import { announcedRandom } from '../faults/random.js'
import { Recorded } from '../faults/recorded.js'
import { Refused } from '../faults/target.js'

let directory: string
let target: BrokerTarget | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-metadata-'))
})

afterEach(async () => {
  await target?.kill()
  rmSync(directory, { recursive: true, force: true })
})

async function start(
  environment: Readonly<Record<string, string>> = {},
  flush: 'sync' | 'async' = 'sync',
): Promise<BrokerTarget> {
  target = await BrokerTarget.start({ directory: join(directory, 'data'), flush, environment })
  return target
}

/** The refusal of a call; undefined when it succeeds. */
async function refusalOf(call: Promise<unknown>): Promise<Refused | undefined> {
  return call.then(
    () => undefined,
    error => {
      if (error instanceof Refused) return error
      throw error
    },
  )
}

describe('topics and offsets of a broker', () => {
  it.each(['sync', 'async'] as const)('are kept by kill -9 at any moment once acknowledged, flush %s', async flush => {
    const random = announcedRandom('test/slow/broker-metadata.test.ts')
    const topics: string[] = []
    const attempted: number[] = []
    let acked = 0
    for (let round = 0; round < 6; round++) {
      const broker = await start({}, flush)
      const work = (async () => {
        for (let i = 0; ; i++) {
          const topic = `t-${round}-${i}`
          await broker.createTopic(topic)
          topics.push(topic)
          const offset = (attempted.at(-1) ?? 0) + 1
          attempted.push(offset)
          await broker.commitOffset('g', 0, offset)
          acked = offset
        }
      })().catch(error => error)
      await new Promise(resolve => setTimeout(resolve, random.between(100, 800)))
      await broker.kill()
      expect(await work).not.toBeInstanceOf(Refused)
    }
    const broker = await start({}, flush)
    expect(topics.length).toBeGreaterThan(6)
    const missing: string[] = []
    for (const topic of topics) if (!(await broker.hasTopic(topic))) missing.push(topic)
    expect(missing).toEqual([])
    const stored = await broker.committedOffset('g', 0)
    expect(stored).toBeGreaterThanOrEqual(acked)
    expect(attempted).toContain(stored)
  })
})

const unavailable = faultsUnavailable()
if (unavailable) console.log(`skipped: ${unavailable}`)

describe.skipIf(unavailable)('a broker whose metadata cannot be stored', () => {
  it.each<[string, Omit<FaultPlan, 'path'>]>([
    ['written', { calls: WRITE_CALLS, error: 'EIO' }],
    ['synced', { calls: SYNC_CALLS, error: 'EIO' }],
  ])('refuses to create topics when pages cannot be %s, stays alive, and loses nothing', async (_what, plan) => {
    const faults = planFaults(directory, { ...plan, path: 'metadata/data.mdb' })
    const broker = await start(faults.environment)
    const recorded = new Recorded()
    for (let i = 0; i < 20; i++) expect(await recorded.send(broker)).toBeTypeOf('number')
    await broker.createTopic('before')
    await broker.commitOffset('g', 0, 7)
    faults.arm()
    expect((await refusalOf(broker.createTopic('during')))?.message, broker.log).toBeTruthy()
    faults.disarm()
    expect((await refusalOf(broker.createTopic('after')))?.message).toMatch(/restart/)
    expect((await refusalOf(broker.commitOffset('g', 0, 9)))?.message).toMatch(/restart/)
    expect(await broker.hasTopic('before')).toBe(true)
    expect(await broker.hasTopic('after')).toBe(false)
    await recorded.send(broker)
    await recorded.readAll(broker)
    expect(checkHistory(recorded.history)).toEqual([])
    expect(broker.child.process.exitCode).toBeNull()

    await broker.kill()
    const again = await start()
    expect(await again.hasTopic('before')).toBe(true)
    expect(await again.hasTopic('after')).toBe(false)
    expect(await again.committedOffset('g', 0)).toBe(7)
    await again.createTopic('later')
    await recorded.readAll(again)
    expect(checkHistory(recorded.history)).toEqual([])
  })

  it('creates topics again after the disk was full', async () => {
    const faults = planFaults(directory, { calls: WRITE_CALLS, error: 'ENOSPC', path: 'metadata/data.mdb' })
    const broker = await start(faults.environment)
    faults.arm()
    expect((await refusalOf(broker.createTopic('t')))?.message, broker.log).toMatch(/space/)
    expect(await broker.hasTopic('t')).toBe(false)
    faults.disarm()
    await broker.createTopic('t')
    expect(await broker.hasTopic('t')).toBe(true)
  })
})

describe('a data directory', () => {
  it('with a damaged log stops the broker with the name of the file and what to do', async () => {
    const recorded = new Recorded()
    const broker = await start()
    for (let i = 0; i < 100; i++) expect(await recorded.send(broker, 60_000)).toBeTypeOf('number')
    await broker.stop()
    const data = join(directory, 'data')
    const record = recordPlaces(data)[3]
    if (record === undefined) throw new Error('no records')
    flipBit(record.file, record.at + 5_000)
    // Without an index everything is read again.
    rmSync(join(data, 'millrace'), { recursive: true })
    const refusal = await refusalOf(start())
    expect(refusal?.message).toContain(basename(record.file))
    expect(refusal?.message).toMatch(/damaged/)
    expect(refusal?.message).toMatch(/backup|restore|repair/)
    expect(refusal?.message).not.toMatch(/\n\s+at /)
  })

  it('in use is refused with the pid of who has it, and is free after kill -9', async () => {
    const broker = await start()
    const refusal = await refusalOf(BrokerTarget.start({ directory: join(directory, 'data'), flush: 'sync' }))
    expect(refusal?.message).toContain(`process ${broker.child.process.pid}`)
    await broker.kill()
    await start()
  })
})
