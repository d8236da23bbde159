import { MAGIC_V1, MAGIC_V2, RECORD_FIXED_BYTES } from '../message/record.js'
import { SysFlag } from '../message/sys-flag.js'

const NAME_END = 1
const PAIR_END = 2
/** Texts of up to this many bytes are put together here: less work than a call into native code. */
const SHORT_BYTES_MAX = 12

/**
 * Properties of one stored record, read from its bytes: one object, pointed at record after record. Nothing is decoded
 * but the values that are asked for.
 */
export class RecordProperties {
  private bytes: Buffer = NO_BYTES
  private start = 0
  private end = 0
  /** Three numbers per pair: start and end of its name, end of its value. -1 pairs: not looked for yet. */
  private pairs = new Int32Array(3 * 32)
  private pairCount = -1
  private lastName = ''
  private lastText: string | undefined

  /** Points at the record in [start, end). False when it is no whole record. messages.md §1 */
  locate(bytes: Buffer, start: number, end: number): boolean {
    this.bytes = NO_BYTES
    this.start = this.end = 0
    this.pairCount = -1
    this.lastName = ''
    if (end - start < RECORD_FIXED_BYTES || bytes.readInt32BE(start) !== end - start) return false
    const magic = bytes.readUInt32BE(start + 4)
    if (magic !== MAGIC_V1 && magic !== MAGIC_V2) return false
    const sysFlag = bytes.readInt32BE(start + 36)
    let at = start + 84 + (sysFlag & SysFlag.BORN_HOST_V6 ? 12 : 0) + (sysFlag & SysFlag.STORE_HOST_V6 ? 12 : 0)
    if (at + 4 > end) return false
    const bodyBytes = bytes.readInt32BE(at)
    at += 4 + bodyBytes
    if (bodyBytes < 0 || at + 4 > end) return false
    at += magic === MAGIC_V1 ? 1 + bytes[at]! : 2 + bytes.readUInt16BE(at)
    if (at + 2 > end || at + 2 + bytes.readUInt16BE(at) !== end) return false
    this.bytes = bytes
    this.start = at + 2
    this.end = end
    return true
  }

  /**
   * Text of the property of this name, which is ASCII; undefined when there is none. Of several the last one counts, and
   * none that is empty, as `parseProperties` has it. messages.md §5
   */
  readonly text = (name: string): string | undefined => {
    // Filters ask for one property more than once: BETWEEN does.
    if (name === this.lastName) return this.lastText
    if (this.pairCount < 0) this.findPairs()
    const { pairs } = this
    this.lastName = name
    this.lastText = undefined
    for (let pair = this.pairCount - 1; pair >= 0; pair--) {
      const at = pairs[pair * 3]!
      const nameEnd = pairs[pair * 3 + 1]!
      if (nameEnd - at !== name.length || !this.isAt(name, at)) continue
      this.lastText = this.slice(nameEnd + 1, pairs[pair * 3 + 2]!)
      break
    }
    return this.lastText
  }

  private findPairs(): void {
    const { bytes, end } = this
    let { pairs } = this
    let count = 0
    for (let at = this.start; at < end; ) {
      const nameStart = at
      while (at < end && bytes[at]! > PAIR_END) at++
      // A control character may be part of a name; only U+0001 ends it.
      while (at < end && bytes[at] !== NAME_END && bytes[at] !== PAIR_END) at++
      const nameEnd = at
      while (at < end && bytes[at] !== PAIR_END) at++
      if (nameEnd > nameStart && at > nameEnd + 1) {
        if (count * 3 === pairs.length) {
          pairs = new Int32Array(count * 6)
          pairs.set(this.pairs)
          this.pairs = pairs
        }
        pairs[count * 3] = nameStart
        pairs[count * 3 + 1] = nameEnd
        pairs[count * 3 + 2] = at
        count++
      }
      at++
    }
    this.pairCount = count
  }

  private isAt(name: string, at: number): boolean {
    const { bytes } = this
    for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name.charCodeAt(i)) return false
    return true
  }

  private slice(start: number, end: number): string {
    const { bytes } = this
    if (end - start > SHORT_BYTES_MAX) return bytes.toString('utf8', start, end)
    let text = ''
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!
      if (byte > 0x7f) return bytes.toString('utf8', start, end)
      text += String.fromCharCode(byte)
    }
    return text
  }
}

const NO_BYTES = Buffer.alloc(0)
