import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSql92 } from '../../../src/protocol/filter/sql92.js'
import { vectors } from '../vectors.js'

interface FilterCase {
  readonly expr: string
  readonly props: Record<string, string>
  readonly result: boolean | null | 'compileError' | 'evalError'
  readonly matches: boolean
}

function lookupIn(properties: Record<string, string>) {
  return (name: string): string | undefined => (Object.hasOwn(properties, name) ? properties[name] : undefined)
}

function outcome(expression: string, properties: Record<string, string>) {
  const parsed = parseSql92(expression)
  if (!parsed.ok) return { result: 'compileError', matches: false }
  const result = parsed.filter.evaluate(lookupIn(properties))
  return {
    result: result === 'evaluationError' ? 'evalError' : result,
    matches: parsed.filter.matches(lookupIn(properties)),
  }
}

describe('SQL92 filters decide as the official filter module', () => {
  const cases = vectors<FilterCase>('sql92').map(c => [`${c.expr}  ${JSON.stringify(c.props)}`, c] as const)

  it.each(cases)('%s', (_name, { expr, props, result, matches }) => {
    expect(outcome(expr, props)).toEqual({ result, matches })
  })
})

it('gives a reason for what it refuses', () => {
  expect(parseSql92('a =')).toEqual({ ok: false, reason: 'the expression ends too early' })
  expect(parseSql92('a > TRUE')).toEqual({ ok: false, reason: 'only numbers and properties have an order' })
  expect(parseSql92('(a = 1;')).toEqual({ ok: false, reason: 'unexpected ";"' })
})

it('bounds nesting', () => {
  const nested = (depth: number) => `${'('.repeat(depth)}a = 1${')'.repeat(depth)}`
  expect(parseSql92(nested(90))).toMatchObject({ ok: true })
  expect(parseSql92(nested(10_000))).toMatchObject({ ok: false, reason: expect.stringContaining('nested') })
  expect(parseSql92('NOT '.repeat(10_000))).toMatchObject({ ok: false })
})

it('takes long rows of alternatives, and refuses what would nest or cost too much', () => {
  const row = (count: number) => Array.from({ length: count }, (_, i) => `a = ${i}`).join(' OR ')
  expect(outcome(row(5000), { a: '4999' })).toEqual({ result: true, matches: true })
  expect(outcome(row(5000), { a: '5000' })).toEqual({ result: false, matches: false })
  expect(parseSql92(row(60_000))).toMatchObject({ ok: false, reason: expect.stringContaining('characters') })
  expect(parseSql92(`a${' IS NULL'.repeat(5000)}`)).toMatchObject({
    ok: false,
    reason: expect.stringContaining('links'),
  })
  expect(parseSql92(`a${" CONTAINS 'x'".repeat(2000)}`)).toMatchObject({ ok: false })
})

it('never throws on any string of tokens', () => {
  const token = fc.constantFrom(
    ...['a', 'b', '1', '2.5', "'x'", "''", 'TRUE', 'NULL', 'NOT', 'AND', 'OR', 'IS', 'IN', 'BETWEEN', 'CONTAINS'],
    ...['(', ')', ',', '=', '<>', '<', '>=', '-', '+', '/*', '--', ';', '99999999999999999999', '.'],
  )
  fc.assert(
    fc.property(
      fc.array(token, { maxLength: 12 }),
      fc.dictionary(fc.constantFrom('a', 'b'), fc.string()),
      (tokens, properties) => {
        expect(outcome(tokens.join(' '), properties)).toHaveProperty('matches')
      },
    ),
    { numRuns: 2000 },
  )
})
