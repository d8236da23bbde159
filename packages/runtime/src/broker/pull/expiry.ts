import { PropertyName, ResponseCode, SysFlag } from '@millrace/core'
import { Refusal } from '../../requests/answer.js'

/** Where a record has its sysFlag. messages.md §1 */
const SYS_FLAG_AT = 36
const BORN_HOST_AT = 48
const NAME = Buffer.from(`${PropertyName.MILLRACE_TTL_MS}\u0001`)
const PAIR_END = 2
const TTL_DIGITS_MAX = 15

/**
 * The bit that marks messages with a time to live, so that reading costs nothing for all others; 0 without one.
 * @throws Refusal 13 for a time that is no whole number above 0
 */
export function expiryFlag(properties: Readonly<Record<string, string>>): number {
  const text = properties[PropertyName.MILLRACE_TTL_MS]
  if (text === undefined) return 0
  if (/^\d{1,15}$/.test(text) && Number(text) > 0) return SysFlag.EXPIRES
  throw new Refusal(
    ResponseCode.MESSAGE_ILLEGAL,
    `${PropertyName.MILLRACE_TTL_MS} is "${text.slice(0, 40)}"; send the time to live in milliseconds, a whole number above 0`,
  )
}

/**
 * Has the record at [start, end) outlived its MILLRACE_TTL_MS? The time runs from its store time: for a delayed message
 * from its delivery. docs/messages.md
 */
export function isExpired(bytes: Buffer, start: number, end: number, now: number): boolean {
  const sysFlag = bytes.readInt32BE(start + SYS_FLAG_AT)
  if ((sysFlag & SysFlag.EXPIRES) === 0) return false
  const storedAt = start + BORN_HOST_AT + (sysFlag & SysFlag.BORN_HOST_V6 ? 20 : 8)
  const stored = bytes.readUInt32BE(storedAt) * 0x1_0000_0000 + bytes.readUInt32BE(storedAt + 4)
  return now >= stored + timeToLive(bytes.subarray(start, end))
}

/** Infinity when the property is not there. */
function timeToLive(record: Buffer): number {
  // From the end: the properties are the last part, and the last of a name counts.
  const at = record.lastIndexOf(NAME)
  if (at < 0) return Number.POSITIVE_INFINITY
  let value = 0
  for (let i = at + NAME.length; i < record.length && record[i] !== PAIR_END; i++) {
    const digit = record[i]! - 0x30
    if (digit < 0 || digit > 9 || i - at - NAME.length >= TTL_DIGITS_MAX) return Number.POSITIVE_INFINITY
    value = value * 10 + digit
  }
  return value
}
