import { MillraceError } from '../../errors.js'
import type { NetAddress } from '../../ports/net.js'
import { bodyCrc } from './body-crc.js'
import { formatIp, parseIp } from './host.js'
import { PROPERTIES_BYTES_MAX } from './properties.js'
import { SysFlag } from './sys-flag.js'

/** Record of a topic whose name has at most 127 bytes. */
export const MAGIC_V1 = 0xdaa320a7
/** Record with a two-byte topic length. */
export const MAGIC_V2 = 0xdaa320ab
/** Filler at the end of a log file: total size and magic only. Never sent to clients. */
export const MAGIC_BLANK = 0xcbd43194

/** Bytes of a V1 record with IPv4 hosts, less body, topic and properties. */
export const RECORD_FIXED_BYTES = 91
const TOPIC_BYTES_V1_MAX = 127
const TOPIC_BYTES_V2_MAX = 32_767
const WORD = 0x1_0000_0000

/** One stored message. Byte fields are views of the decoded buffer. messages.md §1 */
export interface StoredMessage {
  readonly topic: string
  readonly queueId: number
  /** Position in its queue. */
  readonly queueOffset: number
  /** Byte position in the commit log. */
  readonly commitLogOffset: number
  /** The user's own flag. */
  readonly flag: number
  readonly sysFlag: number
  readonly bodyCrc: number
  /** Milliseconds, the producer's clock. */
  readonly bornTimestamp: number
  readonly bornHost: NetAddress
  /** Milliseconds, the broker's clock. */
  readonly storeTimestamp: number
  readonly storeHost: NetAddress
  readonly reconsumeTimes: number
  readonly preparedTransactionOffset: number
  /** As stored: still compressed when the sysFlag says so. */
  readonly body: Buffer
  /** Property string, UTF-8; read it with `parseProperties`. */
  readonly properties: Buffer
  /** Length of the record. */
  readonly sizeBytes: number
}

export type MessageResult =
  | { readonly ok: true; readonly message: StoredMessage }
  | { readonly ok: false; readonly reason: string }

/** `messages` are those before the bad record, if any; `at` is where that one starts. */
export type MessagesResult =
  | { readonly ok: true; readonly messages: StoredMessage[] }
  | { readonly ok: false; readonly messages: StoredMessage[]; readonly at: number; readonly reason: string }

/** Decodes records that lie back to back in [start, end), as pull and query bodies carry them. Never throws. */
export function decodeMessages(buffer: Buffer, start = 0, end = buffer.length): MessagesResult {
  const messages: StoredMessage[] = []
  let at = start
  while (at < end) {
    const result = decodeMessage(buffer, at, end)
    if (!result.ok) return { ok: false, messages, at, reason: result.reason }
    messages.push(result.message)
    at += result.message.sizeBytes
  }
  return { ok: true, messages }
}

/** Decodes the record that starts at `start` and ends at or before `end`. Never throws. */
export function decodeMessage(buffer: Buffer, start: number, end: number): MessageResult {
  if (end - start < RECORD_FIXED_BYTES) return bad(`${end - start} bytes are too few for a record`)
  const sizeBytes = buffer.readInt32BE(start)
  if (sizeBytes < RECORD_FIXED_BYTES || sizeBytes > end - start)
    return bad(`record of ${sizeBytes} bytes where ${end - start} are left`)
  const limit = start + sizeBytes
  const magic = buffer.readUInt32BE(start + 4)
  if (magic !== MAGIC_V1 && magic !== MAGIC_V2) return bad(`unknown record magic 0x${magic.toString(16)}`)
  const sysFlag = buffer.readInt32BE(start + 36)
  const bornIpBytes = sysFlag & SysFlag.BORN_HOST_V6 ? 16 : 4
  const storeIpBytes = sysFlag & SysFlag.STORE_HOST_V6 ? 16 : 4
  const storeAt = start + 48 + bornIpBytes + 4
  let at = storeAt + 8 + storeIpBytes + 4
  // Fixed parts up to the body length, for the longest hosts too.
  if (limit - at < 16) return bad('record is cut short in its hosts')
  const reconsumeTimes = buffer.readInt32BE(at)
  const prepared = readInt64(buffer, at + 4)
  const bodyLength = buffer.readInt32BE(at + 12)
  at += 16
  if (bodyLength < 0 || bodyLength > limit - at) return bad(`body of ${bodyLength} bytes does not fit its record`)
  const body = buffer.subarray(at, at + bodyLength)
  at += bodyLength
  const topicLengthBytes = magic === MAGIC_V1 ? 1 : 2
  if (limit - at < topicLengthBytes) return bad('record is cut short before its topic')
  const topicLength = magic === MAGIC_V1 ? buffer.readInt8(at) : buffer.readInt16BE(at)
  at += topicLengthBytes
  if (topicLength < 0 || topicLength > limit - at - 2)
    return bad(`topic of ${topicLength} bytes does not fit its record`)
  const topic = buffer.toString('utf8', at, at + topicLength)
  at += topicLength
  const propertiesLength = buffer.readInt16BE(at)
  at += 2
  if (propertiesLength !== limit - at)
    return bad(`properties of ${propertiesLength} bytes where ${limit - at} are left`)
  const queueOffset = readInt64(buffer, start + 20)
  const commitLogOffset = readInt64(buffer, start + 28)
  if (!Number.isSafeInteger(queueOffset) || !Number.isSafeInteger(commitLogOffset)) return bad('offset beyond 2^53')
  return {
    ok: true,
    message: {
      topic,
      queueId: buffer.readInt32BE(start + 12),
      queueOffset,
      commitLogOffset,
      flag: buffer.readInt32BE(start + 16),
      sysFlag,
      bodyCrc: buffer.readInt32BE(start + 8),
      bornTimestamp: readInt64(buffer, start + 40),
      bornHost: readHost(buffer, start + 48, bornIpBytes),
      storeTimestamp: readInt64(buffer, storeAt),
      storeHost: readHost(buffer, storeAt + 8, storeIpBytes),
      reconsumeTimes,
      preparedTransactionOffset: prepared,
      body,
      properties: buffer.subarray(at, limit),
      sizeBytes,
    },
  }
}

function bad(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason }
}

/** 64-bit integer as a double: exact within ±2^53, the nearest double beyond. */
function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * WORD + buffer.readUInt32BE(at + 4)
}

function readHost(buffer: Buffer, at: number, ipBytes: number): NetAddress {
  return { host: formatIp(buffer.subarray(at, at + ipBytes)), port: buffer.readInt32BE(at + ipBytes) }
}

/** A message to encode. What is left out: flags, counters and offsets 0, no properties, the CRC of the body. */
export interface MessageToEncode {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly commitLogOffset: number
  readonly flag?: number
  /** The two host bits are set and cleared here, by what the hosts are. */
  readonly sysFlag?: number
  readonly bodyCrc?: number
  readonly bornTimestamp: number
  readonly bornHost: NetAddress
  readonly storeTimestamp: number
  readonly storeHost: NetAddress
  readonly reconsumeTimes?: number
  readonly preparedTransactionOffset?: number
  readonly body: Uint8Array
  readonly properties?: Uint8Array
}

/**
 * Encodes a record: V2 when the topic has more than 127 bytes, else V1.
 * @throws MillraceError INVALID_ARGUMENT when a host is no IP address, or topic or properties are over their limits.
 */
export function encodeMessage(message: MessageToEncode): Buffer {
  const topic = Buffer.from(message.topic)
  const properties = message.properties ?? new Uint8Array(0)
  if (topic.length > TOPIC_BYTES_V2_MAX || properties.length > PROPERTIES_BYTES_MAX)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `message with a topic of ${topic.length} bytes and properties of ${properties.length} bytes is over the limit of 32767 bytes each`,
    )
  const bornIp = ipOf(message.bornHost)
  const storeIp = ipOf(message.storeHost)
  const isV2 = topic.length > TOPIC_BYTES_V1_MAX
  const hostBytes = bornIp.length + storeIp.length - 8
  const sizeBytes =
    RECORD_FIXED_BYTES + hostBytes + (isV2 ? 1 : 0) + message.body.length + topic.length + properties.length
  const record = Buffer.allocUnsafe(sizeBytes)
  record.writeInt32BE(sizeBytes, 0)
  record.writeUInt32BE(isV2 ? MAGIC_V2 : MAGIC_V1, 4)
  record.writeInt32BE(message.bodyCrc ?? bodyCrc(message.body), 8)
  record.writeInt32BE(message.queueId, 12)
  record.writeInt32BE(message.flag ?? 0, 16)
  writeInt64(record, 20, message.queueOffset)
  writeInt64(record, 28, message.commitLogOffset)
  const sysFlag = (message.sysFlag ?? 0) & ~(SysFlag.BORN_HOST_V6 | SysFlag.STORE_HOST_V6)
  const hostFlags =
    (bornIp.length === 16 ? SysFlag.BORN_HOST_V6 : 0) | (storeIp.length === 16 ? SysFlag.STORE_HOST_V6 : 0)
  record.writeInt32BE(sysFlag | hostFlags, 36)
  writeInt64(record, 40, message.bornTimestamp)
  let at = writeHost(record, 48, bornIp, message.bornHost.port)
  writeInt64(record, at, message.storeTimestamp)
  at = writeHost(record, at + 8, storeIp, message.storeHost.port)
  record.writeInt32BE(message.reconsumeTimes ?? 0, at)
  writeInt64(record, at + 4, message.preparedTransactionOffset ?? 0)
  record.writeInt32BE(message.body.length, at + 12)
  record.set(message.body, at + 16)
  at += 16 + message.body.length
  at = isV2 ? record.writeInt16BE(topic.length, at) : record.writeInt8(topic.length, at)
  record.set(topic, at)
  at = record.writeInt16BE(properties.length, at + topic.length)
  record.set(properties, at)
  return record
}

function ipOf({ host }: NetAddress): Uint8Array {
  const ip = parseIp(host)
  if (ip === undefined)
    throw new MillraceError('INVALID_ARGUMENT', `message host "${host}" is not an IP address; resolve the name first`)
  return ip
}

function writeInt64(target: Buffer, at: number, value: number): void {
  target.writeInt32BE(Math.floor(value / WORD), at)
  target.writeUInt32BE(((value % WORD) + WORD) % WORD, at + 4)
}

function writeHost(target: Buffer, at: number, ip: Uint8Array, port: number): number {
  target.set(ip, at)
  return target.writeInt32BE(port, at + ip.length)
}
