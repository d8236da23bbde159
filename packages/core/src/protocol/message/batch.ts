import { MillraceError } from '../../errors.js'
import { PROPERTIES_BYTES_MAX } from './properties.js'

/** Total size, magic, CRC, flag, body length, properties length. */
const INNER_FIXED_BYTES = 22

/** One message inside the body of a batch send. messages.md §6 */
export interface BatchMessage {
  readonly flag: number
  readonly body: Uint8Array
  /** Property string, UTF-8. */
  readonly properties: Uint8Array
}

export type BatchResult =
  | { readonly ok: true; readonly messages: BatchMessage[] }
  | { readonly ok: false; readonly reason: string }

/** Decodes the body of a batch send; the byte fields are views of it. Never throws. */
export function decodeBatch(body: Buffer): BatchResult {
  const messages: BatchMessage[] = []
  let at = 0
  while (at < body.length) {
    const left = body.length - at
    if (left < INNER_FIXED_BYTES) return bad(messages, `is cut short: ${left} bytes are left`)
    const sizeBytes = body.readInt32BE(at)
    const bodyLength = body.readInt32BE(at + 16)
    if (sizeBytes < INNER_FIXED_BYTES || sizeBytes > left)
      return bad(messages, `has ${sizeBytes} bytes, ${left} are left`)
    if (bodyLength < 0 || bodyLength > sizeBytes - INNER_FIXED_BYTES)
      return bad(messages, `has a body of ${bodyLength} bytes`)
    const propertiesAt = at + 20 + bodyLength
    const propertiesLength = body.readInt16BE(propertiesAt)
    if (propertiesLength !== sizeBytes - INNER_FIXED_BYTES - bodyLength)
      return bad(messages, `has properties of ${propertiesLength} bytes`)
    messages.push({
      flag: body.readInt32BE(at + 12),
      body: body.subarray(at + 20, propertiesAt),
      properties: body.subarray(propertiesAt + 2, at + sizeBytes),
    })
    at += sizeBytes
  }
  return { ok: true, messages }
}

function bad(messages: readonly BatchMessage[], what: string): BatchResult {
  return { ok: false, reason: `message ${messages.length} of the batch ${what}` }
}

/**
 * Encodes the body of a batch send.
 * @throws MillraceError INVALID_ARGUMENT when properties are over 32 767 bytes.
 */
export function encodeBatch(messages: readonly BatchMessage[]): Buffer {
  let length = 0
  for (const { body, properties } of messages) {
    if (properties.length > PROPERTIES_BYTES_MAX)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `properties of ${properties.length} bytes are over ${PROPERTIES_BYTES_MAX}`,
      )
    length += INNER_FIXED_BYTES + body.length + properties.length
  }
  const target = Buffer.alloc(length)
  let at = 0
  for (const { flag, body, properties } of messages) {
    target.writeInt32BE(INNER_FIXED_BYTES + body.length + properties.length, at)
    target.writeInt32BE(flag, at + 12)
    target.writeInt32BE(body.length, at + 16)
    target.set(body, at + 20)
    at = target.writeInt16BE(properties.length, at + 20 + body.length)
    target.set(properties, at)
    at += properties.length
  }
  return target
}
