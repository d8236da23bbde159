import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { killChildren } from './children.js'
import { type Client, clients } from './clients.js'
import { compare, identical, type MessageLine } from './messages.js'
import { createTopic } from './remoting.js'
import { feature, writePage } from './report.js'
import { consumeExisting, fresh, sendAndConsume, sendOnly, workDir } from './scenario.js'
import { selectedTargets, type Target } from './targets.js'

const COUNT = 10_000
const QUEUES = 8

afterAll(async () => {
  await killChildren()
  writePage()
})

for (const kind of selectedTargets()) {
  const sentBy = new Map<Client, { topic: string; group: string; sent: readonly MessageLine[] }>()
  let target: Target
  let dir: string

  const newTopic = async () => {
    const topic = fresh('topic')
    await createTopic(target.broker, topic, QUEUES)
    return topic
  }

  const isMissing = kind.missing()
  if (isMissing) {
    console.warn(`interop: skipped ${kind.name}: ${isMissing}`)
    describe.skip(kind.name, () => it('is not here'))
    continue
  }

  describe(kind.name, () => {
    beforeAll(async () => {
      for (const client of clients) if (!client.missing()) await client.prepare()
      dir = workDir()
      target = await kind.start(`${dir}/target`)
    })
    afterAll(async () => {
      await killChildren()
      await target?.stop()
      rmSync(dir, { recursive: true, force: true })
    })

    for (const client of clients) {
      const missing = client.missing()
      if (missing) {
        console.warn(`interop: skipped ${client.name}: ${missing}`)
        continue
      }
      const seen = (name: string, body: () => Promise<void>) => feature(kind.name, client.name, name, body, 150_000)
      const options = () => ({ nameServer: target.nameServer, dir })

      describe(client.name, () => {
        if (client.createTopic) {
          seen('creates a topic by its admin API', async () => {
            const topic = fresh('topic')
            await client.createTopic!({ ...target, topic, queues: 2 })
            await sendOnly(client, { ...options(), topic, count: 10 })
          })
        }

        seen('sends 10,000, consumes them in 2 instances, equal', async () => {
          const [topic, group] = [await newTopic(), fresh('group')]
          const { sent, received } = await sendAndConsume(client, client, {
            ...options(),
            topic,
            group,
            count: COUNT,
            instances: 2,
            deadlineMs: 90_000,
          })
          sentBy.set(client, { topic, group, sent })
          expect(sent.length).toBeGreaterThan(COUNT)
          // Queues move when the second instance joins, so a probe may come twice: at least once is the promise.
          expect({ ...compare(sent, received.flat()), duplicates: 0 }).toEqual(identical)
          for (const lines of received) expect(lines.length).toBeGreaterThan(COUNT / 10)
        })

        seen('starts again where its group stopped', async () => {
          const first = sentBy.get(client)
          expect(first, 'the case before this one').toBeDefined()
          const again = { ...options(), ...first!, count: 200, instances: 1, deadlineMs: 60_000 }
          const { sent, received } = await sendAndConsume(client, client, again)
          expect(compare(sent, received.flat())).toEqual(identical)
        })

        seen('filters by tag', async () => {
          const { topic, sent } = sentBy.get(client)!
          const wanted = sent.filter(line => line.tags === 'alpha' || line.tags === 'gamma')
          const read = { ...options(), topic, group: fresh('group'), tags: 'alpha || gamma', deadlineMs: 60_000 }
          const received = await consumeExisting(client, { ...read, count: wanted.length })
          expect(received.every(line => line.tags === 'alpha' || line.tags === 'gamma')).toBe(true)
          expect({ ...compare(wanted, received), unknown: 0 }).toEqual(identical)
        })

        seen('gets again what it refused', async () => {
          const topic = await newTopic()
          const sent = await sendOnly(client, { ...options(), topic, count: 20 })
          const read = { ...options(), topic, group: fresh('group'), mode: 'reject' as const, deadlineMs: 100_000 }
          const received = await consumeExisting(client, { ...read, count: 2 * sent.length })
          const first = received.filter(line => line.attempt === 0)
          const second = received.filter(line => line.attempt === 1)
          const hashes = (lines: readonly MessageLine[]) => lines.map(line => line.hash).sort()
          expect(hashes(first)).toEqual(hashes(sent))
          expect(hashes(second)).toEqual(hashes(sent))
        })

        if (client.modes.includes('orderly')) {
          seen('consumes in order, with locked queues', async () => {
            const topic = await newTopic()
            const sent = await sendOnly(client, { ...options(), topic, count: 1_000 })
            const read = { ...options(), topic, group: fresh('group'), mode: 'orderly' as const, deadlineMs: 90_000 }
            const received = await consumeExisting(client, { ...read, count: sent.length })
            expect(compare(sent, received)).toEqual(identical)
            const last = new Map<number, number>()
            for (const line of received) {
              expect(line.offset).toBeGreaterThan(last.get(line.queue) ?? -1)
              last.set(line.queue, line.offset)
            }
          })
        }

        if (client.modes.includes('broadcast')) {
          seen('broadcasts to every instance', async () => {
            const run = { ...options(), topic: await newTopic(), group: fresh('group'), count: 500, instances: 2 }
            const result = await sendAndConsume(client, client, { ...run, mode: 'broadcast', deadlineMs: 60_000 })
            for (const lines of result.received) expect(compare(result.sent, lines)).toEqual(identical)
          })
        }

        if (client.autoCreates) {
          seen('creates a topic by sending to it', async () => {
            const topic = fresh('auto')
            const sent = await sendOnly(client, { ...options(), topic, count: 50 })
            const read = { ...options(), topic, group: fresh('group'), count: sent.length, deadlineMs: 60_000 }
            expect(compare(sent, await consumeExisting(client, read))).toEqual(identical)
          })
        }
      })
    }

    describe('between clients', () => {
      const present = clients.filter(client => !client.missing())
      for (const reader of present) {
        for (const writer of present.filter(client => client !== reader)) {
          feature(kind.name, reader.name, `reads what ${writer.name} sent`, async () => {
            const written = sentBy.get(writer)
            expect(written, 'what was sent before').toBeDefined()
            const { topic, sent } = written!
            const read = { nameServer: target.nameServer, dir, topic, group: fresh('group'), deadlineMs: 60_000 }
            // The topic has 200 more, from the case "starts again".
            const received = await consumeExisting(reader, { ...read, count: sent.length })
            expect({ ...compare(sent, received), unknown: 0 }).toEqual(identical)
          })
        }
      }
    })
  })
}
