import { MillraceError } from '../../errors.js'
import { languageCode, languageName } from './language.js'
import { CommandFlag } from './limits.js'
import { RequestCode } from './request-code.js'

/** What a header says, whichever way it is serialized. */
export interface Header {
  readonly code: number
  readonly language: string
  readonly version: number
  readonly opaque: number
  readonly flag: number
  readonly remark: string | undefined
  readonly extFields: Readonly<Record<string, string>>
}

export type HeaderResult =
  | { readonly ok: true; readonly header: Header }
  | { readonly ok: false; readonly reason: string }

const FIXED_BYTES = 21

/**
 * Request codes that do not fit the binary header's 16 bits, by what is left of them. Only requests are mapped
 * back: no response code is that large, and no official request has one of the short codes. remoting.md §3
 */
const LONG_CODES: ReadonlyMap<number, number> = new Map(
  [
    RequestCode.POP_MESSAGE,
    RequestCode.ACK_MESSAGE,
    RequestCode.PEEK_MESSAGE,
    RequestCode.CHANGE_MESSAGE_INVISIBLETIME,
    RequestCode.NOTIFICATION,
    RequestCode.POLLING_INFO,
    RequestCode.POP_ROLLBACK,
    RequestCode.BATCH_ACK_MESSAGE,
  ].map(code => [(code << 16) >> 16, code]),
)

/** Decodes the ROCKETMQ header in [start, end). Never throws, never allocates by a length it has not checked. */
export function decodeBinaryHeader(buffer: Buffer, start: number, end: number): HeaderResult {
  if (end - start < FIXED_BYTES) return short('fixed part')
  const shortCode = buffer.readInt16BE(start)
  const flag = buffer.readInt32BE(start + 9)
  const remarkLength = buffer.readInt32BE(start + 13)
  let at = start + 17
  if (remarkLength < 0 || remarkLength > end - at - 4) return short('remark')
  const remark = remarkLength === 0 ? undefined : buffer.toString('utf8', at, at + remarkLength)
  at += remarkLength
  const extLength = buffer.readInt32BE(at)
  at += 4
  if (extLength < 0 || extLength > end - at) return short('ext fields')
  const extFields = decodeExtFields(buffer, at, at + extLength)
  if (extFields === undefined) return short('an ext field')
  const isRequest = (flag & CommandFlag.RESPONSE) === 0
  return {
    ok: true,
    header: {
      code: isRequest ? (LONG_CODES.get(shortCode) ?? shortCode) : shortCode,
      language: languageName(buffer.readUInt8(start + 2)),
      version: buffer.readInt16BE(start + 3),
      opaque: buffer.readInt32BE(start + 5),
      flag,
      remark,
      extFields,
    },
  }
}

function short(part: string): HeaderResult {
  return { ok: false, reason: `binary header is cut short in ${part}` }
}

function decodeExtFields(buffer: Buffer, start: number, end: number): Record<string, string> | undefined {
  // Without a prototype: names come from the network, and "__proto__" is a name like any other.
  const extFields: Record<string, string> = Object.create(null)
  let at = start
  while (at < end) {
    if (end - at < 2) return undefined
    const keyLength = buffer.readUInt16BE(at)
    at += 2
    if (end - at < keyLength + 4) return undefined
    const key = buffer.toString('utf8', at, at + keyLength)
    at += keyLength
    const valueLength = buffer.readInt32BE(at)
    at += 4
    if (valueLength < 0 || valueLength > end - at) return undefined
    extFields[key] = buffer.toString('utf8', at, at + valueLength)
    at += valueLength
  }
  return extFields
}

/** Encodes a ROCKETMQ header. Codes beyond 16 bits are truncated, as the official library does. */
export function encodeBinaryHeader(header: Header): Buffer {
  const remark = header.remark ?? ''
  const remarkLength = Buffer.byteLength(remark)
  const names = Object.keys(header.extFields)
  let extLength = 0
  for (const name of names) {
    const nameLength = Buffer.byteLength(name)
    if (nameLength > 0x7fff) throw new MillraceError('INVALID_ARGUMENT', `ext field name of ${nameLength} bytes`)
    extLength += 6 + nameLength + Buffer.byteLength(header.extFields[name])
  }
  const target = Buffer.allocUnsafe(FIXED_BYTES + remarkLength + extLength)
  target.writeInt16BE((header.code << 16) >> 16, 0)
  target.writeUInt8(languageCode(header.language), 2)
  target.writeInt16BE((header.version << 16) >> 16, 3)
  target.writeInt32BE(header.opaque | 0, 5)
  target.writeInt32BE(header.flag | 0, 9)
  target.writeInt32BE(remarkLength, 13)
  let at = 17 + target.write(remark, 17)
  target.writeInt32BE(extLength, at)
  at += 4
  for (const name of names) {
    const nameLength = target.write(name, at + 2)
    target.writeUInt16BE(nameLength, at)
    at += 2 + nameLength
    const valueLength = target.write(header.extFields[name], at + 4)
    target.writeInt32BE(valueLength, at)
    at += 4 + valueLength
  }
  return target
}
