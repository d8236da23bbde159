import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerTarget } from '../faults/broker-target.js'
import { checkHistory } from '../faults/checkers.js'
import { runCrashLoop } from '../faults/crash-loop.js'
import { announcedRandom } from '../faults/random.js'

/** `KILLS=1000` is the long form. */
const ROUNDS = Number(process.env['KILLS'] ?? 12)

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-crash-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

describe.each(['sync', 'async'] as const)('a broker killed under load (%s flush)', flush => {
  it(`keeps every acknowledged message at its offset over ${ROUNDS} kills, and starts as fast as before`, async () => {
    const random = announcedRandom('test/slow/broker-crash.test.ts')
    const start = () => BrokerTarget.start({ directory, flush })
    const { history, firstAckMs, ackedCount } = await runCrashLoop({ random, rounds: ROUNDS, start })
    console.log(`${flush}: ${ackedCount} acknowledged, first ack after ms ${firstAckMs.map(Math.round).join(' ')}`)
    expect(checkHistory(history)).toEqual([])
    expect(ackedCount).toBeGreaterThan(100)
    // Wall clock of a busy machine: only growth with the size of the store would be beyond this.
    const third = Math.floor(ROUNDS / 3)
    expect(median(firstAckMs.slice(-third))).toBeLessThan(3 * median(firstAckMs.slice(0, third)) + 1_000)
  })
})

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
