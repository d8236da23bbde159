const BACKSLASH = 0x5c

/**
 * Copies a JSON string's bytes, resolving the simple escapes and those of U+0000 to U+007F.
 *
 * @returns the length written; -1 for any other escape, which the general codec reads.
 */
export function unescapeInto(source: Buffer, start: number, end: number, target: Uint8Array, at: number): number {
  let to = at
  for (let from = start; from < end; from++) {
    const byte = source[from]
    if (byte !== BACKSLASH) {
      target[to++] = byte
      continue
    }
    if (++from >= end) return -1
    const resolved = source[from] === 0x75 ? asciiEscape(source, from + 1, end) : simpleEscape(source[from])
    if (resolved < 0) return -1
    if (source[from] === 0x75) from += 4
    target[to++] = resolved
  }
  return to - at
}

/** The character of four hex digits below U+0080; -1 for others. */
function asciiEscape(source: Buffer, at: number, end: number): number {
  if (end - at < 4 || source[at] !== 0x30 || source[at + 1] !== 0x30) return -1
  const high = source[at + 2] - 0x30
  if (high < 0 || high > 7) return -1
  const low = source[at + 3]
  if (low >= 0x30 && low <= 0x39) return high * 16 + low - 0x30
  const letter = low | 0x20
  return letter >= 0x61 && letter <= 0x66 ? high * 16 + letter - 0x57 : -1
}

function simpleEscape(byte: number): number {
  switch (byte) {
    case 0x22:
    case BACKSLASH:
    case 0x2f:
      return byte
    case 0x62:
      return 0x08
    case 0x66:
      return 0x0c
    case 0x6e:
      return 0x0a
    case 0x72:
      return 0x0d
    case 0x74:
      return 0x09
    default:
      return -1
  }
}
