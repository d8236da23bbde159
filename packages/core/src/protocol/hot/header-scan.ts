import { isUtf8 } from 'node:buffer'
import { equalsBytes, parseInteger } from './bytes.js'
import { FIELD_COUNT, fieldOfLetter, fieldOfName } from './field-name.js'
import { ByteClass, byteClasses, skipBare, skipEscape, skipSpace } from './json-tokens.js'

/**
 * State of the last scan. It lives in this module, not in an object: the compiler then knows where the arrays are,
 * which makes the scan faster.
 */
const STARTS = new Int32Array(FIELD_COUNT)
const ENDS = new Int32Array(FIELD_COUNT)
const KINDS = new Uint8Array(FIELD_COUNT)
/** A bit per field that was seen. */
let seen = 0
/** Has any known field come with its one-letter name, and any with its long name? */
let hasLetters = false
let hasNames = false
/** Set when a field is asked for a number or truth value that it does not hold. */
let isMalformed = false

/** Bits of a value's kind. */
const TEXT = 1
const ESCAPED = 2
/** Has bytes of 128 or more. */
const HAS_HIGH = 4
/** A number, true, false or null. */
const BARE = 8

/** Numbers of the last header, by `Head`. */
const HEAD = new Int32Array(6)
const Head = { CODE: 0, OPAQUE: 1, FLAG: 2, VERSION: 3, BODY_START: 4, IS_BINARY: 5 } as const

const CLASSES = byteClasses()
const { PLAIN, ENDS_TEXT, ESCAPES, HIGH } = ByteClass
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x7b
const CLOSE = 0x7d
const HEADER_LENGTH_MASK = 0xffffff

const CODE = Buffer.from('code')
const FLAG = Buffer.from('flag')
const OPAQUE = Buffer.from('opaque')
const VERSION = Buffer.from('version')
const EXT_FIELDS = Buffer.from('extFields')
const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const CODE_FIRST = Buffer.from('{"code":')
const CODE_NAME = Buffer.from('"code":')

/** What the scanned header says; valid until the next scan. */
export const scanned = {
  code: () => HEAD[Head.CODE],
  opaque: () => HEAD[Head.OPAQUE],
  flag: () => HEAD[Head.FLAG],
  version: () => HEAD[Head.VERSION],
  bodyStart: () => HEAD[Head.BODY_START],
  isBinary: () => HEAD[Head.IS_BINARY] === 1,
  /** Bits of the fields that are there. */
  fields: () => seen,
  /** Do all fields come with one-letter names, or all with long ones? Mixed, the last of a pair would win here. */
  areLetters: () => !hasNames,
  areNames: () => !hasLetters,
  /** Has any field that was asked for a number or truth value been malformed? */
  isMalformed: () => isMalformed,
}

export function startOf(field: number): number {
  return seen & (1 << field) ? STARTS[field] : 0
}

export function endOf(field: number): number {
  return seen & (1 << field) ? ENDS[field] : 0
}

export function isEscaped(field: number): boolean {
  return (seen & (1 << field)) !== 0 && (KINDS[field] & ESCAPED) !== 0
}

/** Is the field, which was seen, not empty, and ASCII without control characters and escapes, as names are? */
export function isName(bytes: Uint8Array, field: number): boolean {
  if (KINDS[field] !== TEXT || STARTS[field] === ENDS[field]) return false
  return HEAD[Head.IS_BINARY] === 0 || isPrintable(bytes, STARTS[field], ENDS[field])
}

/** JSON text has been looked at byte by byte already; binary values have not. */
function isPrintable(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] < 0x20 || bytes[at] > 0x7f) return false
  return true
}

/** Is the field absent, or a text of valid UTF-8 (possibly escaped)? Binary values are not looked into. */
export function isTextOrAbsent(bytes: Buffer, field: number): boolean {
  if ((seen & (1 << field)) === 0 || KINDS[field] === TEXT) return true
  if (KINDS[field] === BARE) return false
  return (KINDS[field] & HAS_HIGH) === 0 || isUtf8(bytes.subarray(STARTS[field], ENDS[field]))
}

/** A 32-bit integer; `missing` when the field is absent. */
export function int32Of(bytes: Uint8Array, field: number, missing: number): number {
  if ((seen & (1 << field)) === 0) return missing
  const start = STARTS[field]
  // Most are one digit.
  const digit = bytes[start] - 0x30
  if (digit >= 0 && digit <= 9 && ENDS[field] - start === 1) return digit
  const value = parseInteger(bytes, start, ENDS[field])
  if (value !== (value | 0)) isMalformed = true
  return value | 0
}

/** A safe integer; the field was seen. */
export function integerOf(bytes: Uint8Array, field: number): number {
  const value = parseInteger(bytes, STARTS[field], ENDS[field])
  if (!Number.isNaN(value)) return value
  isMalformed = true
  return 0
}

/** False when the field is absent. */
export function booleanOf(bytes: Uint8Array, field: number): boolean {
  if ((seen & (1 << field)) === 0) return false
  const start = STARTS[field]
  const end = ENDS[field]
  if (equalsBytes(bytes, start, end, FALSE)) return false
  if (equalsBytes(bytes, start, end, TRUE)) return true
  if (end - start === 1 && (bytes[start] === 0x30 || bytes[start] === 0x31)) return bytes[start] === 0x31
  isMalformed = true
  return false
}

/**
 * Scans the header of the frame [start, end), which begins at the header word. False: not a request, not valid, or
 * something that only the general codec reads.
 */
export function scanHeader(bytes: Buffer, start: number, end: number): boolean {
  seen = 0
  isMalformed = hasLetters = hasNames = false
  const headerStart = start + 4
  if (headerStart > end) return false
  const headerEnd = headerStart + ((bytes[start + 1] << 16) | (bytes[start + 2] << 8) | bytes[start + 3])
  if (headerEnd > end) return false
  HEAD[Head.BODY_START] = headerEnd
  const serialization = bytes[start]
  HEAD[Head.IS_BINARY] = serialization
  const isValid =
    serialization === 0
      ? scanJson(bytes, headerStart, headerEnd)
      : serialization === 1 && scanBinary(bytes, headerStart, headerEnd)
  // Requests only, one-way ones included.
  return isValid && (HEAD[Head.FLAG] & ~2) === 0
}

/**
 * Request code of the frame [start, end), which begins at the header word; -1 when it is not found cheaply. Only good
 * for choosing a scanner: nothing else of the frame is checked. Binary: the 16 bits that are there.
 */
export function peekCode(bytes: Buffer, start: number, end: number): number {
  const headerStart = start + 4
  if (headerStart + 2 > end) return -1
  if (bytes[start] === 1) return readInt16(bytes, headerStart)
  if (bytes[start] !== 0) return -1
  const headerEnd = Math.min(end, headerStart + (bytes.readUInt32BE(start) & HEADER_LENGTH_MASK))
  let at = headerStart + CODE_FIRST.length
  if (at > headerEnd || !equalsBytes(bytes, headerStart, at, CODE_FIRST)) {
    const found = bytes.subarray(headerStart, headerEnd).indexOf(CODE_NAME)
    if (found < 0) return -1
    at = headerStart + found + CODE_NAME.length
  }
  const digits = at
  let code = 0
  for (; at < headerEnd && at - digits < 8 && bytes[at] >= 0x30 && bytes[at] <= 0x39; at++)
    code = code * 10 + bytes[at] - 0x30
  return at > digits ? code : -1
}

function readInt16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) >> 16) | bytes[at + 1]
}

function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

function scanBinary(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 21) return false
  HEAD[Head.CODE] = readInt16(bytes, start)
  HEAD[Head.VERSION] = readInt16(bytes, start + 3)
  HEAD[Head.OPAQUE] = readInt32(bytes, start + 5)
  HEAD[Head.FLAG] = readInt32(bytes, start + 9)
  const remarkLength = readInt32(bytes, start + 13)
  let at = start + 17
  if (remarkLength < 0 || remarkLength > end - at - 4) return false
  at += remarkLength
  const extLength = readInt32(bytes, at)
  at += 4
  if (extLength < 0 || extLength > end - at) return false
  const extEnd = at + extLength
  while (at < extEnd) {
    if (extEnd - at < 2) return false
    const nameStart = at + 2
    const nameEnd = nameStart + ((bytes[at] << 8) | bytes[at + 1])
    const valueStart = nameEnd + 4
    if (valueStart > extEnd) return false
    const valueLength = readInt32(bytes, nameEnd)
    if (valueLength < 0 || valueLength > extEnd - valueStart) return false
    at = valueStart + valueLength
    const field = fieldOf(bytes, nameStart, nameEnd)
    seen |= 1 << field
    STARTS[field] = valueStart
    ENDS[field] = at
    KINDS[field] = TEXT
  }
  return true
}

function fieldOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start === 1) {
    const field = fieldOfLetter(bytes[start])
    if (field !== 0) hasLetters = true
    return field
  }
  const field = fieldOfName(bytes, start, end)
  if (field !== 0) hasNames = true
  return field
}

/** The token that was skipped last: its inside, for texts. */
let tokenStart = 0
let tokenEnd = 0
let tokenKind = 0

/**
 * The two loops below repeat by hand what helpers would do for the ordinary case (no white space, no escapes, short
 * numbers): a call per token would cost as much as the token.
 */
function scanJson(bytes: Buffer, start: number, end: number): boolean {
  HEAD[Head.CODE] = -1
  HEAD[Head.OPAQUE] = HEAD[Head.FLAG] = HEAD[Head.VERSION] = 0
  if (start >= end || bytes[start] !== OPEN) return false
  let at = start + 1
  let hasExtFields = false
  for (;;) {
    if (bytes[at] !== QUOTE) at = skipSpace(bytes, at, end)
    if (bytes[at] !== QUOTE) return false
    const nameStart = ++at
    while (at < end && CLASSES[bytes[at]] === PLAIN) at++
    const nameEnd = at
    if (bytes[at++] !== QUOTE) return false
    if (bytes[at] !== COLON) at = skipSpace(bytes, at, end)
    if (at >= end || bytes[at++] !== COLON) return false
    if (bytes[at] <= 0x20) at = skipSpace(bytes, at, end)
    if (at >= end) return false
    if (bytes[at] === OPEN) {
      if (hasExtFields || !equalsBytes(bytes, nameStart, nameEnd, EXT_FIELDS)) return false
      hasExtFields = true
      at = scanExtFields(bytes, at, end)
    } else if (bytes[at] === QUOTE) {
      if (numberNamed(bytes, nameStart, nameEnd) !== OTHER) return false
      const from = ++at
      while (at < end && CLASSES[bytes[at]] === PLAIN) at++
      at = bytes[at] === QUOTE ? at + 1 : endText(bytes, from, at, end)
    } else {
      const number = numberNamed(bytes, nameStart, nameEnd)
      const from = at
      at = skipBare(bytes, from, end)
      if (at < 0 || (number !== OTHER && !putNumber(bytes, from, at, number))) return false
    }
    if (at < 0 || at >= end) return false
    if (bytes[at] <= 0x20) at = skipSpace(bytes, at, end)
    if (bytes[at] !== COMMA) break
    at++
  }
  if (at >= end || bytes[at] !== CLOSE || HEAD[Head.CODE] < 0) return false
  return at + 1 === end || skipSpace(bytes, at + 1, end) === end
}

/** Neither a number of the header nor `extFields`. */
const OTHER = -1
const EXT = -2

/** Which of the header's members is named [start, end)? `Head.CODE` and the like, EXT or OTHER. */
function numberNamed(bytes: Buffer, start: number, end: number): number {
  switch (bytes[start]) {
    case 0x63:
      return equalsBytes(bytes, start, end, CODE) ? Head.CODE : OTHER
    case 0x65:
      return equalsBytes(bytes, start, end, EXT_FIELDS) ? EXT : OTHER
    case 0x66:
      return equalsBytes(bytes, start, end, FLAG) ? Head.FLAG : OTHER
    case 0x6f:
      return equalsBytes(bytes, start, end, OPAQUE) ? Head.OPAQUE : OTHER
    case 0x76:
      return equalsBytes(bytes, start, end, VERSION) ? Head.VERSION : OTHER
    default:
      return OTHER
  }
}

/** Takes the bare value [start, end) as a 32-bit integer of the header. */
function putNumber(bytes: Buffer, start: number, end: number, index: number): boolean {
  // A second code is suspicious, and a negative one is none.
  if (index === EXT || (index === Head.CODE && HEAD[Head.CODE] >= 0)) return false
  const value = parseInteger(bytes, start, end)
  if (value !== (value | 0)) return false
  HEAD[index] = value | 0
  return true
}

function scanExtFields(bytes: Buffer, open: number, end: number): number {
  let at = open + 1
  let fields = seen
  if (bytes[at] !== QUOTE) at = skipSpace(bytes, at, end)
  if (at < end && bytes[at] === CLOSE) return at + 1
  for (;;) {
    let field: number
    if (end - at > 5 && bytes[at + 2] === QUOTE && bytes[at] === QUOTE && bytes[at + 3] === COLON) {
      // A one-letter name, as send requests have.
      if (CLASSES[bytes[at + 1]] !== PLAIN) return -1
      field = fieldOfLetter(bytes[at + 1])
      if (field !== 0) hasLetters = true
      at += 4
    } else {
      at = skipName(bytes, at, end)
      if (at < 0) return -1
      field = fieldOf(bytes, tokenStart, tokenEnd)
    }
    const start = at + 1
    if (bytes[at] === QUOTE) {
      for (at = start; at < end && CLASSES[bytes[at]] === PLAIN; ) at++
      if (at >= end) return -1
      if (bytes[at] === QUOTE) {
        STARTS[field] = start
        ENDS[field] = at++
        KINDS[field] = TEXT
      } else {
        at = endText(bytes, start, at, end)
        STARTS[field] = start
        ENDS[field] = tokenEnd
        KINDS[field] = tokenKind
      }
    } else {
      STARTS[field] = at
      at = skipBare(bytes, at, end)
      ENDS[field] = at
      KINDS[field] = BARE
    }
    if (at < 0 || at >= end) return -1
    // Field 0, which nobody asks for, takes what is not known.
    fields |= 1 << field
    if (bytes[at] <= 0x20) {
      at = skipSpace(bytes, at, end)
      if (at >= end) return -1
    }
    const next = bytes[at++]
    if (next !== COMMA) {
      seen = fields
      return next === CLOSE ? at : -1
    }
  }
}

/** Skips a member's name and colon, and space around them. Returns where the value starts; -1 when there is none. */
function skipName(bytes: Buffer, from: number, end: number): number {
  let at = bytes[from] <= 0x20 ? skipSpace(bytes, from, end) : from
  if (at >= end || bytes[at] !== QUOTE) return -1
  const start = ++at
  while (at < end && CLASSES[bytes[at]] === PLAIN) at++
  // A name with escapes may be one that we know, in disguise.
  if (at >= end || bytes[at] !== QUOTE) return -1
  tokenStart = start
  tokenEnd = at++
  if (bytes[at] <= 0x20) at = skipSpace(bytes, at, end)
  if (at >= end || bytes[at] !== COLON) return -1
  at++
  if (bytes[at] <= 0x20) at = skipSpace(bytes, at, end)
  return at < end ? at : -1
}

/** Skips the rest of the text that starts at `from` and makes its inside the current token. All before `rest` is plain. */
function endText(bytes: Buffer, from: number, rest: number, end: number): number {
  let kind = TEXT
  let at = rest
  while (at < end) {
    const byteClass = CLASSES[bytes[at++]]
    if (byteClass === ENDS_TEXT) {
      tokenStart = from
      tokenEnd = at - 1
      tokenKind = kind
      return at
    }
    if (byteClass === ESCAPES) {
      kind |= ESCAPED
      at = skipEscape(bytes, at, end)
      if (at < 0) return -1
    } else if (byteClass === HIGH) kind |= HAS_HIGH
    else return -1
    while (at < end && CLASSES[bytes[at]] === PLAIN) at++
  }
  return -1
}
