import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkHistory } from '../faults/checkers.js'
import { faultsUnavailable, planFaults, SYNC_CALLS, WRITE_CALLS } from '../faults/fault-shim.js'
import { LogStoreTarget } from '../faults/log-store-target.js'
import { Recorded } from '../faults/recorded.js'
import { Lost } from '../faults/target.js'

const MESSAGES = 60
const BODY_BYTES = 50_000
const CALLS_TRIED = [1, 2, 3, 5, 8, 21, 55]

let directory: string
let target: LogStoreTarget | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-nth-'))
})

afterEach(async () => {
  await target?.kill()
  rmSync(directory, { recursive: true, force: true })
})

const unavailable = faultsUnavailable()
if (unavailable) console.log(`skipped: ${unavailable}`)

describe.skipIf(unavailable).each(['EIO', 'ENOSPC'] as const)(
  'a message store of which one file call fails (%s)',
  error => {
    it.each(CALLS_TRIED)('keeps what it acknowledged when call %i of any of its files fails', async nth => {
      const data = join(directory, 'data')
      const faults = planFaults(directory, {
        calls: [...WRITE_CALLS, ...SYNC_CALLS],
        error,
        path: data,
        first: nth,
        last: nth,
      })
      const open = (environment = {}) =>
        LogStoreTarget.start({ directory: data, flush: 'sync', fileBytes: 2 * 1024 * 1024, environment })
      const recorded = new Recorded()
      target = await open(faults.environment)
      faults.arm()
      for (let i = 0; i < MESSAGES; i++) {
        try {
          await recorded.send(target, BODY_BYTES)
        } catch (lost) {
          expect(lost).toBeInstanceOf(Lost)
          break
        }
      }
      await target.kill()
      target = await open()
      await recorded.readAll(target)
      expect(await recorded.send(target, BODY_BYTES)).toBeTypeOf('number')
      await recorded.readAll(target)
      expect(checkHistory(recorded.history)).toEqual([])
      await target.stop()
    })
  },
)
