import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Environment, memoryNet, RequestCode, ResponseCode } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { type Service, startService } from '@millrace/runtime'
import { loadConfig } from '@millrace/runtime/config'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bodiesOf, RawClient } from '../support/raw-broker.js'

const GIB = 2 ** 30
const FILE_BYTES = 2 * 1024 * 1024
const TOTAL_BYTES = 100 * GIB

/** What the file system says about itself. */
let freeBytes = 50 * GIB
const directory = mkdtempSync(join(tmpdir(), 'millrace-retention-'))
let service: Service
let client: RawClient

beforeAll(async () => {
  const real = nodeEnvironment()
  const disk = { ...real.disk, space: () => ({ freeBytes, totalBytes: TOTAL_BYTES }) }
  const environment: Environment = { ...real, disk, net: memoryNet(real.scheduler) }
  const settings = {
    storePathRootDir: directory,
    'broker.listenPort': 0,
    'nameserver.listenPort': 0,
    flushDiskType: 'ASYNC_FLUSH',
    mapedFileSizeCommitLog: FILE_BYTES,
    ringBytes: FILE_BYTES / 2,
    maxMessageSize: 64 * 1024,
    cleanResourceInterval: 20,
    // Never now, whenever the test runs.
    deleteWhen: String((new Date().getHours() + 12) % 24).padStart(2, '0'),
  }
  const flags = Object.entries(settings).map(([key, value]) => ({ key, value, origin: 'test' }))
  service = await startService(loadConfig({ flags }), environment)
  const [host, port] = service.addresses.broker!.split(':')
  client = new RawClient(await environment.net.connect({ host: host!, port: Number(port) }))
})
afterAll(async () => {
  client.close()
  await service.stop()
  rmSync(directory, { recursive: true, force: true })
})

const fileCount = (): number => readdirSync(join(directory, 'commitlog')).length
const send = (body = 'x') => client.send('t', body.padEnd(60_000), { UNIQ_KEY: 'U' })

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 8000
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not within 8 s: ${isTrue}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

describe('a disk that fills up', () => {
  it('costs the oldest files, then sends are refused, reads go on, and all is well when there is space', async () => {
    await Promise.all(Array.from({ length: 120 }, (_, i) => send(`${i} `)))
    expect(fileCount()).toBeGreaterThan(3)
    // Nothing is past its time, so the first levels change nothing.
    freeBytes = 20 * GIB
    expect(await client.call(RequestCode.DELETE_EXPIRED_COMMITLOG, {})).toMatchObject({ code: 0 })
    expect(fileCount()).toBeGreaterThan(3)

    freeBytes = 5 * GIB
    await until(async () => (await send()).code === ResponseCode.SERVICE_NOT_AVAILABLE)
    const refused = await send()
    expect(refused.remark).toContain('diskSpaceWarningLevelRatio')
    await until(() => fileCount() === 1)
    const first = Number(
      (await client.call(RequestCode.GET_MIN_OFFSET, { topic: 't', queueId: '0' })).extFields['offset'],
    )
    expect(first).toBeGreaterThan(10)
    const read = await client.pull('t', first)
    expect(Number.parseInt(bodiesOf(read)[0]!, 10)).toBe(first)
    expect(await client.pull('t', 0)).toMatchObject({
      code: ResponseCode.PULL_OFFSET_MOVED,
      extFields: { nextBeginOffset: String(first) },
    })

    freeBytes = 50 * GIB
    await until(async () => (await send()).code === 0)
  })
})
