const HEX = Uint8Array.from('0123456789ABCDEF', digit => digit.charCodeAt(0))
const WORD = 0x1_0000_0000
const BILLION = 1_000_000_000
/** From this length on the platform's copy is faster than a loop, which needs no view of the source. */
const LOOP_COPY_BYTES_MAX = 128

/** Copies source[start, end) to `target` at `at`; returns the end of the copy. */
export function copyBytes(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  if (end - start > LOOP_COPY_BYTES_MAX) target.set(source.subarray(start, end), at)
  else for (let from = start, to = at; from < end; ) target[to++] = source[from++]
  return at + end - start
}

export function writeInt16(target: Uint8Array, at: number, value: number): number {
  target[at] = value >>> 8
  target[at + 1] = value
  return at + 2
}

export function writeInt32(target: Uint8Array, at: number, value: number): number {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
  return at + 4
}

/** Decimal digits of a safe integer. */
export function writeDecimal(target: Uint8Array, at: number, value: number): number {
  let to = at
  let rest = value
  if (rest < 0) {
    target[to++] = 0x2d
    rest = -rest
  }
  if (rest < BILLION) return writeDigits(target, to, rest | 0, decimalLength(rest))
  const billions = Math.floor(rest / BILLION)
  to = writeDigits(target, to, billions | 0, decimalLength(billions))
  return writeDigits(target, to, (rest - billions * BILLION) | 0, 9)
}

/** The last `count` digits of an integer below 2^31. */
function writeDigits(target: Uint8Array, at: number, value: number, count: number): number {
  let rest = value
  for (let to = at + count - 1; to >= at; to--) {
    const next = (rest / 10) | 0
    target[to] = 0x30 + rest - next * 10
    rest = next
  }
  return at + count
}

/** Digits that `writeDecimal` writes, the sign included. */
export function decimalLength(value: number): number {
  let count = value < 0 ? 2 : 1
  let rest = value < 0 ? -value : value
  for (; rest >= BILLION; rest = Math.floor(rest / BILLION)) count += 9
  for (let limit = 10; rest >= limit; limit *= 10) count++
  return count
}

/** 16 upper-case hex digits of a safe, non-negative integer. */
export function writeHex64(target: Uint8Array, at: number, value: number): number {
  writeHex32(target, at, Math.floor(value / WORD))
  return writeHex32(target, at + 8, value)
}

function writeHex32(target: Uint8Array, at: number, value: number): number {
  for (let i = 0, shift = 28; i < 8; i++, shift -= 4) target[at + i] = HEX[(value >>> shift) & 15]
  return at + 8
}

/** Bytes of a JSON string's inside, with quotes, backslashes and control characters escaped. */
export function writeJsonText(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  let to = at
  for (let from = start; from < end; from++) {
    const byte = source[from]
    if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) {
      target[to++] = byte
      continue
    }
    target[to++] = 0x5c
    if (byte >= 0x20) target[to++] = byte
    else {
      target[to] = 0x75
      target[to + 1] = target[to + 2] = 0x30
      target[to + 3] = HEX[byte >> 4]
      target[to + 4] = HEX[byte & 15]
      to += 5
    }
  }
  return to
}

/**
 * Integer in the ASCII text [start, end), written as Java writes one: NaN for anything else, and for what is not a safe
 * integer.
 */
export function parseInteger(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  const isNegative = bytes[at] === 0x2d
  if (isNegative) at++
  const count = end - at
  if (count <= 0 || count > 16 || (bytes[at] === 0x30 && (count > 1 || isNegative))) return Number.NaN
  // Nine digits at a time fit integer arithmetic, which is faster than that of doubles.
  const head = parseDigits(bytes, at, count > 9 ? end - 9 : end)
  if (count <= 9) return head < 0 ? Number.NaN : isNegative ? -head : head
  const tail = parseDigits(bytes, end - 9, end)
  const value = head * BILLION + tail
  if (head < 0 || tail < 0 || value > Number.MAX_SAFE_INTEGER) return Number.NaN
  return isNegative ? -value : value
}

/** Value of at most nine digits; -1 when one is none. */
function parseDigits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at] - 0x30
    if (digit < 0 || digit > 9) return -1
    value = (value * 10 + digit) | 0
  }
  return value
}

/** Is [start, end) the ASCII text `name`? */
export function equalsBytes(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false
  return true
}
