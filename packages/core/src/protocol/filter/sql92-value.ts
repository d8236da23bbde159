/** Evaluation went wrong, such as a text compared with a number that it is not. The message does not match. */
export const EVALUATION_ERROR = Symbol('evaluation error')

/** Number with its Java type, which decides how a property's text is read when it is compared with it. */
export class SqlNumber {
  constructor(
    readonly type: 'int' | 'long' | 'double',
    readonly value: number | bigint,
  ) {}
}

export type SqlValue = null | boolean | string | SqlNumber

const INT_MAX = 2n ** 31n - 1n
const LONG_MAX = 2n ** 63n - 1n

/** An integer constant: 32 bits when it fits, else 64; undefined beyond. */
export function integerConstant(text: string): SqlNumber | undefined {
  // No leading zeros here, so that more than 20 characters are beyond 64 bits.
  if (text.length > 20) return undefined
  const value = BigInt(text.replace(/[lL]$/, ''))
  if (value > LONG_MAX) return undefined
  return new SqlNumber(value <= INT_MAX ? 'int' : 'long', value)
}

/** A float constant; undefined unless it is above zero and finite, as the official parser wants. */
export function floatConstant(text: string): SqlNumber | undefined {
  const value = Number(text)
  return value > 0 && Number.isFinite(value) ? new SqlNumber('double', value) : undefined
}

export function negate(value: SqlValue): SqlValue {
  return value instanceof SqlNumber ? new SqlNumber(value.type, -value.value) : null
}

/** Reads `text` the way Java reads a number of this type; undefined when it is none. */
export function parseAs(type: SqlNumber['type'], text: string): SqlNumber | undefined {
  if (type === 'double') return parseDouble(text)
  if (!/^[+-]?\d+$/.test(text)) return undefined
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  const max = type === 'int' ? INT_MAX : LONG_MAX
  return value > max || value < -max - 1n ? undefined : new SqlNumber(type, value)
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[dDfF]?$/
const HEXADECIMAL = /^([+-]?)0[xX](?:([0-9a-fA-F]+)\.?|([0-9a-fA-F]*)\.([0-9a-fA-F]+))[pP]([+-]?\d+)[dDfF]?$/

/** Java's `Double.parseDouble`: blanks around it, NaN, Infinity, hexadecimal floats and type suffixes are fine. */
export function parseDouble(text: string): SqlNumber | undefined {
  let start = 0
  let end = text.length
  while (start < end && text.charCodeAt(start) <= 0x20) start++
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--
  const trimmed = text.slice(start, end)
  const special = /^([+-]?)(NaN|Infinity)$/.exec(trimmed)
  if (special !== null) return new SqlNumber('double', Number(special[2] === 'NaN' ? 'NaN' : trimmed))
  if (DECIMAL.test(trimmed)) return new SqlNumber('double', Number(trimmed.replace(/[dDfF]$/, '')))
  const hexadecimal = HEXADECIMAL.exec(trimmed)
  if (hexadecimal === null) return undefined
  const fraction = hexadecimal[4] ?? ''
  const digits = Number.parseInt((hexadecimal[2] ?? hexadecimal[3]) + fraction, 16)
  const value = digits * 2 ** (Number(hexadecimal[5]) - 4 * fraction.length)
  return new SqlNumber('double', hexadecimal[1] === '-' ? -value : value)
}

/** Negative, zero or positive, as Java's `compareTo`: NaN is above everything, −0.0 is below 0.0. */
export function compareNumbers(a: SqlNumber, b: SqlNumber): number {
  if (a.type !== 'double' && b.type !== 'double') return a.value < b.value ? -1 : a.value > b.value ? 1 : 0
  const left = Number(a.value)
  const right = Number(b.value)
  if (left < right) return -1
  if (left > right) return 1
  if (Object.is(left, right)) return 0
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : 1
  if (Number.isNaN(right)) return -1
  return Object.is(left, -0) ? -1 : 1
}
