import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryState, type StateBackend, type StateChange } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTaskState } from '../../src/state/task-state.js'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-state-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const put = (key: string, value: string): StateChange => ({ key: Buffer.from(key), value: Buffer.from(value) })
const remove = (key: string): StateChange => ({ key: Buffer.from(key), value: undefined })
const read = (state: StateBackend, from: string, to: string, limit = 100): string[] =>
  state
    .range(Buffer.from(from), Buffer.from(to), limit)
    .map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`)

describe.each([
  ['in LMDB', () => openTaskState(join(directory, 'task'), nodeEnvironment())],
  ['in memory', async () => new MemoryState()],
])('task state %s', (_, open) => {
  it('shows a commit at once, whole, and not before', async () => {
    const state = await open()
    await state.commit([put('a', '1'), put('b', '2'), put('c', '3')])
    const second = state.commit([put('a', '9'), remove('b')])
    await second
    expect(state.get(Buffer.from('b'))).toBeUndefined()
    expect(read(state, 'a', 'z')).toEqual(['a=9', 'c=3'])
    await state.close()
  })

  it('gives ranges in byte order, half open, up to the limit', async () => {
    const state = await open()
    const keys = ['a', 'a\0', 'ab', 'b', '\u00e9', 'Z']
    await state.commit(keys.map(key => put(key, '')))
    expect(read(state, 'Z', 'b')).toEqual(['Z=', 'a=', 'a\0=', 'ab='])
    expect(read(state, 'a', '\u00ff', 2)).toEqual(['a=', 'a\0='])
    expect(read(state, 'x', 'y')).toEqual([])
    await state.close()
  })
})

it('holds what was committed when it is opened again', async () => {
  const path = join(directory, 'task')
  const first = await openTaskState(path, nodeEnvironment())
  await first.commit([put('kept', 'yes')])
  await first.close()
  const second = await openTaskState(path, nodeEnvironment())
  expect(read(second, 'a', 'z')).toEqual(['kept=yes'])
  await second.close()
})

it('behaves as the state in memory does', async () => {
  const change = fc.record({
    key: fc.uint8Array({ minLength: 1, maxLength: 3 }),
    value: fc.option(fc.uint8Array({ maxLength: 4 }), { nil: undefined }),
  })
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 8 }), { maxLength: 5 }), async commits => {
      const lmdb = await openTaskState(join(directory, `run-${runs++}`), nodeEnvironment())
      const memory = new MemoryState()
      for (const changes of commits) {
        await lmdb.commit(changes)
        await memory.commit(changes)
      }
      const all = [Buffer.from([0]), Buffer.from([255, 255, 255, 255])] as const
      const plain = (state: StateBackend): string[] =>
        state
          .range(...all, 1_000)
          .map(({ key, value }) => `${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`)
      expect(plain(lmdb)).toEqual(plain(memory))
      await lmdb.close()
    }),
    { numRuns: 20 },
  )
})
