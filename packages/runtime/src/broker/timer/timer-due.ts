import { PropertyName } from '@millrace/core'
import type { MessageStore, RecordCopy } from '@millrace/storage'
import { nextOccurrence } from './repetition.js'
import { deliveredCopy, occurrenceCopy, occurrenceKey, repetitionOf, rolledCopy } from './timer-copies.js'
import { type PendingTimer, type TimerIndex, timerKey } from './timer-index.js'
import { DelayedRecord } from './timer-record.js'

/** What becomes of one entry of the index, once its copy (if it has one) is stored. */
export interface DueTimer {
  readonly entry: PendingTimer
  readonly copy: RecordCopy | undefined
  /** Undefined when the record could not be read. */
  readonly topic: string | undefined
  /** Of a repeated message: its name and the time of the next occurrence. */
  readonly repeat: { readonly uniqueKey: string; readonly nextDue: number | undefined } | undefined
}

export interface DueOptions {
  readonly index: TimerIndex
  readonly store: Pick<MessageStore, 'findByKey' | 'record'>
  /** Recalls under way: `due topic uniqueKey`. Their messages wait. */
  readonly held: ReadonlySet<string>
}

/** Entries delivered by one batch at most: what a crash in the middle leaves in doubt. */
export const DUE_ENTRIES_MAX = 4096
const BATCH_BYTES_MAX = 8 * 2 ** 20
const FIRST = Buffer.alloc(0)

/** Reads what is due, or what has to move, and makes copies of it. */
export class TimerDue {
  private readonly record = new DelayedRecord()
  private readonly other = new DelayedRecord()

  constructor(private readonly options: DueOptions) {}

  /**
   * What is due now, in order of due time.
   * @param isInDoubt  says whether an entry may have been delivered before a crash.
   */
  due(now: number, isInDoubt: (entry: PendingTimer) => boolean): DueTimer[] {
    const found: DueTimer[] = []
    let bytes = 0
    for (const entry of this.options.index.range(FIRST, now + 1, DUE_ENTRIES_MAX)) {
      if (bytes > 0 && bytes + entry.sizeBytes > BATCH_BYTES_MAX) break
      const due = this.read(entry, now, isInDoubt)
      if (due === undefined) continue
      found.push(due)
      bytes += entry.sizeBytes
    }
    return found
  }

  private read(entry: PendingTimer, now: number, isInDoubt: (entry: PendingTimer) => boolean): DueTimer | undefined {
    const { held, index, store } = this.options
    const { record } = this
    const bytes = store.record(entry.position)
    if (!bytes || !record.read(bytes)) return { entry, copy: undefined, topic: undefined, repeat: undefined }
    const { topic } = record
    if (entry.isRepeated) return this.readRepeated(entry, bytes, now)
    if (held.size > 0 || index.hasRecalls) {
      const uniqueKey = record.text(PropertyName.UNIQ_KEY)
      if (held.has(heldKey(entry.due, topic, uniqueKey))) return undefined
      if (index.isRecalled(entry.due, topic, uniqueKey)) return { entry, copy: undefined, topic, repeat: undefined }
    }
    const isGone = isInDoubt(entry) && this.isDelivered(record.text(PropertyName.UNIQ_KEY), entry.due)
    return { entry, copy: isGone ? undefined : deliveredCopy(bytes, record, now), topic, repeat: undefined }
  }

  private readRepeated(entry: PendingTimer, bytes: Buffer, now: number): DueTimer | undefined {
    const { record } = this
    const { topic } = record
    const uniqueKey = record.text(PropertyName.UNIQ_KEY)
    if (this.options.held.has(heldKey(0, topic, uniqueKey))) return undefined
    const repetition = repetitionOf(record)
    const nextDue = repetition && nextOccurrence(repetition, entry.due, now)
    // Always looked up: repeated messages are few.
    const isGone = this.isDelivered(occurrenceKey(uniqueKey, entry.due), entry.due)
    const copy = isGone ? undefined : occurrenceCopy(bytes, record, entry.due, now)
    return { entry, copy, topic, repeat: { uniqueKey, nextDue } }
  }

  /** Does the log have the delivery of the message just read? Same key alone is not enough: some producers reuse them. */
  private isDelivered(uniqueKey: string, due: number): boolean {
    const { other, record } = this
    const { bodyCrc, bodyLength, position } = record.view
    const isSame = (found: Buffer): boolean =>
      other.read(found) &&
      other.due === due &&
      other.view.position > position &&
      other.view.queueId === record.queueId &&
      other.view.bodyCrc === bodyCrc &&
      other.view.bodyLength === bodyLength
    const range = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 64, uniqueOnly: true }
    return this.options.store.findByKey(record.topic, uniqueKey, range).some(isSame)
  }

  /** Entries from key `from` on whose records lie before `position`: rolled copies of them. */
  toRoll(from: Buffer, position: number, limit: number, now: number): { rolled: DueTimer[]; next: Buffer | undefined } {
    const { index, store } = this.options
    const { record } = this
    const entries = index.range(from, Number.MAX_SAFE_INTEGER, limit)
    const rolled: DueTimer[] = []
    let bytes = 0
    for (const entry of entries) {
      if (entry.position >= position) continue
      if (bytes > 0 && bytes + entry.sizeBytes > BATCH_BYTES_MAX) return { rolled, next: entry.key }
      const found = store.record(entry.position)
      if (!found || !record.read(found)) continue
      rolled.push({ entry, copy: rolledCopy(found, record, now), topic: record.topic, repeat: undefined })
      bytes += entry.sizeBytes
    }
    const last = entries.at(-1)
    return { rolled, next: entries.length < limit || !last ? undefined : timerKey(last.due, last.position + 1) }
  }
}

/** Name of a recall under way; `due` is 0 for repeated messages. */
export function heldKey(due: number, topic: string, uniqueKey: string): string {
  return `${due} ${topic} ${uniqueKey}`
}
