const NAME_END = '\u0001'
const PAIR_END = '\u0002'

/** Most bytes that a property string may have: its length is a signed 16-bit number. messages.md §1 */
export const PROPERTIES_BYTES_MAX = 32_767

/**
 * Reads a property string: `name U+0001 value U+0002` repeated. A pair without a name or without a value is dropped;
 * the last pair may lack its end mark; a value may contain U+0001. messages.md §5
 *
 * @returns a map without prototype, so that any name is just a name.
 */
export function parseProperties(text: string | Uint8Array): Record<string, string> {
  const properties: Record<string, string> = Object.create(null)
  const source = typeof text === 'string' ? text : utf8(text)
  let at = 0
  while (at < source.length) {
    let end = source.indexOf(PAIR_END, at)
    if (end < 0) end = source.length
    const nameEnd = source.indexOf(NAME_END, at)
    if (nameEnd > at && nameEnd + 1 < end) properties[source.slice(at, nameEnd)] = source.slice(nameEnd + 1, end)
    at = end + 1
  }
  return properties
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** Writes a property string. Every pair ends with U+0002; undefined values are left out. */
export function formatProperties(properties: Readonly<Record<string, string | undefined>>): string {
  let text = ''
  for (const name in properties) {
    const value = properties[name]
    if (value !== undefined) text += name + NAME_END + value + PAIR_END
  }
  return text
}
