import { assertNever, type Behavior, RequestCode, receive, setup } from '@millrace/core'
import type { RetainLimits } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest } from '../../listener/peer.js'
import { type Answer, DONE, handlerOf } from '../../requests/answer.js'
import type { LogPin } from './log-pin.js'

/** What retention does to the store. */
export interface RetainedStore {
  /** Gives up whole log files from the start; returns their bytes. They may be deleted later: this takes no time. */
  retain(limits: RetainLimits): number
  /** How far `retain` would delete. */
  removableTo(limits: RetainLimits): number
  /** Removes what the index still has of messages that are gone. */
  trimIndex(): void
  /** Refuses sends for a reason; undefined: takes them. */
  refuseWrites(reason: string | undefined): void
}

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

/** What the Retention actor takes. */
export type RetentionMessage =
  | { readonly kind: 'check-due' }
  | { readonly kind: 'request'; readonly request: RemotingRequest }

/** Requests that the Retention actor serves. */
export const RETENTION_REQUESTS: readonly number[] = [
  RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE,
  RequestCode.DELETE_EXPIRED_COMMITLOG,
]

const HOUR_MS = 3_600_000

/**
 * What may be deleted at this moment: files past `fileReservedTime` in the hours `deleteWhen`, or at any hour when the
 * disk is fuller than `diskMaxUsedSpaceRatio`; the oldest files whatever their age, as many as it takes, above
 * `diskSpaceCleanForciblyRatio` when space is short; and what makes the log larger than `logBytesMax`.
 * @see RocketMQ `CleanCommitLogService`
 *
 * @param hour local hour of the day; undefined: an operator asked, any hour is right
 */
export function retentionLimits(
  config: BrokerConfig,
  now: number,
  hour: number | undefined,
  space: DiskSpace,
): RetainLimits {
  const isHour = hour === undefined || config.deleteWhen.split(';').some(text => Number(text) === hour)
  const overForced = bytesOver(space, config.diskSpaceCleanForciblyRatio)
  return {
    ...((isHour || bytesOver(space, config.diskMaxUsedSpaceRatio) >= 0) && {
      beforeMs: now - config.fileReservedTime * HOUR_MS,
    }),
    ...(overForced >= 0 && isShort(config, space) && { freeBytes: Math.max(1, overForced) }),
    ...(config.logBytesMax > 0 && { bytesMax: config.logBytesMax }),
  }
}

/** Why sends are refused at this filling of the disk; undefined: they are taken. */
export function refusalReason(config: BrokerConfig, space: DiskSpace): string | undefined {
  const { diskSpaceWarningLevelRatio: ratio } = config
  if (bytesOver(space, ratio) < 0 || !isShort(config, space)) return undefined
  return `the disk is ${ratio} % full or more, ${space.freeBytes} bytes are free; free some, or raise diskSpaceWarningLevelRatio or lower diskFreeBytesEnough`
}

/** Bytes in use above a share of the disk; negative below it. */
function bytesOver({ freeBytes, totalBytes }: DiskSpace, percent: number): number {
  return totalBytes <= 0 ? -1 : totalBytes - freeBytes - (totalBytes / 100) * percent
}

/** On a large disk a tenth of it may be more than this broker ever needs. */
function isShort(config: BrokerConfig, { freeBytes }: DiskSpace): boolean {
  return freeBytes < config.diskFreeBytesEnough
}

function retainUnpinned(store: RetainedStore, pins: readonly LogPin[], limits: RetainLimits): number {
  const wanted = store.removableTo(limits)
  const keepFrom = Math.min(Number.MAX_SAFE_INTEGER, ...pins.map(pin => pin.keepFrom(wanted)))
  return store.retain({ ...limits, keepFrom })
}

/** Looks every `cleanResourceInterval`, and when an operator asks, for log files that may go. */
export function retention(options: {
  readonly config: BrokerConfig
  readonly store: RetainedStore
  readonly space: () => DiskSpace
  /** Pending messages: files that hold them go when they have moved. */
  readonly pins: readonly LogPin[]
}): Behavior<RetentionMessage> {
  const { config, store } = options
  return setup(context => {
    const clean = (isAsked: boolean): void => {
      const now = context.clock.now()
      const { freeBytes, totalBytes } = options.space()
      const hour = isAsked ? undefined : new Date(now).getHours()
      const limits = retentionLimits(config, now, hour, { freeBytes, totalBytes })
      const freed = Object.keys(limits).length === 0 ? 0 : retainUnpinned(store, options.pins, limits)
      store.refuseWrites(refusalReason(config, { freeBytes: freeBytes + freed, totalBytes }))
    }
    const answers: [number, Answer][] = [
      [
        RequestCode.DELETE_EXPIRED_COMMITLOG,
        () => {
          clean(true)
          return DONE
        },
      ],
      [
        RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE,
        () => {
          store.trimIndex()
          return DONE
        },
      ],
    ]
    const handlers = new Map(answers.map(([code, answer]) => [code, handlerOf(answer)]))
    context.every(config.cleanResourceInterval, { kind: 'check-due' })
    return receive(message => {
      switch (message.kind) {
        case 'check-due':
          clean(false)
          break
        case 'request':
          handlers.get(message.request.command.code)?.(message.request)
          break
        default:
          assertNever(message)
      }
    })
  })
}
