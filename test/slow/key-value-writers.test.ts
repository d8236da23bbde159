import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { nodeEnvironment } from '@millrace/core/node'
import { KeyValueStore, type KeyValueTable } from '@millrace/storage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LineChild } from '../faults/line-child.js'
import { announcedRandom } from '../faults/random.js'

const WRITER = fileURLToPath(new URL('../faults/key-value-writer.mjs', import.meta.url))
const VALUE_BYTES = 5_000
const KILLS = 6
/** As the writer: small, so that the map has to grow under the reader. */
const MAP_BYTES = 1024 * 1024

let directory: string
let store: KeyValueStore | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-writers-'))
})

afterEach(async () => {
  await store?.close()
  rmSync(directory, { recursive: true, force: true })
})

async function open(): Promise<KeyValueTable<Uint8Array>> {
  store = await KeyValueStore.open(directory, {
    environment: nodeEnvironment(),
    durability: 'committed',
    mapSizeBytes: MAP_BYTES,
  })
  return store.table<Uint8Array>('generations', { encoding: 'binary' })
}

/** Generation of one entry; -1 when the value is not as it was written. */
function generationOf(value: Buffer | undefined): number {
  if (value === undefined) return 0
  const generation = value.readUInt32BE(0)
  return value.length === VALUE_BYTES && value.readUInt32BE(value.length - 4) === generation ? generation : -1
}

describe.each(['batch', 'commitSync'])('a key-value store written with %s', how => {
  it('is read whole by the main thread while a worker writes and the file outgrows its map', async () => {
    const table = await open()
    const worker = new Worker(WRITER, { workerData: [directory, how, '3', String(VALUE_BYTES)] })
    let committed = 0
    let isOver = false
    const ended = new Promise<void>((resolve, reject) => {
      worker.once('error', reject)
      worker.once('exit', () => resolve())
    }).finally(() => {
      isOver = true
    })
    worker.on('message', ({ generation }: { generation: number }) => {
      committed = generation
    })
    let seen = 0
    while (!isOver) {
      store?.refresh()
      const atLeast = committed
      const first = generationOf(table.peekBinary(['entry', 0]))
      expect(first).toBeGreaterThanOrEqual(Math.max(seen, atLeast))
      seen = first
      for (let i = 1; i < 100; i++) expect(generationOf(table.peekBinary(['entry', i]))).toBe(seen)
      await new Promise(resolve => setImmediate(resolve))
    }
    await ended
    expect(committed).toBeGreaterThan(5)
    expect(statSync(join(directory, 'data.mdb')).size).toBeGreaterThan(1.5 * MAP_BYTES)
    store?.refresh()
    expect(generationOf(table.getBinary(['entry', 99]))).toBe(committed)
  })

  it(`has all of a commit or nothing after kill -9, and all that was reported, ${KILLS} times`, async () => {
    const random = announcedRandom('test/slow/key-value-writers.test.ts')
    for (let round = 0; round < KILLS; round++) {
      const child = new LineChild(WRITER, [directory, how, '30', String(VALUE_BYTES)])
      let reported = 0
      await child.line(line => {
        reported = Number(line['generation'])
        return reported > 0
      })
      const rest = child
        .line(line => {
          reported = Number(line['generation'])
          return false
        }, 60_000)
        .catch(() => undefined)
      await new Promise(resolve => setTimeout(resolve, random.between(50, 600)))
      await child.kill()
      await rest
      const table = await open()
      const found = generationOf(table.getBinary(['entry', 0]))
      expect(found).toBeGreaterThanOrEqual(reported)
      for (let i = 1; i < 100; i++) expect(generationOf(table.getBinary(['entry', i]))).toBe(found)
      await store?.close()
    }
  })
})
