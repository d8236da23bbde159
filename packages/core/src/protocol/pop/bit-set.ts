/** Bits as batch acknowledgements carry them: Base64 of bytes, bit i is bit i mod 8 of byte i / 8. */
export function formatBitSet(bits: readonly number[]): string {
  const bytes = Buffer.alloc(bits.length === 0 ? 0 : Math.floor(Math.max(...bits) / 8) + 1)
  for (const bit of bits) bytes[bit >> 3] |= 1 << (bit & 7)
  return bytes.toString('base64')
}

/** Far more than one pop can give; a longer text is not read, because every bit becomes a number. */
const TEXT_LENGTH_MAX = 4096

/** Bits that are set, ascending; none when the text is absurdly long. */
export function parseBitSet(text: string): number[] {
  if (text.length > TEXT_LENGTH_MAX) return []
  const bytes = Buffer.from(text, 'base64')
  const bits: number[] = []
  for (let bit = 0; bit < bytes.length * 8; bit++) if (bytes[bit >> 3] & (1 << (bit & 7))) bits.push(bit)
  return bits
}
