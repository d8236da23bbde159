import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeEnvironment } from '@millrace/core/node'
import { expect, it } from 'vitest'
import type { Key, KeyRange } from '../../src/kv/key-value.js'
import { KeyValueStore } from '../../src/kv/key-value-store.js'
import { memoryKeyValue } from '../../src/kv/memory-key-value.js'

const KEYS: readonly Key[] = [
  [false],
  [true, 1],
  -1.5,
  0,
  3,
  1e12,
  'a',
  ['a', 'b'],
  ['a', 2],
  ['a', 10],
  ['a', 2, 'x'],
  'ab',
  'B',
  'é',
  '\u{1F600}',
  '\uFFFD',
]

it('orders and cuts ranges as LMDB does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-kv-'))
  const stored = await KeyValueStore.open(directory, { environment: nodeEnvironment(), durability: 'committed' })
  try {
    const memory = memoryKeyValue()
    for (const kv of [stored, memory]) {
      const table = kv.table<number>('t')
      await kv.batch(() => {
        KEYS.forEach((key, i) => void table.put(key, i))
      })
      await table.remove('ab')
    }
    const ranges: KeyRange[] = [{}, { reverse: true }, { limit: 3, reverse: true }]
    for (const from of KEYS) for (const to of KEYS) ranges.push({ from, to }, { from, to, reverse: true, limit: 4 })
    for (const range of ranges)
      expect([...memory.table<number>('t').range(range)], JSON.stringify(range)).toEqual([
        ...stored.table<number>('t').range(range),
      ])
  } finally {
    await stored.close()
    rmSync(directory, { recursive: true })
  }
})

it('undoes a transaction that throws and shares no memory with the caller', async () => {
  const kv = memoryKeyValue()
  const table = kv.table<{ n: number }>('t')
  const value = { n: 1 }
  await table.put('k', value)
  value.n = 2
  expect(table.get('k')).toEqual({ n: 1 })
  await expect(
    kv.transaction(() => {
      void table.put('k', { n: 3 })
      throw new Error('boom')
    }),
  ).rejects.toThrow('boom')
  expect(table.get('k')).toEqual({ n: 1 })
})
