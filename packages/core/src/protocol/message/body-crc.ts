import { crc32 } from 'node:zlib'

/** CRC-32 of a stored body, without its sign bit; 0 for an empty body. messages.md §4 */
export function bodyCrc(body: Uint8Array): number {
  return crc32(body) & 0x7fffffff
}
