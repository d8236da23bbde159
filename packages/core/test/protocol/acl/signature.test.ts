import { describe, expect, it } from 'vitest'
import { isSignedBy, sign, signedBytes } from '../../../src/protocol/acl/signature.js'
import { hex, vectors } from '../vectors.js'

interface RequestCase {
  readonly code: number
  readonly secretKey: string
  readonly extFieldsIncludingSignature: Record<string, string>
  readonly bodyHex: string | null
  readonly bytesToSignHex: string
  readonly signature: string
}

interface RawCase {
  readonly data: string
  readonly key: string
  readonly signature: string
}

const CASES = vectors<RequestCase | RawCase>('acl')

describe('signatures of the official client', () => {
  it.each(CASES.filter(c => 'data' in c))('raw: $data', ({ data, key, signature }) => {
    expect(sign(Buffer.from(data), key)).toBe(signature)
  })

  it.each(CASES.filter(c => 'code' in c))('request $code', c => {
    const command = { extFields: c.extFieldsIncludingSignature, body: hex(c.bodyHex), version: 493 }
    expect(signedBytes(command).toString('hex')).toBe(c.bytesToSignHex)
    expect(isSignedBy(command, c.secretKey)).toBe(true)
    expect(isSignedBy(command, `${c.secretKey}x`)).toBe(false)
    expect(isSignedBy({ ...command, body: Buffer.from('other') }, c.secretKey)).toBe(false)
    expect(isSignedBy({ ...command, extFields: {} }, c.secretKey)).toBe(false)
  })
})

it('leaves the unique-key mark out for clients up to 4.9.3', () => {
  const extFields = { b: '2', a: '1', _UNIQUE_KEY_QUERY: 'true', Signature: 's' }
  expect(signedBytes({ extFields, body: undefined, version: 399 }).toString()).toBe('12')
  expect(signedBytes({ extFields, body: undefined, version: 400 }).toString()).toBe('true12')
})
