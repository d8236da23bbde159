import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { RemotingCommand } from '../remoting/command.js'
import { BROKER_VERSION } from '../remoting/limits.js'

const SIGNATURE = 'Signature'
const UNIQUE_KEY_QUERY = '_UNIQUE_KEY_QUERY'
/** Clients up to 4.9.3 leave `_UNIQUE_KEY_QUERY` out of what they sign. */
const UNSIGNED_UNIQUE_KEY_VERSION_MAX = 399

/**
 * Bytes that a client signs: the values of all ext fields but the signature, in byte order of their names, then the
 * body. behaviour.md §19
 */
export function signedBytes(command: Pick<RemotingCommand, 'extFields' | 'body' | 'version'>): Buffer {
  const values = Buffer.from(signedValues(command))
  return command.body === undefined ? values : Buffer.concat([values, command.body])
}

function signedValues({ extFields, version }: Pick<RemotingCommand, 'extFields' | 'version'>): string {
  // UTF-16 order, as Java's sorted map has it.
  const names = Object.keys(extFields).sort()
  let values = ''
  for (const name of names)
    if (name !== SIGNATURE && (name !== UNIQUE_KEY_QUERY || version > UNSIGNED_UNIQUE_KEY_VERSION_MAX))
      values += extFields[name]
  return values
}

/** Base64 of HMAC-SHA1 under the UTF-8 bytes of the secret. */
export function sign(bytes: Uint8Array, secretKey: string): string {
  return createHmac('sha1', secretKey).update(bytes).digest('base64')
}

/**
 * Is the command's signature that of this secret? Takes as long for a wrong signature as for the right one. A
 * KeyObject of the secret saves making one per request.
 */
export function isSignedBy(
  command: Pick<RemotingCommand, 'extFields' | 'body' | 'version'>,
  secretKey: string | KeyObject,
): boolean {
  const hmac = createHmac('sha1', secretKey).update(signedValues(command), 'utf8')
  if (command.body !== undefined) hmac.update(command.body)
  const right = Buffer.from(hmac.digest('base64'), 'latin1')
  const claimed = Buffer.from(command.extFields[SIGNATURE] ?? '')
  return claimed.length === right.length && timingSafeEqual(claimed, right)
}

/** What a client signs its requests with. */
export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
  /** Of temporary credentials: sent along and signed. */
  readonly securityToken?: string | undefined
}

/** The fields of a request of ours with `AccessKey` and `Signature` added. RocketMQ `AclClientRPCHook` */
export function signedFields(
  { accessKey, secretKey, securityToken }: Credentials,
  fields: Readonly<Record<string, string>> | undefined,
  body: Uint8Array | undefined,
): Record<string, string> {
  const signed: Record<string, string> = { ...fields, AccessKey: accessKey }
  if (securityToken !== undefined) signed['SecurityToken'] = securityToken
  const hmac = createHmac('sha1', secretKey).update(
    signedValues({ extFields: signed, version: BROKER_VERSION }),
    'utf8',
  )
  if (body !== undefined) hmac.update(body)
  signed[SIGNATURE] = hmac.digest('base64')
  return signed
}
