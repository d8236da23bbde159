import { createHmac, timingSafeEqual } from 'node:crypto'
import type { RemotingCommand } from '../remoting/command.js'

const SIGNATURE = 'Signature'
const UNIQUE_KEY_QUERY = '_UNIQUE_KEY_QUERY'
/** Clients up to 4.9.3 leave `_UNIQUE_KEY_QUERY` out of what they sign. */
const UNSIGNED_UNIQUE_KEY_VERSION_MAX = 399

/**
 * Bytes that a client signs: the values of all ext fields but the signature, in byte order of their names, then the
 * body. behaviour.md §19
 */
export function signedBytes(command: Pick<RemotingCommand, 'extFields' | 'body' | 'version'>): Buffer {
  const { extFields, body, version } = command
  const names = Object.keys(extFields).filter(
    name => name !== SIGNATURE && (name !== UNIQUE_KEY_QUERY || version > UNSIGNED_UNIQUE_KEY_VERSION_MAX),
  )
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const values = Buffer.from(names.map(name => extFields[name]).join(''))
  return body === undefined ? values : Buffer.concat([values, body])
}

/** Base64 of HMAC-SHA1 under the UTF-8 bytes of the secret. */
export function sign(bytes: Uint8Array, secretKey: string): string {
  return createHmac('sha1', secretKey).update(bytes).digest('base64')
}

/** Is the command's signature that of this secret? Takes as long for a wrong signature as for the right one. */
export function isSignedBy(
  command: Pick<RemotingCommand, 'extFields' | 'body' | 'version'>,
  secretKey: string,
): boolean {
  const claimed = Buffer.from(command.extFields[SIGNATURE] ?? '')
  const right = Buffer.from(sign(signedBytes(command), secretKey))
  return claimed.length === right.length && timingSafeEqual(claimed, right)
}
