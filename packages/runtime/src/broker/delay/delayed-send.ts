import { formatRecallHandle, type PropertyScan, parseInteger, SystemTopic, TIMER_KIND } from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import type { DelaySchedule } from './delay-schedule.js'

const NO_BYTES = Buffer.alloc(0)

/**
 * `DelaySchedule.schedule` for the hot path: from a scanned property string straight to the queue and the properties
 * to add. What is not plain is declined: levels above the last, times that have passed or are too far ahead, both kinds at once.
 */
export class DelayedSend {
  /** Where the message goes. */
  queue: QueueTail | undefined
  /** Property pairs to add, the broker's own included. */
  added: Buffer = NO_BYTES
  /** For the answer; empty for delay levels. */
  recallHandle: Buffer = NO_BYTES
  private readonly levelQueues: (QueueTail | undefined)[] = []
  private timerQueue: QueueTail | undefined

  constructor(
    private readonly store: LogStore,
    private readonly schedule: DelaySchedule,
    private readonly brokerName: string,
    /** Pairs that every message gets, as text. */
    private readonly addedText: string,
  ) {}

  /** Reads the values that `scan` found in `bytes`. False: leave the message to the general path. */
  prepare(bytes: Buffer, scan: PropertyScan, topic: string, queueId: number, now: number): boolean {
    const hasTimer = scan.timerKind !== TIMER_KIND.none
    if (scan.delayEnd > 0) return !hasTimer && this.prepareLevel(bytes, scan, topic, queueId)
    return hasTimer && this.prepareTimer(bytes, scan, topic, queueId, now)
  }

  private prepareLevel(bytes: Buffer, scan: PropertyScan, topic: string, queueId: number): boolean {
    const { schedule, store } = this
    const level = parseInteger(bytes, scan.delayStart, scan.delayEnd)
    if (!(level >= 1 && level <= schedule.levels.length)) return false
    schedule.noteLevel(level)
    this.queue = this.levelQueues[level] ??= store.queue(store.topic(SystemTopic.SCHEDULE), level - 1)
    this.added = this.addedPairs(topic, queueId, '')
    this.recallHandle = NO_BYTES
    return true
  }

  private prepareTimer(bytes: Buffer, scan: PropertyScan, topic: string, queueId: number, now: number): boolean {
    const { schedule, store } = this
    const { timerMaxDelaySec, timerWheelEnable } = schedule.limits
    const value = parseInteger(bytes, scan.timerStart, scan.timerEnd)
    const due =
      scan.timerKind === TIMER_KIND.deliverMs
        ? value
        : now + (scan.timerKind === TIMER_KIND.delaySeconds ? value * 1000 : value)
    if (!timerWheelEnable || !(due > now && due - now <= timerMaxDelaySec * 1000)) return false
    if (scan.uniqueKeyEnd === scan.uniqueKeyStart) return false
    const uniqueKey = bytes.toString('utf8', scan.uniqueKeyStart, scan.uniqueKeyEnd)
    const handle = { topic, brokerName: this.brokerName, deliverTime: due, uniqueKey }
    schedule.noteTimer(due)
    this.queue = this.timerQueue ??= store.queue(store.topic(SystemTopic.TIMER), 0)
    this.added = this.addedPairs(topic, queueId, `TIMER_OUT_MS\u0001${due - 1}\u0002`)
    this.recallHandle = Buffer.from(formatRecallHandle(handle), 'latin1')
    return true
  }

  private addedPairs(topic: string, queueId: number, timer: string): Buffer {
    const text = `${this.addedText}${timer}REAL_TOPIC\u0001${topic}\u0002REAL_QID\u0001${queueId}\u0002`
    return Buffer.from(text)
  }
}
