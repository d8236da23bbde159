import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkHistory } from '../faults/checkers.js'
import { Recorded } from '../faults/recorded.js'
import { SmallDisk, smallDiskUnavailable } from '../faults/small-disk.js'
import { BROKER, STORE } from '../faults/subjects.js'
import { Refused, type Target } from '../faults/target.js'

const MIB = 1024 * 1024
const BODY_BYTES = 40_000
const RESUME_MS = 20_000

let directory: string
let disk: SmallDisk | undefined
let target: Target | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-full-'))
})

afterEach(async () => {
  await target?.kill()
  disk?.unmount()
  rmSync(directory, { recursive: true, force: true })
})

const unavailable = smallDiskUnavailable()
if (unavailable) console.log(`skipped: ${unavailable}`)

describe.skipIf(unavailable).each([STORE, BROKER])('a $name on a full disk', subject => {
  it.each(['sync', 'async'] as const)(
    'refuses messages, goes on reading, and takes messages again when there is room (%s flush)',
    async flush => {
      disk = new SmallDisk(directory, { totalBytes: 24 * MIB, ballastBytes: 12 * MIB })
      const data = join(disk.path, 'data')
      target = await subject.start({ directory: data, flush })
      const recorded = new Recorded()

      let outcome = await recorded.send(target, BODY_BYTES)
      while (!(outcome instanceof Refused)) {
        expect(recorded.ackedCount).toBeLessThan(1_000)
        outcome = await recorded.send(target, BODY_BYTES)
      }
      expect(outcome).toMatchObject({ code: subject.fullCode })
      expect(outcome.message).toMatch(/space|full/i)
      const ackedWhenFull = recorded.ackedCount
      expect(ackedWhenFull).toBeGreaterThan(20)
      await recorded.readAll(target)
      expect(checkHistory(recorded.history)).toEqual([])

      disk.throwBallast()
      const running = target
      await expect
        .poll(() => recorded.send(running, BODY_BYTES), { timeout: RESUME_MS, interval: 200 })
        .toBeTypeOf('number')
      for (let i = 0; i < 20; i++) expect(await recorded.send(running, BODY_BYTES), running.log).toBeTypeOf('number')
      await recorded.readAll(running)
      expect(checkHistory(recorded.history)).toEqual([])

      await running.kill()
      target = await subject.start({ directory: data, flush })
      await recorded.readAll(target)
      expect(checkHistory(recorded.history)).toEqual([])
      expect(await recorded.send(target, BODY_BYTES)).toBeTypeOf('number')
    },
  )
})
