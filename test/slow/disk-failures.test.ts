import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkHistory } from '../faults/checkers.js'
import { type FaultPlan, faultsUnavailable, planFaults, SYNC_CALLS, WRITE_CALLS } from '../faults/fault-shim.js'
import { Recorded } from '../faults/recorded.js'
import { BROKER, STORE } from '../faults/subjects.js'
import { Refused, type Target } from '../faults/target.js'

const NOTICE_MS = 15_000

let directory: string
let target: Target | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
})

afterEach(async () => {
  await target?.kill()
  rmSync(directory, { recursive: true, force: true })
})

const unavailable = faultsUnavailable()
if (unavailable) console.log(`skipped: ${unavailable}`)

describe.skipIf(unavailable).each([STORE, BROKER])('a $name on a failing disk', subject => {
  const data = () => join(directory, 'data')

  function plan(faults: Omit<FaultPlan, 'path'>, path: string) {
    return planFaults(directory, { ...faults, path })
  }

  /** Sends until one is refused; each answer in between is an acknowledgement, for which the checkers will ask. */
  async function sendUntilRefused(recorded: Recorded, to: Target): Promise<Refused> {
    const deadline = performance.now() + NOTICE_MS
    while (performance.now() < deadline) {
      const outcome = await recorded.send(to)
      if (outcome instanceof Refused) return outcome
    }
    throw new Error(`nothing was refused in ${NOTICE_MS} ms; its log:\n${to.log}`)
  }

  async function sendSome(recorded: Recorded, to: Target, count: number): Promise<void> {
    for (let i = 0; i < count; i++) expect(await recorded.send(to), to.log).toBeTypeOf('number')
  }

  /** Nothing but a restart helps; then all that was acknowledged is there, and messages are taken again. */
  async function expectReadOnlyUntilRestart(recorded: Recorded, failed: Target): Promise<void> {
    for (let i = 0; i < 5; i++) expect(await recorded.send(failed)).toMatchObject({ code: subject.failedCode })
    await recorded.readAll(failed)
    expect(checkHistory(recorded.history)).toEqual([])
    await failed.stop()
    target = await subject.start({ directory: data(), flush: 'sync' })
    await sendSome(recorded, target, 5)
    await recorded.readAll(target)
    expect(checkHistory(recorded.history)).toEqual([])
  }

  it.each(['sync', 'async'] as const)(
    'refuses messages for good once the log could not be synced, also when later syncs succeed (%s flush)',
    async flush => {
      const faults = plan({ calls: SYNC_CALLS, error: 'EIO', last: 1 }, 'commitlog/')
      target = await subject.start({ directory: data(), flush, environment: faults.environment })
      const recorded = new Recorded()
      await sendSome(recorded, target, 20)
      const before = recorded.ackedCount
      faults.arm()
      const refused = await sendUntilRefused(recorded, target)
      expect(refused).toMatchObject({ code: subject.failedCode, message: expect.stringMatching(/read-only|restart/) })
      if (flush === 'sync') expect(recorded.ackedCount).toBe(before)
      await expectReadOnlyUntilRestart(recorded, target)
    },
  )

  it('refuses messages for good once the log could not be written (EIO)', async () => {
    const faults = plan({ calls: WRITE_CALLS, error: 'EIO', last: 1 }, 'commitlog/')
    target = await subject.start({ directory: data(), flush: 'sync', environment: faults.environment })
    const recorded = new Recorded()
    await sendSome(recorded, target, 20)
    faults.arm()
    expect(await sendUntilRefused(recorded, target)).toMatchObject({ code: subject.failedCode })
    await expectReadOnlyUntilRestart(recorded, target)
  })

  it('takes messages again after the log had no room for some', async () => {
    const faults = plan({ calls: WRITE_CALLS, error: 'ENOSPC' }, 'commitlog/')
    target = await subject.start({ directory: data(), flush: 'sync', environment: faults.environment })
    const recorded = new Recorded()
    await sendSome(recorded, target, 20)
    faults.arm()
    expect(await sendUntilRefused(recorded, target)).toMatchObject({ code: subject.fullCode })
    await recorded.readAll(target)
    expect(checkHistory(recorded.history)).toEqual([])
    faults.disarm()
    await expect.poll(() => recorded.send(target as Target), { timeout: NOTICE_MS, interval: 100 }).toBeTypeOf('number')
    await sendSome(recorded, target, 20)
    await recorded.readAll(target)
    await target.stop()
    target = await subject.start({ directory: data(), flush: 'sync' })
    await recorded.readAll(target)
    expect(checkHistory(recorded.history)).toEqual([])
  })

  it.each([
    ['written', { calls: WRITE_CALLS, error: 'EIO' }],
    ['synced', { calls: SYNC_CALLS, error: 'EIO' }],
  ] as const)('refuses messages and goes on reading once the index could not be %s', async (_what, faultsOfIndex) => {
    const faults = plan(faultsOfIndex, 'index/data.mdb')
    target = await subject.start({ directory: data(), flush: 'sync', environment: faults.environment })
    const recorded = new Recorded()
    await sendSome(recorded, target, 20)
    faults.arm()
    expect(await sendUntilRefused(recorded, target)).toMatchObject({ code: subject.failedCode })
    await expectReadOnlyUntilRestart(recorded, target)
  })
})
