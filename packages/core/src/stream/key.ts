import { assert } from '../assert.js'
import { MillraceError } from '../errors.js'
import { tagHash } from '../protocol/message/tag.js'

/** What records can be grouped by. `1` and `'1'` are different keys. */
export type Key = string | number

/** Longest key, encoded: the state store's own limit less what Millrace puts in front of it. */
export const KEY_BYTES_MAX = 1024

const STRING_KEY = 0x73
const NUMBER_KEY = 0x6e

/** Bytes of a key, the same for equal keys and different for different ones. @throws MillraceError INVALID_ARGUMENT */
export function encodeKey(key: Key): Buffer {
  const encoded = Buffer.from(typeof key === 'string' ? `s${key}` : `n${key}`)
  if (encoded.length > KEY_BYTES_MAX)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `a key of ${encoded.length} bytes is over the limit of ${KEY_BYTES_MAX}; key by something shorter, or by its hash`,
    )
  return encoded
}

/** Inverse of `encodeKey`. */
export function decodeKey(encoded: Buffer): Key {
  assert(encoded[0] === STRING_KEY || encoded[0] === NUMBER_KEY, 'encoded key', { first: encoded[0] })
  const written = encoded.toString('utf8', 1)
  return encoded[0] === STRING_KEY ? written : Number(written)
}

/**
 * The queue that holds a key: an index below `queueCount` into the topic's queues sorted by broker name and queue id.
 * Equal to RocketMQ's `SelectMessageQueueByHash` with the key's text as its argument, so that a Java producer which
 * uses it and a Millrace producer send a key to the same queue.
 */
export function queueOfKey(key: Key, queueCount: number): number {
  assert(queueCount > 0, 'a topic has queues')
  // Tags are hashed by Java's `String.hashCode` too.
  return Math.abs(tagHash(String(key)) % queueCount)
}
