import { parseProperties } from '@millrace/core'
import { RecordView } from '../log/record-view.js'

const view = new RecordView()

/** Does the record carry `key` in KEYS (as one of its blank-separated tokens) or as UNIQ_KEY? The index only knows hashes. */
export function recordCarriesKey(record: Buffer, topic: string, key: string, uniqueOnly: boolean): boolean {
  if (view.read(record, 0, record.length) !== 'record') return false
  if (record.toString('utf8', view.topicStart, view.topicStart + view.topicLength) !== topic) return false
  const properties = parseProperties(
    record.subarray(view.propertiesStart, view.propertiesStart + view.propertiesLength),
  )
  if (properties['UNIQ_KEY'] === key) return true
  return !uniqueOnly && (properties['KEYS'] ?? '').split(' ').includes(key)
}
