import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkHistory } from '../faults/checkers.js'
import { runCrashLoop } from '../faults/crash-loop.js'
import { LogStoreTarget } from '../faults/log-store-target.js'
import { announcedRandom } from '../faults/random.js'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-crash-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

describe.each(['sync', 'async'] as const)('a message store killed under load (%s flush)', flush => {
  it('keeps every acknowledged message at its offset, over 6 kills', async () => {
    const random = announcedRandom('test/slow/log-store-crash.test.ts')
    const start = () => LogStoreTarget.start({ directory, flush })
    const { history, firstAckMs, ackedCount } = await runCrashLoop({ random, rounds: 6, start })
    console.log(`${flush}: ${ackedCount} acknowledged, first ack after ms ${firstAckMs.map(Math.round).join(' ')}`)
    expect(checkHistory(history)).toEqual([])
    expect(ackedCount).toBeGreaterThan(100)
  })
})
