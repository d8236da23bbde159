import { expect, it } from 'vitest'
import { formatTraceRecord, parseTraceRecords } from '../../../src/protocol/trace/trace-record.js'
import { vectors } from '../vectors.js'

interface TraceCase {
  readonly type: string
  readonly transData: string
  readonly transKeys: readonly string[]
}

const CASES = vectors<TraceCase>('trace')

it.each(CASES)('reads a $type record', ({ type, transData, transKeys }) => {
  const [record, ...others] = parseTraceRecords(transData)
  expect(others).toEqual([])
  expect(record.type).toBe(type)
  const values = transData.replace('\u0002', '').split('\u0001').slice(1)
  expect(Object.values(record.fields)).toEqual(values)
  expect(record.fields['msgId']).toBe(transKeys[0])
  if (record.fields['keys'] !== undefined) expect(record.fields['keys'].split(' ')).toEqual(transKeys.slice(1))
})

it.each(CASES)('writes a $type record as the official client does', ({ transData }) => {
  const [record] = parseTraceRecords(transData)
  expect(formatTraceRecord(record)).toBe(transData)
})

it('reads several records, and leaves unknown and empty ones out', () => {
  const all = CASES.map(c => c.transData).join('')
  expect(parseTraceRecords(`${all}Odd\u00011\u0002constructor\u0002`).map(record => record.type)).toEqual(
    CASES.map(c => c.type),
  )
  expect(parseTraceRecords('')).toEqual([])
})
