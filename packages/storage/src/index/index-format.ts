/**
 * What the index keeps in LMDB. All of it can be rebuilt from the log.
 *
 * | table | key | value |
 * |---|---|---|
 * | blocks | topic, 0, queue id (u32), block number (u32) | up to 64 entries of 16 bytes: position f64, size u32, tag hash i32 |
 * | queues | topic, 0, queue id (u32) | first offset f64, next offset f64 |
 * | keys | level (u8), sequence (f64) | a run of key hashes, see key-runs.ts |
 * | state | name | watermark f64; per deleted topic the position of its deletion |
 *
 * Numbers inside values are little-endian, inside keys big-endian, so that keys sort by number.
 */

/** Entries per block: a block stays well inside an LMDB leaf page. */
export const BLOCK_ENTRIES = 64
export const ENTRY_BYTES = 16

/** Key of one queue. */
export function queueKey(topic: string, queueId: number): Buffer {
  const length = Buffer.byteLength(topic)
  const key = Buffer.allocUnsafe(length + 5)
  key.write(topic, 0)
  key[length] = 0
  key.writeUInt32BE(queueId, length + 1)
  return key
}

/** Topic of a queue's key. */
export function topicOf(queue: Buffer): string {
  return queue.toString('utf8', 0, queue.length - 5)
}

/** Key of one block of a queue, from the queue's key. */
export function blockKey(queue: Buffer, block: number): Buffer {
  const key = Buffer.allocUnsafe(queue.length + 4)
  queue.copy(key)
  key.writeUInt32BE(block, queue.length)
  return key
}

/** Range of keys [from, to) that holds everything of a topic. */
export function topicRange(topic: string): { from: Buffer; to: Buffer } {
  return { from: Buffer.from(`${topic}\0`), to: Buffer.from(`${topic}\x01`) }
}

/** 32-bit FNV-1a of `topic#key`, continued from the hash of the topic part. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed = 0x811c9dc5): number {
  let hash = seed
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash >>> 0
}

const HASH_SIGN = 0x23

/** Hash under which the key index finds a message. */
export function keyHash(topicHash: number, bytes: Uint8Array, start: number, end: number): number {
  return hashBytes(bytes, start, end, Math.imul(topicHash ^ HASH_SIGN, 0x01000193))
}
