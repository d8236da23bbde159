import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { killChildren } from './children.js'
import { type Client, clients } from './clients.js'
import { compare, identical, type MessageLine } from './messages.js'
import { createTopic } from './remoting.js'
import { feature, writePage } from './report.js'
import { consumeExisting, fresh, sendAndConsume, sendOnly, workDir } from './scenario.js'
import { selectedTargets, type Target, type TargetKind } from './targets.js'

const QUEUES = 8
const TRY_MS = 150_000

/** What a client sent to one topic, all of it, and the group that read it. */
interface Sent {
  readonly topic: string
  readonly group: string
  readonly lines: MessageLine[]
}

/** The cases of all clients against one broker. Each broker has a test file of its own, so that both run at once. */
export function clientCases(kind: TargetKind): void {
  afterAll(async () => {
    await killChildren()
    writePage()
  })

  const isMissing = selectedTargets().includes(kind) ? kind.missing() : 'not selected'
  if (isMissing) {
    console.warn(`interop: skipped ${kind.name}: ${isMissing}`)
    describe.skip(kind.name, () => it('is not here'))
    return
  }

  const sentBy = new Map<Client, Sent>()
  let target: Target
  let dir: string

  const newTopic = async () => {
    const topic = fresh('topic')
    await createTopic(target.broker, topic, QUEUES)
    return topic
  }

  describe(kind.name, () => {
    beforeAll(async () => {
      dir = workDir()
      target = await kind.start(`${dir}/target`)
    })
    afterAll(async () => {
      await killChildren()
      await target?.discard()
      rmSync(dir, { recursive: true, force: true })
    })

    for (const client of clients) {
      const missing = client.missing()
      if (missing) {
        console.warn(`interop: skipped ${client.name}: ${missing}`)
        continue
      }
      const seen = (name: string, body: (attempt: number) => Promise<void>) =>
        feature(kind.name, client.name, name, body, TRY_MS)
      const options = () => ({ nameServer: target.nameServer, dir })
      const sendFirst = async (count: number) => {
        const first = { topic: await newTopic(), group: fresh('group') }
        const run = { ...options(), ...first, count, instances: 2, deadlineMs: 90_000 }
        const { sent, received } = await sendAndConsume(client, client, run)
        sentBy.set(client, { ...first, lines: [...sent] })
        return { sent, received }
      }

      describe(client.name, () => {
        if (client.createTopic) {
          seen('creates a topic by its admin API', async () => {
            const topic = fresh('topic')
            await client.createTopic!({ ...target, topic, queues: 2 })
            await sendOnly(client, { ...options(), topic, count: 10 })
          })
        }

        seen(`sends ${client.count.toLocaleString('en')}, consumes them in 2 instances, equal`, async () => {
          const { sent, received } = await sendFirst(client.count)
          expect(sent.length).toBeGreaterThan(client.count)
          // Queues move when the second instance joins, so a probe may come twice: at least once is the promise.
          expect({ ...compare(sent, received.flat()), duplicates: 0 }).toEqual(identical)
          for (const lines of received) expect(lines.length).toBeGreaterThan(client.count / 10)
        })

        seen('starts again where its group stopped', async attempt => {
          if (attempt > 1) await sendFirst(500) // the group of the try before may have something left
          const first = sentBy.get(client)
          expect(first, 'the case before this one').toBeDefined()
          const again = { ...options(), ...first!, count: 200, instances: 1, deadlineMs: 60_000 }
          const { sent, received } = await sendAndConsume(client, client, again)
          first!.lines.push(...sent)
          expect(compare(sent, received.flat())).toEqual(identical)
        })

        seen('filters by tag', async () => {
          const { topic, lines } = sentBy.get(client)!
          const wanted = lines.filter(line => line.tags === 'alpha' || line.tags === 'gamma')
          const read = { ...options(), topic, group: fresh('group'), tags: 'alpha || gamma', deadlineMs: 60_000 }
          const received = await consumeExisting(client, { ...read, wanted })
          expect(received.every(line => line.tags === 'alpha' || line.tags === 'gamma')).toBe(true)
          expect({ ...compare(wanted, received), unknown: 0 }).toEqual(identical)
        })

        seen('gets again what it refused', async () => {
          const topic = await newTopic()
          const sent = await sendOnly(client, { ...options(), topic, count: 20 })
          const read = { ...options(), topic, group: fresh('group'), mode: 'reject' as const, deadlineMs: 100_000 }
          const received = await consumeExisting(client, { ...read, wanted: sent, deliveries: 2 })
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
            const received = await consumeExisting(client, { ...read, wanted: sent })
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
            const read = { ...options(), topic, group: fresh('group'), wanted: sent, deadlineMs: 60_000 }
            expect(compare(sent, await consumeExisting(client, read))).toEqual(identical)
          })
        }
      })
    }

    describe('between clients', () => {
      const present = clients.filter(client => !client.missing())
      for (const reader of present) {
        for (const writer of present.filter(client => client !== reader)) {
          const name = `reads what ${writer.name} sent`
          const body = async () => {
            const written = sentBy.get(writer)
            expect(written, 'what was sent before').toBeDefined()
            const { topic, lines } = written!
            const read = { nameServer: target.nameServer, dir, topic, group: fresh('group'), deadlineMs: 60_000 }
            const received = await consumeExisting(reader, { ...read, wanted: lines })
            expect({ ...compare(lines, received), unknown: 0 }).toEqual(identical)
          }
          feature(kind.name, reader.name, name, body, TRY_MS)
        }
      }
    })
  })
}
