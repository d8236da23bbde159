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
  const record = entry && store.record(entry.position)
  const result = record && decodeMessage(record, 0, record.length)
  return result?.ok ? result.message.storeTimestamp : undefined
}
