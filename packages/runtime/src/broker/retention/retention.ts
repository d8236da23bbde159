import { type Behavior, receive, setup } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'

/** What retention does to the store. */
export interface RetainedStore {
  /** Deletes whole log files from the start; returns the bytes freed. */
  retain(limits: { beforeMs?: number; bytesMax?: number }): number
}

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

const HOUR_MS = 3_600_000

/**
 * What may be deleted at this moment: files past `fileReservedTime` in the hours `deleteWhen`, or at any hour when the
 * disk is fuller than `diskMaxUsedSpaceRatio`; the oldest files whatever their age above `diskSpaceCleanForciblyRatio`;
 * and what makes the log larger than `logBytesMax`. RocketMQ `CleanCommitLogService`
 *
 * @param hour local hour of the day
 */
export function retentionLimits(
  config: BrokerConfig,
  now: number,
  hour: number,
  space: DiskSpace,
): { beforeMs?: number; bytesMax?: number } {
  const usedPercent = 100 * (1 - space.freeBytes / Math.max(1, space.totalBytes))
  const isHour = config.deleteWhen.split(';').some(text => Number(text) === hour)
  const isForced = usedPercent >= config.diskSpaceCleanForciblyRatio
  const isByAge = isHour || isForced || usedPercent >= config.diskMaxUsedSpaceRatio
  return {
    ...(isByAge && { beforeMs: isForced ? now : now - config.fileReservedTime * HOUR_MS }),
    ...(config.logBytesMax > 0 && { bytesMax: config.logBytesMax }),
  }
}

/** Looks every `cleanResourceInterval` for log files that may go. */
export function retention(options: {
  readonly config: BrokerConfig
  readonly store: RetainedStore
  readonly space: () => DiskSpace
  readonly onFreed: (bytes: number) => void
}): Behavior<'check'> {
  const { config, store } = options
  return setup(context => {
    context.every(config.cleanResourceInterval, 'check')
    return receive(() => {
      const now = context.clock.now()
      const limits = retentionLimits(config, now, new Date(now).getHours(), options.space())
      if (limits.beforeMs === undefined && limits.bytesMax === undefined) return
      const freed = store.retain(limits)
      if (freed > 0) options.onFreed(freed)
    })
  })
}
