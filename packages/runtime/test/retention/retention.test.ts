import { createActorSystem } from '@millrace/core'
import { simulate } from '@millrace/core/testkit'
import { describe, expect, it } from 'vitest'
import { type RetainedStore, refusalReason, retention, retentionLimits } from '../../src/broker/retention/retention.js'
import { brokerConfig } from '../../src/config/index.js'

const NOW = 1_700_000_000_000
const HOUR_MS = 3_600_000
const GIB = 2 ** 30
/** A disk of 100 GiB. */
const free = (percent: number) => ({ freeBytes: percent * GIB, totalBytes: 100 * GIB })

describe('retentionLimits', () => {
  const config = brokerConfig({
    fileReservedTime: 48,
    deleteWhen: '04;16',
    diskMaxUsedSpaceRatio: 75,
    diskSpaceCleanForciblyRatio: 85,
    diskFreeBytesEnough: 20 * GIB,
  })
  const expired = { beforeMs: NOW - 48 * HOUR_MS }

  it.each([
    ['nothing outside the hours with space left', 5, free(50), {}],
    ['files past their time in the hour', 4, free(50), expired],
    ['files past their time in the second hour', 16, free(50), expired],
    ['files past their time at any hour on a filling disk', 5, free(25), expired],
    ['files past their time when an operator asks', undefined, free(50), expired],
    [
      'as many of the oldest as it takes, whatever their age, on a full disk',
      5,
      free(10),
      { ...expired, freeBytes: 5 * GIB },
    ],
    ['nothing when the size of the disk is not known', 5, { freeBytes: 0, totalBytes: 0 }, {}],
  ])('lets go of %s', (_what, hour, space, limits) => {
    expect(retentionLimits(config, NOW, hour, space)).toEqual(limits)
  })

  it('keeps young files while there are enough bytes free, whatever the share', () => {
    const roomy = { freeBytes: 21 * GIB, totalBytes: 1000 * GIB }
    expect(retentionLimits(config, NOW, 5, roomy)).toEqual(expired)
    expect(refusalReason(config, roomy)).toBeUndefined()
  })

  it('keeps the log below logBytesMax at any hour', () => {
    expect(retentionLimits(brokerConfig({ logBytesMax: 1000 }), NOW, 5, free(50))).toEqual({ bytesMax: 1000 })
  })
})

describe('retention', () => {
  it('cleans before it refuses sends, refuses them when that is not enough, and takes them again', async () => {
    const simulation = simulate({ seed: 1 })
    const system = createActorSystem('test', simulation)
    let space = free(50)
    let fileBytes = 0
    const log: unknown[] = []
    const store: RetainedStore = {
      retain: limits => {
        log.push(limits)
        const freed = fileBytes
        space = { ...space, freeBytes: space.freeBytes + freed }
        return freed
      },
      removableTo: () => 0,
      trimIndex: () => undefined,
      refuseWrites: reason => log.push(reason === undefined ? 'taken' : 'refused'),
    }
    const config = brokerConfig({ deleteWhen: '04', diskFreeBytesEnough: 20 * GIB, cleanResourceInterval: 1000 })
    system.spawn('retention', retention({ config, store, space: () => space, pins: [] }))
    const next = async (): Promise<unknown[]> => {
      log.length = 0
      await simulation.run(simulation.clock.now() + 1000)
      return log.filter(entry => typeof entry === 'string')
    }
    expect(await next()).toEqual(['taken'])
    space = free(8)
    fileBytes = 4 * GIB
    expect(await next()).toEqual(['taken'])
    space = free(8)
    fileBytes = 0
    expect(await next()).toEqual(['refused'])
    space = free(30)
    expect(await next()).toEqual(['taken'])
    await simulation.runUntilSettled(system.stop())
  })
})
