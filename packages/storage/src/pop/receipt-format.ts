import type { PopReceipt } from './pop-receipt.js'

/**
 * A receipt on disk.
 *
 * Key, ordered by the time the receipt is due: due time (8-byte double), queue number (4), start offset (8-byte double).
 * Value: pop time (8-byte double), bits of the open messages (4), count of messages (1), then their distances from the
 * start offset (4 each), left out when they are 0, 1, 2, …
 */
export const KEY_BYTES = 20
const HEAD_BYTES = 13

export interface ReceiptKey {
  readonly dueMs: number
  readonly queueNumber: number
  readonly startOffset: number
}

export function receiptKey(dueMs: number, queueNumber: number, startOffset: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES)
  // Doubles of one sign are ordered as their bytes; nobody pops before 1970.
  key.writeDoubleBE(Math.max(0, dueMs), 0)
  key.writeUInt32BE(queueNumber, 8)
  key.writeDoubleBE(startOffset, 12)
  return key
}

export function readReceiptKey(bytes: Uint8Array): ReceiptKey {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { dueMs: key.readDoubleBE(0), queueNumber: key.readUInt32BE(8), startOffset: key.readDoubleBE(12) }
}

export function encodeReceipt({ distances, messageCount, open, popTime }: PopReceipt): Buffer {
  const value = Buffer.allocUnsafe(HEAD_BYTES + (distances === undefined ? 0 : distances.length * 4))
  value.writeDoubleBE(popTime, 0)
  value.writeUInt32BE(open, 8)
  value.writeUInt8(messageCount, 12)
  for (let i = 0; distances !== undefined && i < distances.length; i++)
    value.writeUInt32BE(distances[i], HEAD_BYTES + i * 4)
  return value
}

export interface ReceiptValue {
  readonly popTime: number
  readonly open: number
  readonly messageCount: number
  readonly distances: readonly number[] | undefined
}

export function decodeReceipt(bytes: Uint8Array): ReceiptValue {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messageCount = value.readUInt8(12)
  return {
    popTime: value.readDoubleBE(0),
    open: value.readUInt32BE(8),
    messageCount,
    distances:
      value.length === HEAD_BYTES
        ? undefined
        : Array.from({ length: messageCount }, (_, i) => value.readUInt32BE(HEAD_BYTES + i * 4)),
  }
}
