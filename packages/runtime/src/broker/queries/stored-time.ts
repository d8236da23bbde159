import { decodeMessage } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'

/** Store time of the message at a queue offset, milliseconds; undefined when there is none. */
export function storeTimestampAt(
  store: Pick<MessageStore, 'entry' | 'record'>,
  topic: string,
  queueId: number,
  offset: number,
): number | undefined {
  const entry = offset < 0 ? undefined : store.entry(topic, queueId, offset)
  return entry && recordTime(store, entry.position)
}

/** Store time of the record at a position of the log, milliseconds; undefined when there is none. */
export function recordTime(store: Pick<MessageStore, 'record'>, position: number): number | undefined {
  const record = store.record(position)
  const result = record && decodeMessage(record, 0, record.length)
  return result?.ok ? result.message.storeTimestamp : undefined
}
