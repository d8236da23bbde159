import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeEnvironment } from '@millrace/core/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KeyValueStore, type KeyValueStoreOptions } from '../../src/kv/key-value-store.js'

const environment = nodeEnvironment()
let directory: string
const opened: KeyValueStore[] = []

async function open(options: Partial<KeyValueStoreOptions> = {}): Promise<KeyValueStore> {
  const store = await KeyValueStore.open(join(directory, 'kv'), { environment, durability: 'flushed', ...options })
  opened.push(store)
  return store
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-kv-'))
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map(store => store.close()))
  rmSync(directory, { recursive: true, force: true })
})

describe.each(['flushed', 'committed'] as const)('key-value store on LMDB (%s)', durability => {
  it('keeps entries across close and reopen', async () => {
    const first = await open({ durability })
    await first.table<object>('topics').put('orders', { queues: 4, tags: ['a'] })
    await first.table<Uint8Array>('blocks', { encoding: 'binary' }).put(['orders', 1], Buffer.from('abc'))
    await first.close()
    const second = await open({ durability })
    expect(second.table('topics').get('orders')).toEqual({ queues: 4, tags: ['a'] })
    expect(second.table('blocks', { encoding: 'binary' }).getBinary(['orders', 1])).toEqual(Buffer.from('abc'))
    expect(second.table('topics').get('nothing')).toBeUndefined()
  })

  it('gives ranges from inclusive to exclusive, in both directions and with a limit', async () => {
    const store = await open({ durability })
    const table = store.table<number, readonly [string, number]>('t')
    await store.batch(() => {
      for (const topic of ['a', 'b', 'c']) for (let n = 0; n < 5; n++) void table.put([topic, n], n)
    })
    const range = { from: ['b', 1], to: ['b', 4] } as const
    expect([...table.keys(range)].map(key => key[1])).toEqual([1, 2, 3])
    expect([...table.keys({ ...range, reverse: true })].map(key => key[1])).toEqual([3, 2, 1])
    expect([...table.keys({ ...range, reverse: true, limit: 1 })]).toEqual([['b', 3]])
    expect([...table.range({ from: ['b', 3], limit: 3 })]).toEqual([
      { key: ['b', 3], value: 3 },
      { key: ['b', 4], value: 4 },
      { key: ['c', 0], value: 0 },
    ])
    expect([...table.keys({ reverse: true })]).toHaveLength(15)
    expect([...table.keys({ from: ['b', 1.5], to: ['b', 3.5], reverse: true })].map(key => key[1])).toEqual([3, 2])
  })

  it('orders binary keys by their bytes and gives them back as bytes', async () => {
    const store = await open({ durability })
    const table = store.table<number, Buffer>('b', { keys: 'binary' })
    await Promise.all([
      table.put(Buffer.from([0, 2]), 2),
      table.put(Buffer.from([0, 1]), 1),
      table.put(Buffer.from([0]), 0),
    ])
    expect([...table.range()].map(({ key, value }) => [Buffer.from(key).toString('hex'), value])).toEqual([
      ['00', 0],
      ['0001', 1],
      ['0002', 2],
    ])
  })

  it('undoes a transaction that throws and gives the error to its caller only', async () => {
    const store = await open({ durability })
    const table = store.table<number>('t')
    await table.put('n', 1)
    const boom = new Error('boom')
    await expect(
      store.transaction(() => {
        void table.put('n', 2)
        throw boom
      }),
    ).rejects.toBe(boom)
    expect(() =>
      store.commitSync(() => {
        void table.put('n', 3)
        throw boom
      }),
    ).toThrow(boom)
    expect(table.get('n')).toBe(1)
    expect(store.failure).toBeUndefined()
    const seen = await store.transaction(() => {
      void table.put('n', (table.get('n') ?? 0) + 1)
      return table.get('n')
    })
    expect(seen).toBe(2)
    const isThere = store.commitSync(() => {
      void table.remove('n')
      return table.has('n')
    })
    expect(isThere).toBe(false)
  })

  it('writes many entries as one batch and clears a table', async () => {
    const store = await open({ durability })
    const table = store.table<number, number>('many')
    await store.batch(() => {
      for (let n = 0; n < 10_000; n++) void table.put(n, n)
    })
    expect([...table.keys()]).toHaveLength(10_000)
    await table.clear()
    expect([...table.keys()]).toHaveLength(0)
    await store.flush()
  })

  it('lends values without a copy until the next call, of any size', async () => {
    const store = await open({ durability })
    const table = store.table<Uint8Array>('blocks', { encoding: 'binary' })
    for (const sizeBytes of [0, 1, 5_000, 50_000, 5_000_000]) {
      const value = Buffer.alloc(sizeBytes, 7)
      await table.put('k', value)
      expect(Buffer.compare(table.peekBinary('k') ?? Buffer.of(0), value)).toBe(0)
      expect(Buffer.compare(table.getBinary('k') ?? Buffer.of(0), value)).toBe(0)
    }
  })

  it('refuses what cannot be a key, at once, and goes on', async () => {
    const store = await open({ durability })
    const table = store.table<number>('t')
    expect(() => table.put('k'.repeat(3000), 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await table.put('k', 1)
    expect(table.get('k')).toBe(1)
  })

  it('refuses calls after close', async () => {
    const store = await open({ durability })
    const table = store.table<number>('t')
    const last = table.put('k', 1)
    await store.close()
    await last
    await expect(table.put('k', 2)).rejects.toMatchObject({ code: 'CLOSED' })
    await store.close()
  })
})
