import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyBatch, KeyRun, mergeRuns, RunScratch } from '../../src/index/key-runs.js'

/** Hashes in log order: the entry at index i is at position 10 × i. */
const logs = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 200 })

function positionsOf(log: readonly number[], hash: number, begin = 0): number[] {
  return log.flatMap((found, i) => (found === hash && i * 10 >= begin ? [i * 10] : []))
}

describe('key runs', () => {
  it('find every position of a hash, oldest first, also merged and with their memory used again', () => {
    const scratch = new RunScratch()
    const batch = new KeyBatch()
    fc.assert(
      fc.property(logs, fc.integer({ min: 1, max: 8 }), fc.nat(2000), (log, count, logBegin) => {
        const runs: Buffer[] = []
        const size = Math.ceil(log.length / count)
        for (let from = 0; from < log.length; from += size) {
          batch.reset()
          for (let i = from; i < Math.min(log.length, from + size); i++) batch.add(log[i]!, i * 10, 1_000 + i)
          runs.push(Buffer.from(batch.toRun(scratch)))
        }
        const merged = mergeRuns(
          runs.map(run => new KeyRun(run)),
          logBegin,
          scratch,
        )
        for (let hash = 0; hash <= 20; hash++) {
          expect(runs.flatMap(run => new KeyRun(run).find(hash))).toEqual(positionsOf(log, hash))
          expect(merged ? new KeyRun(merged).find(hash) : []).toEqual(positionsOf(log, hash, logBegin))
        }
        if (merged) expect(new KeyRun(merged)).toMatchObject({ firstTime: 1_000, lastTime: 1_000 + log.length - 1 })
      }),
    )
  })
})
