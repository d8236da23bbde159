import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { killChildren, run } from './children.js'
import { javaJson } from './clients.js'
import { compare, identical, type MessageLine } from './messages.js'
import { createTopic } from './remoting.js'
import { feature, writePage } from './report.js'
import { consumeExisting, fresh, sendOnly, workDir } from './scenario.js'
import { apache, millrace, selectedTargets, type TargetKind } from './targets.js'

const COUNT = 3_000
const QUEUES = 4

/** From Apache to Apache shows that the way of the exchange is right. */
const exchanges: readonly (readonly [TargetKind, TargetKind])[] = [
  [apache, apache],
  [millrace, apache],
  [apache, millrace],
  [millrace, millrace],
]

afterAll(async () => {
  await killChildren()
  writePage()
})

describe('a store opened by the other broker', () => {
  const isMissing = apache.missing() ?? javaJson.missing()
  if (isMissing) {
    console.warn(`interop: skipped the exchange of stores: ${isMissing}`)
    it.skip('is not here')
    return
  }
  const dir = workDir()
  afterAll(() => {
    if (!process.env['INTEROP_KEEP']) rmSync(dir, { recursive: true, force: true })
  })

  for (const [writer, reader] of exchanges) {
    if (![writer, reader].every(kind => selectedTargets().includes(kind) && !kind.missing())) continue
    const name = `serves every message of a commit log that ${writer.name} wrote`
    const body = async (attempt: number) => {
      const written = await writtenBy(writer, dir, attempt)
      await openedBy(reader, writer, written, join(dir, fresh('opened')))
    }
    describe(reader.name, () => feature(reader.name, javaJson.name, name, body, 150_000))
  }
})

interface Written {
  readonly data: string
  readonly topic: string
  readonly sent: readonly MessageLine[]
}

const stores = new Map<TargetKind, Written>()

/** A store with messages whose broker has stopped in good order; made once for both readers. */
async function writtenBy(writer: TargetKind, dir: string, attempt: number): Promise<Written> {
  const known = stores.get(writer)
  if (known && attempt === 1) return known
  const [data, topic] = [join(dir, fresh('written')), fresh('exchanged')]
  const broker = await writer.start(data)
  await createTopic(broker.broker, topic, QUEUES)
  const sent = await sendOnly(javaJson, { nameServer: broker.nameServer, dir, topic, count: COUNT })
  await broker.stop()
  const written = { data, topic, sent }
  stores.set(writer, written)
  return written
}

/** Only the commit log is taken over: queues and indexes have to be built from it again. */
async function openedBy(reader: TargetKind, writer: TargetKind, written: Written, data: string): Promise<void> {
  const { topic, sent } = written
  const copy = reader.commitLog(data)
  mkdirSync(dirname(copy), { recursive: true })
  await run('cp', ['-r', '--sparse=always', writer.commitLog(written.data), copy], { timeoutMs: 120_000 })

  const broker = await reader.start(data)
  try {
    await createTopic(broker.broker, topic, QUEUES)
    const at = { nameServer: broker.nameServer, dir: dirname(data), topic }
    const read = { ...at, group: fresh('group'), wanted: sent, deadlineMs: 60_000 }
    expect(compare(sent, await consumeExisting(javaJson, read))).toEqual(identical)
    // The log must also go on: queue offsets continue where the other broker stopped.
    const all = [...sent, ...(await sendOnly(javaJson, { ...at, count: 200 }))]
    const again = { ...read, group: fresh('group'), wanted: all }
    expect(compare(all, await consumeExisting(javaJson, again))).toEqual(identical)
  } finally {
    await broker.discard()
  }
}
