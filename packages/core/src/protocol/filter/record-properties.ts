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

  /** Points at the record in [start, end). False when it is no whole record. messages.md §1 */
  locate(bytes: Buffer, start: number, end: number): boolean {
    this.bytes = NO_BYTES
    this.start = this.end = 0
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
    const { bytes, start } = this
    const { length } = name
    let pairEnd = this.end
    if (pairEnd > start && bytes[pairEnd - 1] === PAIR_END) pairEnd--
    while (pairEnd > start) {
      let at = pairEnd
      while (at > start && bytes[at - 1] !== PAIR_END) at--
      const valueAt = at + length + 1
      if (valueAt < pairEnd && bytes[valueAt - 1] === NAME_END && this.isAt(name, at))
        return this.slice(valueAt, pairEnd)
      pairEnd = at - 1
    }
    return undefined
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
