import { PropertyScan, scanProperties } from '@millrace/core'
import { RECORD_OVERHEAD_MAX, type RecordInput } from '@millrace/storage'

/** Bytes of a batch item beside its body and properties: size, magic, CRC, flag, two lengths. */
const ITEM_FIXED_BYTES = 22

/**
 * The messages inside a batch body (messages.md §6), as byte ranges: one object, reused for every batch.
 */
export class BatchWalk {
  count = 0
  /** No message asks for more than to be stored. */
  isPlain = true
  /** A message is numbered by a pipeline task. */
  isNumbered = false
  private bodyBytes = 0
  private flags = new Int32Array(64)
  /** Four numbers per message: body start, body end, properties start, properties end. */
  private ranges = new Int32Array(64 * 4)
  private readonly properties = new PropertyScan()

  /** Reads [start, end). False when it is not a well-formed batch. */
  read(bytes: Buffer, start: number, end: number): boolean {
    this.count = 0
    this.bodyBytes = end - start
    this.isPlain = true
    this.isNumbered = false
    let at = start
    while (at < end) {
      if (end - at < ITEM_FIXED_BYTES) return false
      const size = bytes.readInt32BE(at)
      const limit = at + size
      if (size < ITEM_FIXED_BYTES || limit > end) return false
      const bodyStart = at + 20
      const bodyEnd = bodyStart + bytes.readInt32BE(at + 16)
      if (bodyEnd < bodyStart || bodyEnd + 2 > limit) return false
      const propertiesStart = bodyEnd + 2
      const propertiesEnd = propertiesStart + bytes.readUInt16BE(bodyEnd)
      if (propertiesEnd > limit) return false
      if (this.count === this.flags.length) this.grow()
      this.flags[this.count] = bytes.readInt32BE(at + 12)
      this.ranges.set([bodyStart, bodyEnd, propertiesStart, propertiesEnd], this.count * 4)
      scanProperties(bytes, propertiesStart, propertiesEnd, this.properties)
      if (this.properties.isUnusual || bodyEnd === bodyStart) this.isPlain = false
      if (this.properties.hasSequence) this.isNumbered = true
      this.count++
      at = limit
    }
    return this.count > 0
  }

  /** Bytes of all records at most. */
  recordBytesMax(topicLength: number, addedLength: number): number {
    return this.bodyBytes + this.count * (RECORD_OVERHEAD_MAX + topicLength + addedLength + 1)
  }

  /** Puts message `index` into `input`. */
  fill(index: number, input: RecordInput): void {
    const at = index * 4
    input.flag = this.flags[index]!
    input.bodyStart = this.ranges[at]!
    input.bodyEnd = this.ranges[at + 1]!
    input.propertiesStart = this.ranges[at + 2]!
    input.propertiesEnd = this.ranges[at + 3]!
  }

  /** Where the properties of message `index` lie. */
  propertiesStart(index: number): number {
    return this.ranges[index * 4 + 2]!
  }
  propertiesEnd(index: number): number {
    return this.ranges[index * 4 + 3]!
  }

  /** The messages' unique keys, comma-joined, as batch answers carry them. */
  uniqueKeys(bytes: Buffer): string {
    const keys: string[] = []
    for (let i = 0; i < this.count; i++) {
      scanProperties(bytes, this.ranges[i * 4 + 2]!, this.ranges[i * 4 + 3]!, this.properties)
      keys.push(bytes.toString('latin1', this.properties.uniqueKeyStart, this.properties.uniqueKeyEnd))
    }
    return keys.join(',')
  }

  private grow(): void {
    const flags = new Int32Array(this.count * 2)
    const ranges = new Int32Array(this.count * 8)
    flags.set(this.flags)
    ranges.set(this.ranges)
    this.flags = flags
    this.ranges = ranges
  }
}
