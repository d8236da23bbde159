import { MAGIC_V1, MAGIC_V2, RECORD_FIXED_BYTES } from '../message/record.js'
import { SysFlag } from '../message/sys-flag.js'
import { copyBytes, writeInt16, writeInt32, writeInt64 } from './bytes.js'

/**
 * A message to store, as numbers and byte ranges. Hosts are 4 or 16 bytes of address and 4 of port; the topic has at most
 * 32 767 bytes, as have the properties. Reused for every message.
 */
export interface RecordFields {
  bodyCrc: number
  queueId: number
  flag: number
  queueOffset: number
  commitLogOffset: number
  /** The two host bits are set and cleared by the writer. */
  sysFlag: number
  bornTimestamp: number
  bornHost: Uint8Array
  storeTimestamp: number
  storeHost: Uint8Array
  reconsumeTimes: number
  preparedTransactionOffset: number
  body: Uint8Array
  bodyStart: number
  bodyEnd: number
  topic: Uint8Array
  properties: Uint8Array
  propertiesStart: number
  propertiesEnd: number
}

const TOPIC_BYTES_V1_MAX = 127
const HOST_BYTES_V4 = 8

/** Length of the record that `writeRecord` writes. */
export function recordLength(record: RecordFields): number {
  return (
    RECORD_FIXED_BYTES +
    (record.bornHost.length - HOST_BYTES_V4) +
    (record.storeHost.length - HOST_BYTES_V4) +
    (record.topic.length > TOPIC_BYTES_V1_MAX ? 1 : 0) +
    record.topic.length +
    (record.bodyEnd - record.bodyStart) +
    (record.propertiesEnd - record.propertiesStart)
  )
}

/** Writes a stored message at `at`; `target` has room for `recordLength`. Returns its end. messages.md §1 */
export function writeRecord(target: Buffer, at: number, record: RecordFields): number {
  const isV2 = record.topic.length > TOPIC_BYTES_V1_MAX
  const hostFlags =
    (record.bornHost.length > HOST_BYTES_V4 ? SysFlag.BORN_HOST_V6 : 0) |
    (record.storeHost.length > HOST_BYTES_V4 ? SysFlag.STORE_HOST_V6 : 0)
  let to = writeInt32(target, at + 4, isV2 ? MAGIC_V2 : MAGIC_V1)
  to = writeInt32(target, to, record.bodyCrc)
  to = writeInt32(target, to, record.queueId)
  to = writeInt32(target, to, record.flag)
  to = writeInt64(target, to, record.queueOffset)
  to = writeInt64(target, to, record.commitLogOffset)
  to = writeInt32(target, to, (record.sysFlag & ~(SysFlag.BORN_HOST_V6 | SysFlag.STORE_HOST_V6)) | hostFlags)
  to = writeInt64(target, to, record.bornTimestamp)
  to = copyBytes(record.bornHost, 0, record.bornHost.length, target, to)
  to = writeInt64(target, to, record.storeTimestamp)
  to = copyBytes(record.storeHost, 0, record.storeHost.length, target, to)
  to = writeInt32(target, to, record.reconsumeTimes)
  to = writeInt64(target, to, record.preparedTransactionOffset)
  to = writeInt32(target, to, record.bodyEnd - record.bodyStart)
  to = copyBytes(record.body, record.bodyStart, record.bodyEnd, target, to)
  if (isV2) to = writeInt16(target, to, record.topic.length)
  else target[to++] = record.topic.length
  to = copyBytes(record.topic, 0, record.topic.length, target, to)
  to = writeInt16(target, to, record.propertiesEnd - record.propertiesStart)
  to = copyBytes(record.properties, record.propertiesStart, record.propertiesEnd, target, to)
  writeInt32(target, at, to - at)
  return to
}
