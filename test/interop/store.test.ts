import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { killChildren, run } from './children.js'
import { javaJson, prepareJava } from './clients.js'
import { compare, identical } from './messages.js'
import { createTopic } from './remoting.js'
import { feature, writePage } from './report.js'
import { consumeExisting, fresh, sendOnly, workDir } from './scenario.js'
import { apache, millrace, selectedTargets, type TargetKind } from './targets.js'

const COUNT = 10_000
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
  beforeAll(prepareJava)

  for (const [writer, reader] of exchanges) {
    if (![writer, reader].every(kind => selectedTargets().includes(kind) && !kind.missing())) continue
    describe(reader.name, () => {
      feature(
        reader.name,
        javaJson.name,
        `serves every message of a commit log that ${writer.name} wrote`,
        async () => {
          const dir = workDir()
          try {
            await exchange(writer, reader, dir)
          } finally {
            await killChildren()
            if (!process.env['INTEROP_KEEP']) rmSync(dir, { recursive: true, force: true })
          }
        },
        300_000,
      )
    })
  }
})

/** Only the commit log is taken over: queues and indexes have to be built from it again. */
async function exchange(writer: TargetKind, reader: TargetKind, dir: string): Promise<void> {
  const topic = fresh('exchanged')
  const first = await writer.start(`${dir}/written`)
  await createTopic(first.broker, topic, QUEUES)
  const sent = await sendOnly(javaJson, { nameServer: first.nameServer, dir, topic, count: COUNT })
  await first.stop()

  const copy = reader.commitLog(`${dir}/opened`)
  mkdirSync(dirname(copy), { recursive: true })
  await run('cp', ['-r', '--sparse=always', writer.commitLog(`${dir}/written`), copy], { timeoutMs: 120_000 })

  const second = await reader.start(`${dir}/opened`)
  try {
    await createTopic(second.broker, topic, QUEUES)
    const read = { nameServer: second.nameServer, dir, topic, group: fresh('group'), count: sent.length }
    const received = await consumeExisting(javaJson, { ...read, deadlineMs: 120_000 })
    expect(compare(sent, received)).toEqual(identical)
    // The log must also go on: queue offsets continue where the other broker stopped.
    const more = await sendOnly(javaJson, { nameServer: second.nameServer, dir, topic, count: 200 })
    const all = await consumeExisting(javaJson, {
      ...read,
      group: fresh('group'),
      count: sent.length + more.length,
      deadlineMs: 60_000,
    })
    expect(compare([...sent, ...more], all)).toEqual(identical)
  } finally {
    await second.stop()
  }
}
