import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { MillraceError } from '@millrace/core'
import type { SecretBox } from './user-directory.js'

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals with AES-256-GCM under the key in file `path`. The file is made, readable for its owner only, when the first
 * secret is sealed; a copy of the store without it reveals nothing.
 */
export function secretBoxIn(path: string): SecretBox {
  let key: Buffer | undefined
  const keyOr = (absent: () => Buffer): Buffer => (key ??= readKey(path) ?? absent())
  return {
    seal(secret, context) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(
        'aes-256-gcm',
        keyOr(() => createKey(path)),
        iv,
      )
      cipher.setAAD(Buffer.from(context))
      const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64')
      const decipher = createDecipheriv(
        'aes-256-gcm',
        keyOr(() => {
          throw unreadable(path, 'is missing')
        }),
        bytes.subarray(0, IV_BYTES),
      )
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
      try {
        return decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
      } catch (cause) {
        throw unreadable(path, 'is not the one that the users were stored with', cause)
      }
    },
  }
}

function readKey(path: string): Buffer | undefined {
  let key: Buffer
  try {
    key = readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unreadable(path, `cannot be read: ${(error as Error).message}`, error)
  }
  if (key.length !== KEY_BYTES) throw unreadable(path, `has ${key.length} bytes instead of ${KEY_BYTES}`)
  return key
}

/** On disk before anything is sealed with it: without the key the users of this store are lost. */
function createKey(path: string): Buffer {
  const key = randomBytes(KEY_BYTES)
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, key)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
  return key
}

function unreadable(path: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'INVALID_CONFIG',
    `the key file "${path}" that protects the secrets of users ${what}; restore it, or set authKeyFile`,
    { cause },
  )
}
