import { assert, MAGIC_BLANK, MAGIC_V1, MAGIC_V2 } from '@millrace/core'

/**
 * Apache RocketMQ's commit-log layout: files of one fixed size, named by the position of their first byte in
 * 20 decimal digits; records lie back to back and never cross a file; a file that has no room for the next
 * record ends in a filler. `CommitLog`, `MappedFileQueue` (5.x)
 */

/** First word after the size of a record with a one-byte topic length. */
export const RECORD_MAGIC_V1 = MAGIC_V1 | 0
/** The same with a two-byte topic length. */
export const RECORD_MAGIC_V2 = MAGIC_V2 | 0
/** Marks the rest of a file as unused. */
export const FILLER_MAGIC = MAGIC_BLANK | 0
/** Bytes a filler needs: size and magic. Every record leaves at least this much room behind it in its file. */
export const FILLER_BYTES_MIN = 8

/** Byte offsets inside a record up to the born host, which is where the length begins to vary. */
export const RECORD_AT = {
  totalSize: 0,
  magic: 4,
  bodyCrc: 8,
  queueId: 12,
  flag: 16,
  queueOffset: 20,
  position: 28,
  sysFlag: 36,
  bornTimestamp: 40,
  bornHost: 48,
} as const

/** Smallest record: IPv4 hosts, no body, no topic, no properties. */
export const RECORD_BYTES_MIN = 91
/** What a record needs beside body, topic and properties at most (IPv6 hosts, V2 topic length). */
export const RECORD_OVERHEAD_MAX = 91 + 24 + 1

export const SYS_FLAG_BORN_IPV6 = 0x10
export const SYS_FLAG_STORE_IPV6 = 0x20

/** @param position first byte of the file */
export function logFileName(position: number): string {
  assert(Number.isSafeInteger(position) && position >= 0, 'log position', { position })
  return String(position).padStart(20, '0')
}

/** Position of a file's first byte, undefined when the name is not one of a log file. */
export function parseLogFileName(name: string): number | undefined {
  if (!/^\d{20}$/.test(name)) return undefined
  const position = Number(name)
  return Number.isSafeInteger(position) ? position : undefined
}

/** Big-endian 64-bit integer at `at`, which must be a safe integer to be exact. */
export function readLong(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

/** Writes a safe integer as big-endian 64 bits. */
export function writeLong(bytes: Buffer, at: number, value: number): void {
  bytes.writeInt32BE(Math.floor(value / 0x1_0000_0000), at)
  bytes.writeUInt32BE(value >>> 0, at + 4)
}
