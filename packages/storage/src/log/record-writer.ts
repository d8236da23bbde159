import { crc32 } from 'node:zlib'
import { copyBytes, PROPERTIES_BYTES_MAX, PropertyScan, scanProperties, unescapeInto } from '@millrace/core'
import type { QueueTail, QueueTails } from '../index/queue-tails.js'
import {
  RECORD_AT,
  RECORD_MAGIC_V1,
  RECORD_MAGIC_V2,
  RECORD_OVERHEAD_MAX,
  SYS_FLAG_BORN_IPV6,
  SYS_FLAG_STORE_IPV6,
  writeLong,
} from './layout.js'
import type { LogRing } from './log-ring.js'

/** What became of a record: numbers, since this is asked once per message. */
export const OUTCOME = {
  appended: 0,
  /** The ring has no room now; nothing was done. Try again when the workers have moved on. */
  full: 1,
  /** The properties need more than copying; nothing was done. */
  unusual: 2,
  /** Properties above 32,767 bytes; nothing was done. */
  propertiesTooLong: 3,
} as const
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME]

/** A JSON escape takes six bytes for one. */
const ESCAPED_BYTES_MAX = PROPERTIES_BYTES_MAX * 6
const TOPIC_BYTES_LONGEST = 255
/** What a record may have beside its body while it is encoded: escaped properties, topic, fixed parts. */
export const RECORD_EXTRA_BYTES_MAX =
  ESCAPED_BYTES_MAX + PROPERTIES_BYTES_MAX + TOPIC_BYTES_LONGEST + RECORD_OVERHEAD_MAX
const TOPIC_BYTES_V1_MAX = 127
const PAIR_END = 2

/** One message on its way into the log: filled in by the caller, reused for the next. */
export class RecordInput {
  flag = 0
  sysFlag = 0
  bornTimestamp = 0
  /** 4 or 16 address bytes, then the port in 4. */
  bornHost: Buffer = NO_BYTES
  storeHost: Buffer = NO_BYTES
  reconsumeTimes = 0
  preparedTransactionOffset = 0
  /** Holds body and properties. */
  source: Buffer = NO_BYTES
  bodyStart = 0
  bodyEnd = 0
  propertiesStart = 0
  propertiesEnd = 0
  /** The properties are the inside of a JSON string. */
  propertiesEscaped = false
  /** Property pairs that the broker adds. */
  addedProperties: Buffer = NO_BYTES
  /** Take properties that `scanProperties` calls unusual, or numbered, as they are: the caller has dealt with them. */
  acceptsUnusual = false
}
const NO_BYTES: Buffer = Buffer.alloc(0)

/**
 * Encodes messages straight into the log's ring: the body is copied once, from the socket's chunk.
 * The layout is Apache RocketMQ's stored message (messages.md §1).
 */
export class RecordWriter {
  /** Of the record last appended: its place, and what its properties hold (ranges in the ring). */
  position = 0
  sizeBytes = 0
  queueOffset = 0
  storeTimestamp = 0
  readonly properties = new PropertyScan()

  constructor(
    private readonly ring: LogRing,
    private readonly tails: QueueTails,
  ) {}

  /** Appends one record to `queue`. `now` is the broker's clock in ms; store times never go back. */
  append(queue: QueueTail, input: RecordInput, now: number): Outcome {
    if (input.propertiesEnd - input.propertiesStart > ESCAPED_BYTES_MAX) return OUTCOME.propertiesTooLong
    const topic = queue.topic.bytes
    const bodyLength = input.bodyEnd - input.bodyStart
    const bytesMax =
      RECORD_OVERHEAD_MAX +
      bodyLength +
      topic.length +
      (input.propertiesEnd - input.propertiesStart) +
      1 +
      input.addedProperties.length
    const at = this.ring.reserve(bytesMax)
    if (at === -1) return OUTCOME.full

    const bytes = this.ring.bytes
    let sysFlag = input.sysFlag
    if (input.bornHost.length === 20) sysFlag |= SYS_FLAG_BORN_IPV6
    if (input.storeHost.length === 20) sysFlag |= SYS_FLAG_STORE_IPV6
    const storeTimestampAt = at + RECORD_AT.bornHost + input.bornHost.length
    const storeHostAt = storeTimestampAt + 8
    const reconsumeAt = storeHostAt + input.storeHost.length
    const bodyAt = reconsumeAt + 16
    let cursor = bodyAt + bodyLength
    const isV1 = topic.length <= TOPIC_BYTES_V1_MAX
    if (isV1) bytes[cursor++] = topic.length
    else cursor = bytes.writeUInt16BE(topic.length, cursor)
    cursor = copyBytes(topic, 0, topic.length, bytes, cursor)

    const propertiesAt = cursor + 2
    const propertiesEnd = this.writeProperties(input, propertiesAt)
    if (propertiesEnd < 0) return OUTCOME.unusual
    const propertiesLength = propertiesEnd - propertiesAt
    if (propertiesLength > PROPERTIES_BYTES_MAX) return OUTCOME.propertiesTooLong
    bytes.writeUInt16BE(propertiesLength, cursor)

    const sizeBytes = propertiesEnd - at
    const position = this.ring.end
    const storeTimestamp = Math.max(now, this.storeTimestamp)
    // One view for both: making one costs as much as copying a kilobyte. `fill` copies shared memory at full speed,
    // which `set` and `copy` do word by word.
    const body = input.source.subarray(input.bodyStart, input.bodyEnd)
    if (bodyLength > 0) bytes.fill(body, bodyAt, bodyAt + bodyLength)
    bytes.writeInt32BE(bodyLength, bodyAt - 4)
    bytes.writeInt32BE(sizeBytes, at)
    bytes.writeInt32BE(isV1 ? RECORD_MAGIC_V1 : RECORD_MAGIC_V2, at + RECORD_AT.magic)
    bytes.writeInt32BE(bodyLength === 0 ? 0 : crc32(body) & 0x7fffffff, at + RECORD_AT.bodyCrc)
    bytes.writeInt32BE(queue.queueId, at + RECORD_AT.queueId)
    bytes.writeInt32BE(input.flag, at + RECORD_AT.flag)
    writeLong(bytes, at + RECORD_AT.queueOffset, queue.nextOffset)
    writeLong(bytes, at + RECORD_AT.position, position)
    bytes.writeInt32BE(sysFlag, at + RECORD_AT.sysFlag)
    writeLong(bytes, at + RECORD_AT.bornTimestamp, input.bornTimestamp)
    copyBytes(input.bornHost, 0, input.bornHost.length, bytes, at + RECORD_AT.bornHost)
    writeLong(bytes, storeTimestampAt, storeTimestamp)
    copyBytes(input.storeHost, 0, input.storeHost.length, bytes, storeHostAt)
    bytes.writeInt32BE(input.reconsumeTimes, reconsumeAt)
    writeLong(bytes, reconsumeAt + 4, input.preparedTransactionOffset)

    this.ring.commit(sizeBytes)
    this.position = position
    this.sizeBytes = sizeBytes
    this.storeTimestamp = storeTimestamp
    this.queueOffset = this.tails.append(queue, position, sizeBytes, this.properties.tagHash)
    return OUTCOME.appended
  }

  /** Copies the properties and adds the broker's. Returns their end, or -1 when they need more than that. */
  private writeProperties(input: RecordInput, at: number): number {
    const bytes = this.ring.bytes
    let length = input.propertiesEnd - input.propertiesStart
    if (input.propertiesEscaped) {
      length = unescapeInto(input.source, input.propertiesStart, input.propertiesEnd, bytes, at)
      if (length < 0) return -1
    } else copyBytes(input.source, input.propertiesStart, input.propertiesEnd, bytes, at)
    let end = at + length
    scanProperties(bytes, at, end, this.properties)
    const { hasSequence, isUnusual } = this.properties
    if ((isUnusual || hasSequence) && !input.acceptsUnusual) return -1
    if (input.addedProperties.length === 0) return end
    if (length > 0 && bytes[end - 1] !== PAIR_END) bytes[end++] = PAIR_END
    return copyBytes(input.addedProperties, 0, input.addedProperties.length, bytes, end)
  }
}
