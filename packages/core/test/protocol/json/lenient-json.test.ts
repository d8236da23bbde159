import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatJson, type JsonInput, parseLenientJson } from '../../../src/protocol/json/lenient-json.js'
import { vectors } from '../vectors.js'

function parsed(text: string) {
  const result = parseLenientJson(text)
  if (!result.ok) throw new Error(result.reason)
  return result.value
}

describe('parseLenientJson', () => {
  const bodies = vectors<{ name: string; bodyText?: string | null }>('bodies').filter(c => c.bodyText?.startsWith('{'))

  it.each(bodies.map(c => [c.name, c.bodyText ?? ''] as const))('parses the official %s body', (_name, text) => {
    const value = parsed(text)
    expect(value).toBeTypeOf('object')
    // Writing loses nothing but nulls, unquoted keys and the way doubles are written.
    const rewritten = formatJson(value as JsonInput)
    expect(parsed(rewritten)).toEqual(value)
    const quoted = text.replace(/([{,])(-?\d+):/g, '$1"$2":')
    if (!/:null|\d\.0\b|\d{16}/.test(text)) expect(rewritten).toBe(quoted)
  })

  it('reads objects as keys as a Map', () => {
    const value = parsed(
      '{ {"brokerName":"b","queueId":0,"topic":"t"} : 5 , {"brokerName":"b","queueId":1,"topic":"t"}:{"x":[1,{}]} }',
    )
    expect(value).toEqual(
      new Map<unknown, unknown>([
        [{ brokerName: 'b', queueId: 0, topic: 't' }, 5],
        [{ brokerName: 'b', queueId: 1, topic: 't' }, { x: [1, {}] }],
      ]),
    )
  })

  it('reads unquoted numeric keys', () => {
    expect({ ...(parsed('{0:"a", -1 : "b"}') as object) }).toEqual({ 0: 'a', '-1': 'b' })
  })

  it.each([
    '',
    '{',
    '{0',
    '{0:',
    '{0:1',
    '{0:1,}',
    '[{0:1}',
    '[{0:1},]',
    '{0:1}x',
    '{0:"a}',
    '{a:1}',
    "{0:'a'}",
    '{0:01}',
  ])('gives a reason for %s', text => {
    expect(parseLenientJson(text)).toMatchObject({ ok: false, reason: expect.stringMatching(/at character \d+/) })
  })

  it('bounds nesting', () => {
    expect(parseLenientJson(`{0:${'['.repeat(100_000)}`)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('nesting'),
    })
  })

  it('gives a value or a reason on each truncation and each flipped bit', () => {
    const text = Buffer.from('{"t":{{"brokerName":"b\\u0041","queueId":0}:1.5e3},"n":{0:[true,null]}}')
    for (let end = 0; end < text.length; end++)
      expect(parseLenientJson(text.subarray(0, end))).toMatchObject({ ok: false })
    for (let bit = 0; bit < text.length * 8; bit++) {
      const mutated = Buffer.from(text)
      mutated[bit >> 3] ^= 1 << (bit & 7)
      expect(parseLenientJson(mutated)).toHaveProperty('ok')
    }
  })
})

describe('formatJson', () => {
  it('writes object keys with their members in alphabetical order', () => {
    const offsets = new Map([[{ topic: 't', brokerName: 'b', queueId: 3 }, 5]])
    expect(formatJson({ offsetTable: offsets })).toBe('{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"t"}:5}}')
  })

  it('leaves null and undefined members out, but keeps null items', () => {
    expect(formatJson({ a: null, b: undefined, c: [null], d: new Map([[1, 'x']]) })).toBe('{"c":[null],"d":{"1":"x"}}')
  })

  it('writes strict JSON for plain data', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        fc.pre(!JSON.stringify(value).includes('null'))
        expect(formatJson(value as JsonInput)).toBe(JSON.stringify(value))
      }),
    )
  })
})
