import { copyBytes, MAGIC_V2, PROPERTIES_BYTES_MAX, SysFlag } from '@millrace/core'

const SEPARATORS_BYTES = 2
const TOPIC_BYTES_V1_MAX = 127
const NAME = Buffer.from('POP_CK\u0001')
const END = 0x02

/** Bytes that `rewriteRecord` may add to a record. */
export function rewrittenBytesMax(topic: Uint8Array, handle: string): number {
  return topic.length + NAME.length + handle.length + SEPARATORS_BYTES
}

/**
 * Copies the stored record in [start, end) of `source` to `target`, with another topic and with property POP_CK.
 * Returns its end there; 0 when it cannot hold them: it is then handed out as it is.
 * @see RocketMQ `PopMessageProcessor#popMsgFromQueue`, which decodes and encodes messages of retry topics
 */
export function rewriteRecord(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
  topic: Uint8Array,
  handle: string,
): number {
  const isV2 = source.readUInt32BE(start + 4) === MAGIC_V2
  const sysFlag = source.readInt32BE(start + 36)
  const hostBytes = (sysFlag & SysFlag.BORN_HOST_V6 ? 12 : 0) + (sysFlag & SysFlag.STORE_HOST_V6 ? 12 : 0)
  const bodyAt = start + 88 + hostBytes
  const topicAt = bodyAt + source.readInt32BE(bodyAt - 4)
  const nameAt = topicAt + (isV2 ? 2 : 1)
  const propertiesAt = nameAt + (isV2 ? source.readUInt16BE(topicAt) : source.readUInt8(topicAt)) + 2
  const propertiesLength = end - propertiesAt
  const needsEnd = propertiesLength > 0 && source[end - 1] !== END
  const length = propertiesLength + (needsEnd ? 1 : 0) + NAME.length + handle.length + 1
  if (length > PROPERTIES_BYTES_MAX || (!isV2 && topic.length > TOPIC_BYTES_V1_MAX)) return 0
  let to = copyBytes(source, start, topicAt, target, at)
  to = isV2 ? target.writeUInt16BE(topic.length, to) : target.writeUInt8(topic.length, to)
  to = copyBytes(topic, 0, topic.length, target, to)
  to = target.writeUInt16BE(length, to)
  to = copyBytes(source, propertiesAt, end, target, to)
  if (needsEnd) target[to++] = END
  to = copyBytes(NAME, 0, NAME.length, target, to)
  to += target.write(handle, to, 'latin1')
  target[to++] = END
  target.writeInt32BE(to - at, at)
  return to
}
