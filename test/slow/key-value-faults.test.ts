import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type FaultPlan,
  type Faults,
  faultsUnavailable,
  planFaults,
  SYNC_CALLS,
  WRITE_CALLS,
} from '../faults/fault-shim.js'
import { LineChild } from '../faults/line-child.js'

const CHILD = fileURLToPath(new URL('../faults/key-value-child.mjs', import.meta.url))
const DEADLINE_MS = 2_000

interface Answer {
  readonly ok: boolean
  readonly code?: string
  readonly value?: unknown
  readonly ms: number
}

let directory: string
let child: LineChild
let faults: Faults
let steps = 0

async function start(durability: string, plan: Omit<FaultPlan, 'path'>): Promise<void> {
  faults = planFaults(directory, { ...plan, path: 'kv/data.mdb' })
  child = new LineChild(CHILD, [join(directory, 'kv'), durability, String(DEADLINE_MS)], faults.environment)
  await child.line(line => line['ready'] === true)
  expect(await run('put', 'before', 1)).toMatchObject({ ok: true })
  expect(await run('flush')).toMatchObject({ ok: true })
}

async function run(step: string, key?: string, value?: unknown): Promise<Answer> {
  const id = ++steps
  child.send({ id, do: step, key, value })
  return child.line<Answer>(line => line['id'] === id || line['unhandled'] !== undefined)
}

async function expectFailure(step: string): Promise<void> {
  const answer = await run(step, 'during', 1)
  // The last write of a flood comes after the one that failed.
  const code = step === 'flood' ? expect.stringMatching('DISK_FAILED|STORE_READ_ONLY') : 'DISK_FAILED'
  expect(answer, child.log).toMatchObject({ ok: false, code })
  expect(answer.ms).toBeLessThan(DEADLINE_MS + 1_500)
}

/** After the failure: nothing is written, everything is read, and the process ends when it is told to. */
async function expectReadOnly({ isReadable = true, canEnd = true } = {}): Promise<void> {
  for (const step of ['put', 'batch', 'transaction', 'commitSync', 'flush']) {
    const answer = await run(step, 'after', 2)
    expect(answer, step).toMatchObject({ ok: false, code: 'STORE_READ_ONLY' })
    expect(answer.ms, step).toBeLessThan(500)
  }
  if (isReadable) {
    expect(await run('get', 'before')).toMatchObject({ ok: true, value: 1 })
    expect(await run('get', 'after')).toMatchObject({ ok: true, value: null })
  } else expect(await run('get', 'before')).toMatchObject({ ok: false, code: 'DISK_FAILED' })
  expect(await run('failures')).toMatchObject({ value: ['DISK_FAILED'] })
  expect(await run('close')).toMatchObject({ ok: true })
  faults.disarm()
  child.process.stdin?.end()
  if (!canEnd) return
  expect(await child.ended()).toEqual({ code: 0, signal: null })
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
})

afterEach(async () => {
  await child?.kill()
  rmSync(directory, { recursive: true, force: true })
})

const unavailable = faultsUnavailable()
if (unavailable) console.log(`skipped: ${unavailable}`)

describe.skipIf(unavailable)('a key-value store on a failing disk', () => {
  describe.each(['flushed', 'committed'])('(%s)', durability => {
    it.each(['put', 'flood', 'batch', 'transaction', 'commitSync'])(
      'rejects %s with DISK_FAILED within the deadline when a page cannot be written, and is read-only then',
      async step => {
        await start(durability, { calls: WRITE_CALLS, error: 'EIO' })
        faults.arm()
        await expectFailure(step)
        await expectReadOnly()
      },
    )

    it.each(['put', 'flood', 'transaction', 'commitSync'])(
      'takes no writes and stays alive when the page that makes %s count cannot be written',
      async step => {
        await start(durability, { calls: WRITE_CALLS, error: 'EIO', first: 2 })
        faults.arm()
        await expectFailure(step)
        // A commit that was queued behind leaves a thread of LMDB waiting for ever, which only SIGKILL ends.
        await expectReadOnly({ isReadable: false, canEnd: step !== 'flood' })
      },
    )

    it('reports a full disk as such and writes again when there is room', async () => {
      await start(durability, { calls: WRITE_CALLS, error: 'ENOSPC' })
      faults.arm()
      for (const step of ['put', 'batch', 'transaction', 'commitSync'])
        expect(await run(step, 'during', 1), step).toMatchObject({ ok: false, code: 'DISK_FULL' })
      expect(await run('get', 'during')).toMatchObject({ value: null })
      faults.disarm()
      for (const step of ['put', 'batch', 'transaction', 'commitSync'])
        expect(await run(step, `after ${step}`, 3), step).toMatchObject({ ok: true })
      expect(await run('get', 'after put')).toMatchObject({ value: 3 })
      expect(await run('failures')).toMatchObject({ value: [] })
    })
  })

  it.each(['put', 'flood', 'batch', 'transaction', 'commitSync'])(
    'rejects %s with DISK_FAILED within the deadline when the flush fails, and is read-only then (flushed)',
    async step => {
      await start('flushed', { calls: SYNC_CALLS, error: 'EIO' })
      faults.arm()
      await expectFailure(step)
      await expectReadOnly()
    },
  )

  it.each(['put', 'commitSync'])('fails flush when what %s committed cannot reach the disk (committed)', async step => {
    await start('committed', { calls: SYNC_CALLS, error: 'EIO' })
    faults.arm()
    await run(step, 'during', 1)
    const answer = await run('flush')
    expect(answer, child.log).toMatchObject({ ok: false })
    expect(['DISK_FAILED', 'STORE_READ_ONLY']).toContain(answer.code)
    await expectReadOnly()
  })
})
