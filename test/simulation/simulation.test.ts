import { describe, expect, it } from 'vitest'
import type { Cluster } from './cluster.js'
import { runSeed } from './run-seed.js'

/** Seeds with sync flush are even; power cuts happen there only. */
const SYNC_SEEDS = [2, 4, 6, 8, 10, 12, 14, 16]

describe('a simulated cluster under faults', () => {
  it.each([1, 2, 3])(
    'keeps its promises, seed %i',
    async seed => {
      const { violations, timeline } = await runSeed(seed)
      expect(violations, timeline.join('\n')).toEqual([])
    },
    60_000,
  )

  it('is decided by the seed alone', async () => {
    const [one, other] = [await runSeed(7), await runSeed(7)]
    expect(one.violations, one.timeline.join('\n')).toEqual([])
    expect(other).toEqual(one)
  }, 60_000)

  it('notices a disk that forgets what it has synced', async () => {
    const sabotage = (cluster: Cluster): void => {
      for (const { machine } of cluster.brokers) machine.disk.isLyingAboutSyncs = true
    }
    for (const seed of SYNC_SEEDS) {
      const { violations } = await runSeed(seed, { sabotage })
      if (violations.length > 0) return expect(violations.join('\n')).toMatch(/acknowledged|never/)
    }
    expect.fail('no seed noticed it')
  }, 120_000)
})
