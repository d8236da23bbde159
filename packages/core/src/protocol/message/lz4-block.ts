/** A match is at least this long. Source: the LZ4 block format description. */
const MATCH_BYTES_MIN = 4
/** The last bytes of a block are literals … */
const LAST_LITERALS = 5
/** … and no match starts closer than this to its end. */
const MATCH_START_MARGIN = 12
const OFFSET_MAX = 65_535
const HASH_BITS = 13

/** Length that the block in [start, end) unpacks to; -1 when it is malformed or longer than `bytesMax`. */
export function lz4BlockLength(source: Buffer, start: number, end: number, bytesMax: number): number {
  let at = start
  let length = 0
  while (at < end) {
    const token = source[at++]
    let count = token >> 4
    if (count === 15) {
      let more = 255
      while (more === 255) {
        if (at >= end) return -1
        more = source[at++]
        count += more
      }
    }
    at += count
    length += count
    if (at > end || length > bytesMax) return -1
    if (at === end) return length
    at += 2
    if (at > end) return -1
    count = (token & 15) + MATCH_BYTES_MIN
    if (count === 15 + MATCH_BYTES_MIN) {
      let more = 255
      while (more === 255) {
        if (at >= end) return -1
        more = source[at++]
        count += more
      }
    }
    length += count
    if (length > bytesMax) return -1
  }
  return -1
}

/**
 * Unpacks a block that `lz4BlockLength` has measured to `target` at `targetStart`. Matches may reach back to
 * `windowStart`. Returns the end of what was written, -1 when a match reaches further back.
 */
export function unpackLz4Block(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  targetStart: number,
  windowStart: number,
): number {
  let at = start
  let to = targetStart
  while (at < end) {
    const token = source[at++]
    let count = token >> 4
    if (count === 15) {
      let more = 255
      while (more === 255) count += more = source[at++]
    }
    for (let i = 0; i < count; i++) target[to++] = source[at++]
    if (at >= end) break
    const offset = source[at] | (source[at + 1] << 8)
    at += 2
    count = (token & 15) + MATCH_BYTES_MIN
    if (count === 15 + MATCH_BYTES_MIN) {
      let more = 255
      while (more === 255) count += more = source[at++]
    }
    if (offset === 0 || to - offset < windowStart) return -1
    // Byte by byte, because a match may overlap what it writes.
    for (let i = 0; i < count; i++, to++) target[to] = target[to - offset]
  }
  return to
}

/** Most bytes that packing `count` bytes can take. */
export function lz4BlockBound(count: number): number {
  return count + Math.ceil(count / 255) + 16
}

/** Packs [start, end) greedily to `target` at `targetStart`, which has room for `lz4BlockBound`. Returns the end. */
export function packLz4Block(source: Buffer, start: number, end: number, target: Buffer, targetStart: number): number {
  const table = new Int32Array(1 << HASH_BITS).fill(-1)
  const matchLimit = end - LAST_LITERALS
  let to = targetStart
  let literals = start
  let at = start
  while (at < end - MATCH_START_MARGIN) {
    const word = source.readInt32LE(at)
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS)
    const candidate = table[slot]
    table[slot] = at
    if (candidate < 0 || at - candidate > OFFSET_MAX || source.readInt32LE(candidate) !== word) {
      at++
      continue
    }
    let length = MATCH_BYTES_MIN
    while (at + length < matchLimit && source[candidate + length] === source[at + length]) length++
    to = writeSequence(source, literals, at, target, to, length - MATCH_BYTES_MIN)
    const offset = at - candidate
    target[to++] = offset & 0xff
    target[to++] = offset >> 8
    to = writeRest(target, to, length - MATCH_BYTES_MIN)
    at += length
    literals = at
  }
  return writeSequence(source, literals, end, target, to, 0)
}

/** Token, literal length and literals. */
function writeSequence(source: Buffer, from: number, until: number, target: Buffer, at: number, match: number): number {
  const count = until - from
  target[at] = (Math.min(count, 15) << 4) | Math.min(match, 15)
  const literalsAt = writeRest(target, at + 1, count)
  source.copy(target, literalsAt, from, until)
  return literalsAt + count
}

/** What a length of 15 or more has beyond the token: a run of 255 and the remainder. */
function writeRest(target: Buffer, at: number, length: number): number {
  if (length < 15) return at
  let rest = length - 15
  let to = at
  for (; rest >= 255; rest -= 255) target[to++] = 255
  target[to++] = rest
  return to
}
