/** Evaluation went wrong, such as a text compared with a number that it is not. The message does not match. */
export const EVALUATION_ERROR = Symbol('evaluation error')

/**
 * Number with its Java type, which decides how a property's text is read when it is compared with it. Whole numbers
 * are a `number` where that is exact, else a `bigint`.
 */
export class SqlNumber {
  constructor(
    readonly type: 'int' | 'long' | 'double',
    readonly value: number | bigint,
  ) {}
}

export type SqlValue = null | boolean | string | SqlNumber

const INT_MAX = 2 ** 31 - 1
const LONG_MAX = 2n ** 63n - 1n
/** With this many digits a number is exact whatever they are. */
const EXACT_DIGITS_MAX = 15

/** An integer constant: 32 bits when it fits, else 64; undefined beyond. */
export function integerConstant(text: string): SqlNumber | undefined {
  // No leading zeros here, so that more than 20 characters are beyond 64 bits.
  if (text.length > 20) return undefined
  const value = parseInteger(text.replace(/[lL]$/, ''))
  return value === undefined ? undefined : new SqlNumber(value <= INT_MAX ? 'int' : 'long', value)
}

/** A float constant; undefined unless it is above zero and finite, as the official parser wants. */
export function floatConstant(text: string): SqlNumber | undefined {
  const value = Number(text)
  return value > 0 && Number.isFinite(value) ? new SqlNumber('double', value) : undefined
}

export function negate(value: SqlValue): SqlValue {
  if (!(value instanceof SqlNumber)) return null
  // Whole numbers have no −0.
  return new SqlNumber(value.type, value.value === 0 && value.type !== 'double' ? 0 : -value.value)
}

/** Reads `text` the way Java reads a number of this type; undefined when it is none. */
export function parseAs(type: SqlNumber['type'], text: string): SqlNumber | undefined {
  if (type === 'double') return parseDouble(text)
  const value = type === 'int' ? parseInt32(text) : parseInteger(text)
  return value === undefined ? undefined : new SqlNumber(type, value)
}

/** Java's `Integer.parseInt`. */
export function parseInt32(text: string): number | undefined {
  const value = parseInteger(text)
  return value === undefined || value > INT_MAX || value < -INT_MAX - 1 ? undefined : Number(value)
}

/** Java's `Long.parseLong`: sign and digits, nothing else. */
function parseInteger(text: string): number | bigint | undefined {
  const sign = text.charCodeAt(0)
  const digitsAt = sign === MINUS || sign === PLUS ? 1 : 0
  const { length } = text
  if (length === digitsAt) return undefined
  let value = 0
  for (let at = digitsAt; at < length; at++) {
    const digit = text.charCodeAt(at) - ZERO
    // Not a digit; also when there is no character.
    if (!(digit >= 0 && digit <= 9)) return undefined
    value = value * 10 + digit
  }
  if (length - digitsAt <= EXACT_DIGITS_MAX) return sign === MINUS ? 0 - value : value
  const exact = BigInt(sign === PLUS ? text.slice(1) : text)
  return exact > LONG_MAX || exact < -LONG_MAX - 1n ? undefined : exact
}

const ZERO = 0x30
const PLUS = 0x2b
const MINUS = 0x2d

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
