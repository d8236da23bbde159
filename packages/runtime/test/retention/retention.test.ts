import { describe, expect, it } from 'vitest'
import { retentionLimits } from '../../src/broker/retention/retention.js'
import { brokerConfig } from '../../src/config/index.js'

const NOW = 1_700_000_000_000
const HOUR_MS = 3_600_000
const free = (percent: number) => ({ freeBytes: percent, totalBytes: 100 })

describe('retentionLimits', () => {
  const config = brokerConfig({
    fileReservedTime: 48,
    deleteWhen: '04;16',
    diskMaxUsedSpaceRatio: 75,
    diskSpaceCleanForciblyRatio: 85,
  })

  it.each([
    ['nothing outside the hours with space left', 5, free(50), {}],
    ['files past their time in the hour', 4, free(50), { beforeMs: NOW - 48 * HOUR_MS }],
    ['files past their time in the second hour', 16, free(50), { beforeMs: NOW - 48 * HOUR_MS }],
    ['files past their time at any hour on a filling disk', 5, free(25), { beforeMs: NOW - 48 * HOUR_MS }],
    ['the oldest files whatever their age on a full disk', 5, free(15), { beforeMs: NOW }],
  ])('lets go of %s', (_what, hour, space, limits) => {
    expect(retentionLimits(config, NOW, hour, space)).toEqual(limits)
  })

  it('keeps the log below logBytesMax at any hour', () => {
    expect(retentionLimits(brokerConfig({ logBytesMax: 1000 }), NOW, 5, free(50))).toEqual({ bytesMax: 1000 })
  })
})
