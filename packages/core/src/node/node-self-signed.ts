import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const Tag = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OBJECT: 0x06,
  UTF8: 0x0c,
  UTC_TIME: 0x17,
  TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const

/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256 */
const ECDSA_SHA256 = Buffer.from('2a8648ce3d040302', 'hex')
/** 2.5.4.3, common name */
const COMMON_NAME = Buffer.from('550403', 'hex')

/** One value in DER. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/**
 * A new P-256 key and a certificate that it has signed itself (RFC 5280, version 1), for servers that were given none:
 * what travels is encrypted, who answers cannot be checked. The official server makes one too (tls.test.mode.enable).
 */
export function selfSigned(): { readonly cert: string; readonly key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = der(Tag.SEQUENCE, der(Tag.OBJECT, ECDSA_SHA256))
  const name = der(
    Tag.SEQUENCE,
    der(Tag.SET, der(Tag.SEQUENCE, der(Tag.OBJECT, COMMON_NAME), der(Tag.UTF8, Buffer.from('millrace')))),
  )
  const serial = randomBytes(8)
  // Positive, and not shorter than it looks.
  serial[0] = (serial[0]! & 0x3f) | 0x40
  const toBeSigned = der(
    Tag.SEQUENCE,
    der(Tag.INTEGER, serial),
    algorithm,
    name,
    der(Tag.SEQUENCE, der(Tag.UTC_TIME, Buffer.from('200101000000Z')), der(Tag.TIME, Buffer.from('20991231235959Z'))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = der(Tag.BIT_STRING, Buffer.from([0]), sign('sha256', toBeSigned, privateKey))
  return {
    cert: pem('CERTIFICATE', der(Tag.SEQUENCE, toBeSigned, algorithm, signature)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
