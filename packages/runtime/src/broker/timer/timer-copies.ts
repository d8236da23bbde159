import { formatProperties, MillraceError, PropertyName, parseProperties, SystemTopic } from '@millrace/core'
import type { RecordCopy } from '@millrace/storage'
import { parseRepetition, type Repetition } from './repetition.js'
import type { DelayedRecord } from './timer-record.js'

const NOTHING = Buffer.alloc(0)
const ID_TIME_DIGITS = 8
const ID_COUNTER_DIGITS = 4

/** The message for its real topic; the properties say when it came to the timer and when it left it. */
export function deliveredCopy(record: Buffer, delayed: DelayedRecord, now: number): RecordCopy {
  const added = Buffer.from(
    `TIMER_ENQUEUE_MS\u0001${delayed.view.storeTimestamp}\u0002TIMER_DEQUEUE_MS\u0001${now}\u0002`,
    'latin1',
  )
  return { record, topic: delayed.topic, queueId: delayed.queueId, added }
}

/** One occurrence of a repeated message, with a unique key of its own. */
export function occurrenceCopy(record: Buffer, delayed: DelayedRecord, due: number, now: number): RecordCopy {
  const properties = parseProperties(delayed.properties)
  properties[PropertyName.UNIQ_KEY] = occurrenceKey(properties[PropertyName.UNIQ_KEY] ?? '', due)
  properties[PropertyName.TIMER_OUT_MS] = String(due - 1)
  delete properties[PropertyName.TIMER_ROLL_TIMES]
  delete properties[PropertyName.MILLRACE_ROLLED_FROM]
  const replaced = Buffer.from(formatProperties(properties))
  return { ...deliveredCopy(record, delayed, now), properties: replaced }
}

/** The message for the timer topic once more, because its log file is about to go. */
export function rolledCopy(record: Buffer, delayed: DelayedRecord, now: number): RecordCopy {
  const properties = parseProperties(delayed.properties)
  properties[PropertyName.TIMER_ROLL_TIMES] = String(Number(properties[PropertyName.TIMER_ROLL_TIMES] ?? 0) + 1)
  properties[PropertyName.TIMER_ENQUEUE_MS] = String(delayed.view.storeTimestamp)
  properties[PropertyName.TIMER_DEQUEUE_MS] = String(now)
  properties[PropertyName.MILLRACE_ROLLED_FROM] = String(delayed.view.position)
  const replaced = Buffer.from(formatProperties(properties))
  return { record, topic: SystemTopic.TIMER, queueId: 0, properties: replaced, added: NOTHING }
}

/**
 * Unique key of the occurrence at `due`. A key in the official form gets the time that such a key states (ms since the month
 * began, local time); any other is followed by the time.
 */
export function occurrenceKey(uniqueKey: string, due: number): string {
  if (!/^([0-9A-F]{32}|[0-9A-F]{56})$/.test(uniqueKey)) return `${uniqueKey}-${due}`
  const timeAt = uniqueKey.length - ID_COUNTER_DIGITS - ID_TIME_DIGITS
  const date = new Date(due)
  const monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime()
  const time = (due - monthStart).toString(16).toUpperCase().padStart(ID_TIME_DIGITS, '0')
  return uniqueKey.slice(0, timeAt) + time + uniqueKey.slice(-ID_COUNTER_DIGITS)
}

/** Undefined when the record's repetition cannot be read (it was checked when it was sent). */
export function repetitionOf(delayed: DelayedRecord): Repetition | undefined {
  try {
    return parseRepetition(parseProperties(delayed.properties))
  } catch (error) {
    if (error instanceof MillraceError) return undefined
    throw error
  }
}
