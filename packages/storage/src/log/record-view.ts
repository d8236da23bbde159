import { crc32 } from 'node:zlib'
import {
  FILLER_MAGIC,
  RECORD_AT,
  RECORD_BYTES_MIN,
  RECORD_MAGIC_V1,
  RECORD_MAGIC_V2,
  readLong,
  SYS_FLAG_BORN_IPV6,
  SYS_FLAG_STORE_IPV6,
} from './layout.js'

/** What lies at a place in the log. */
export type Found = 'record' | 'filler' | 'nothing' | 'incomplete'

/**
 * The parts of one stored record as byte ranges and numbers: one object, reused for every record.
 * All starts are offsets into the buffer given to `read`.
 */
export class RecordView {
  totalSize = 0
  queueId = 0
  queueOffset = 0
  /** Position that the record itself says it has. */
  position = 0
  sysFlag = 0
  storeTimestamp = 0
  storeTimestampAt = 0
  bodyCrc = 0
  bodyStart = 0
  bodyLength = 0
  topicStart = 0
  topicLength = 0
  propertiesStart = 0
  propertiesLength = 0

  /**
   * Reads what lies at `at`; `end` is how far the buffer is valid. 'nothing' is anything that is no record;
   * 'incomplete' means that more bytes are needed to tell (`totalSize` then says how many, if it is known).
   */
  read(bytes: Buffer, at: number, end: number): Found {
    this.totalSize = 0
    if (end - at < 8) return 'incomplete'
    const size = bytes.readUInt32BE(at)
    const magic = bytes.readInt32BE(at + RECORD_AT.magic)
    this.totalSize = size
    if (magic === FILLER_MAGIC) return size >= 8 ? 'filler' : 'nothing'
    if (magic !== RECORD_MAGIC_V1 && magic !== RECORD_MAGIC_V2) return 'nothing'
    if (size < RECORD_BYTES_MIN) return 'nothing'
    if (end - at < size) return 'incomplete'
    return this.parse(bytes, at, magic) ? 'record' : 'nothing'
  }

  private parse(bytes: Buffer, at: number, magic: number): boolean {
    const end = at + this.totalSize
    this.bodyCrc = bytes.readUInt32BE(at + RECORD_AT.bodyCrc)
    this.queueId = bytes.readInt32BE(at + RECORD_AT.queueId)
    this.queueOffset = readLong(bytes, at + RECORD_AT.queueOffset)
    this.position = readLong(bytes, at + RECORD_AT.position)
    this.sysFlag = bytes.readInt32BE(at + RECORD_AT.sysFlag)
    let cursor = at + RECORD_AT.bornHost + (this.sysFlag & SYS_FLAG_BORN_IPV6 ? 20 : 8)
    this.storeTimestampAt = cursor
    this.storeTimestamp = readLong(bytes, cursor)
    cursor += 8 + (this.sysFlag & SYS_FLAG_STORE_IPV6 ? 20 : 8) + 4 + 8
    if (cursor + 4 > end) return false
    this.bodyLength = bytes.readInt32BE(cursor)
    this.bodyStart = cursor + 4
    cursor = this.bodyStart + this.bodyLength
    if (this.bodyLength < 0 || cursor + 2 > end) return false
    if (magic === RECORD_MAGIC_V1) {
      this.topicLength = bytes[cursor]!
      cursor += 1
    } else {
      this.topicLength = bytes.readUInt16BE(cursor)
      cursor += 2
    }
    this.topicStart = cursor
    cursor += this.topicLength
    if (cursor + 2 > end) return false
    this.propertiesLength = bytes.readUInt16BE(cursor)
    this.propertiesStart = cursor + 2
    return this.propertiesStart + this.propertiesLength === end
  }

  /** Does the body have the checksum that the record carries? */
  isBodyIntact(bytes: Buffer): boolean {
    if (this.bodyLength === 0) return true
    return (crc32(bytes.subarray(this.bodyStart, this.bodyStart + this.bodyLength)) & 0x7fffffff) === this.bodyCrc
  }
}
