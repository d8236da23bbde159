import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { flipBit, overwrite, type RecordPlace, recordPlaces } from '../faults/log-damage.js'
import { LogStoreTarget } from '../faults/log-store-target.js'
import { bodyOf } from '../faults/target.js'

const FILE_BYTES = 2 * 1024 * 1024
const MESSAGES = 140
const BODY_BYTES = 50_000

/** Holds the stores that were filled once, and a copy for the test under way. */
let root: string
let directory: string
let target: LogStoreTarget | undefined

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'millrace-damage-'))
  await makeStores()
}, 120_000)

afterEach(async () => {
  await target?.kill()
  rmSync(directory, { recursive: true, force: true })
})

afterAll(() => {
  rmSync(root, { recursive: true, force: true })
})

async function open(): Promise<LogStoreTarget> {
  target = await LogStoreTarget.start({ directory, flush: 'async', fileBytes: FILE_BYTES })
  return target
}

/** Two stores of the same messages in four files: 'stop' with a whole index, 'crash' with one that lacks forty. */
async function makeStores(): Promise<void> {
  directory = join(root, 'stop')
  const olderIndex = join(root, 'older')
  await fill(0, MESSAGES - 40)
  cpSync(join(directory, 'millrace'), olderIndex, { recursive: true })
  await fill(MESSAGES - 40, MESSAGES)
  cpSync(directory, join(root, 'crash'), { recursive: true })
  rmSync(join(root, 'crash', 'millrace'), { recursive: true })
  renameSync(olderIndex, join(root, 'crash', 'millrace'))
}

async function fill(from: number, to: number): Promise<void> {
  const store = await open()
  const offsets = await Promise.all(
    Array.from({ length: to - from }, (_, i) => store.append(0, bodyOf(`m${from + i}`, BODY_BYTES))),
  )
  expect(offsets).toEqual(Array.from({ length: to - from }, (_, i) => from + i))
  await store.stop()
}

/** Makes `directory` a copy of one of the stores and returns the places of its records. */
function take(end: 'stop' | 'crash'): RecordPlace[] {
  directory = join(root, 'damaged')
  cpSync(join(root, end), directory, { recursive: true })
  const places = recordPlaces(directory)
  expect(places).toHaveLength(MESSAGES)
  expect(new Set(places.map(place => place.file)).size).toBe(4)
  return places
}

/** The store opens, serves exactly messages [0, count), and goes on at offset `count`. */
async function expectServes(count: number): Promise<void> {
  const store = await open()
  const { min, max, messages } = await store.scan(0, 0)
  expect({ min, max }).toEqual({ min: 0, max: count })
  expect(messages).toEqual(Array.from({ length: count }, (_, i) => ({ offset: i, body: bodyOf(`m${i}`, BODY_BYTES) })))
  expect(await store.append(0, bodyOf('next', 100))).toBe(count)
  await store.stop()
  expect((await (await open()).scan(0, count)).messages).toEqual([{ offset: count, body: bodyOf('next', 100) }])
}

async function expectRefused(file: string): Promise<void> {
  await expect(open()).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
    message: expect.stringContaining(basename(file)),
  })
}

const TAIL_DAMAGES: readonly [string, (last: RecordPlace) => void][] = [
  ['its second half is missing', last => zero(last, last.sizeBytes / 2, last.sizeBytes)],
  ['it is missing but for its size', last => zero(last, 4, last.sizeBytes)],
  ['a bit of its body is flipped', last => flipBit(last.file, last.at + last.sizeBytes - 1_000)],
  ['its size is nonsense', last => overwrite(last.file, last.at, Buffer.from([0x7f, 0xff, 0xff, 0xf0]))],
]

function zero(record: RecordPlace, from: number, to: number): void {
  overwrite(record.file, record.at + from, Buffer.alloc(to - from))
}

describe.each(['crash', 'stop'] as const)('a message store whose files were damaged after a %s', end => {
  it.each(TAIL_DAMAGES)('is cut at the last record when %s, and serves the rest', async (_what, damage) => {
    const places = take(end)
    damage(places.at(-1) as RecordPlace)
    await expectServes(MESSAGES - 1)
  })

  it('is cut at the first damaged record of the last file', async () => {
    const places = take(end)
    const third = places.at(-3) as RecordPlace
    flipBit(third.file, third.at + 500)
    await expectServes(MESSAGES - 3)
  })

  it('ignores garbage behind the last record', async () => {
    const places = take(end)
    const last = places.at(-1) as RecordPlace
    overwrite(last.file, last.at + last.sizeBytes, Buffer.alloc(5_000, 0xa5))
    await expectServes(MESSAGES)
  })
})

describe('a message store with damage before its last file', () => {
  it('does not open when what the index lacks is damaged, and says which file it is', async () => {
    const places = take('crash')
    const record = places[MESSAGES - 39] as RecordPlace
    expect(record.file).not.toBe(places.at(-1)?.file)
    flipBit(record.file, record.at + 1_000)
    await expectRefused(record.file)
  })

  it('never serves the damaged message as if it were whole', async () => {
    const places = take('stop')
    const record = places[50] as RecordPlace
    flipBit(record.file, record.at + 1_000)
    const store = await open().catch((error: { code: string }) => error)
    if (!(store instanceof LogStoreTarget)) return expect(store.code).toBe('STORE_CORRUPT')
    const { messages } = await store.scan(0, 0)
    for (const { offset, body } of messages)
      expect(body === bodyOf(`m${offset}`, BODY_BYTES), `offset ${offset}`).toBe(true)
    expect(messages).toHaveLength(MESSAGES - 1)
  })

  it('does not open when a file is missing', async () => {
    const places = take('stop')
    const { file } = places[50] as RecordPlace
    rmSync(file)
    await expectRefused(file)
  })

  it('does not open when the last file is missing', async () => {
    const places = take('stop')
    rmSync((places.at(-1) as RecordPlace).file)
    await expect(open()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })
})
