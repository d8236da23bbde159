import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type ReceivedMessage } from '@millrace/client'
import { lastValueFrom, range } from 'rxjs'
import { map, toArray } from 'rxjs/operators'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { killChildren, until } from '../children.js'
import { apache, selectedTargets, type Target } from '../targets.js'

const COUNT = 10_000

afterAll(() => killChildren())

for (const kind of selectedTargets()) {
  const missing = kind.missing()
  if (missing) {
    console.warn(`interop: skipped the Millrace client on ${kind.name}: ${missing}`)
    describe.skip(kind.name, () => it('is not here'))
    continue
  }

  // Apache, the reference, is not under test: vitest prints what it repeats.
  describe(`the Millrace client on ${kind.name}`, { retry: kind === apache ? 2 : 0 }, () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-client-'))
    const clients: Client[] = []
    let target: Target
    let names = 0

    beforeAll(async () => {
      target = await kind.start(dir)
    })

    afterEach(async () => {
      await Promise.all(clients.splice(0).map(client => client.close()))
    })

    afterAll(async () => {
      await target?.discard()
      rmSync(dir, { recursive: true, force: true })
    })

    async function connect(): Promise<Client> {
      const client = await Client.connect({ nameservers: target.nameServer })
      clients.push(client)
      return client
    }

    function fresh(what: string): string {
      return `${what}-${process.pid}-${++names}`
    }

    async function topicOf(client: Client, queues = 4): Promise<string> {
      const topic = fresh('topic')
      await client.admin.createTopic(topic, { queues })
      return topic
    }

    it('sends 10,000 messages and consumes them with two members, bodies equal', async () => {
      const [client, other] = [await connect(), await connect()]
      const topic = await topicOf(client, 8)
      const group = fresh('group')
      const bodyOf = (n: number): string => `${n}:`.padEnd(n % 50 === 0 ? 6_000 : 40, 'x')
      const seen = new Map<string, string>()
      const counts = [0, 0]
      for (const [index, each] of [client, other].entries())
        await each.consumer({ group, topics: [topic], from: 'first' }).run(message => {
          counts[index]++
          seen.set(message.messageId, message.body.toString())
        })
      const messages = range(0, COUNT).pipe(map(n => ({ topic, body: bodyOf(n), keys: `key-${n}` })))
      const results = await lastValueFrom(messages.pipe(client.producer().sink(100), toArray()))
      await until(
        () => Promise.resolve(seen.size === COUNT),
        60_000,
        () => `${seen.size} of ${COUNT} arrived`,
      )

      expect(results.every(({ messageId }) => seen.has(messageId))).toBe(true)
      expect(new Set(seen.values())).toEqual(new Set(Array.from({ length: COUNT }, (_, n) => bodyOf(n))))
      for (const count of counts) expect(count).toBeGreaterThan(COUNT / 10)
    })

    it('continues where the group stopped, with nothing lost and nothing twice', async () => {
      const client = await connect()
      const topic = await topicOf(client)
      const group = fresh('group')
      await client.producer().sendBatch(Array.from({ length: 40 }, (_, n) => ({ topic, body: `${n}` })))
      const read = async (count: number): Promise<string[]> => {
        const bodies: string[] = []
        const consumer = client.consumer({ group, topics: [topic], from: 'first', concurrency: 1 })
        const enough = new Promise<void>(resolve => {
          void consumer.run(message => {
            bodies.push(message.body.toString())
            if (bodies.length === count) resolve()
          })
        })
        await enough
        await consumer.close()
        return bodies
      }
      expect(await read(40)).toHaveLength(40)
      await client.producer().send({ topic, body: 'next' })
      expect(await read(1)).toEqual(['next'])
      expect((await client.admin.describeGroup(group)).lag).toBe(0)
    })

    it('delivers a failed message again after 10 s, under its own topic', async () => {
      const client = await connect()
      const topic = await topicOf(client)
      const tries: ReceivedMessage[] = []
      await client
        .consumer({ group: fresh('group'), topics: [topic], from: 'first', onError: () => {} })
        .run(message => {
          tries.push(message)
          if (tries.length === 1) throw new Error('not yet')
        })
      const { messageId } = await client.producer().send({ topic, body: 'again', tag: 'T' })
      await until(
        () => Promise.resolve(tries.length === 2),
        40_000,
        () => `${tries.length} deliveries`,
      )

      expect(tries.map(message => [message.topic, message.messageId, message.tag, message.reconsumeTimes])).toEqual([
        [topic, messageId, 'T', 0],
        [topic, messageId, 'T', 1],
      ])
      expect(tries[1].storeTimestamp - tries[0].storeTimestamp).toBeGreaterThan(9_000)
    })

    it('keeps the order of each sharding key with two ordered members', async () => {
      const [client, other] = [await connect(), await connect()]
      const topic = await topicOf(client)
      const group = fresh('group')
      const last = new Map<string, number>()
      const steps: number[] = []
      for (const each of [client, other])
        await each.consumer({ group, topics: [topic], from: 'first', isOrdered: true }).run(async message => {
          const key = message.shardingKey ?? ''
          const n = Number(message.body.toString())
          await new Promise(resolve => setImmediate(resolve))
          steps.push(n - (last.get(key) ?? n % 5))
          last.set(key, n)
        })
      const messages = range(0, 500).pipe(map(n => ({ topic, body: `${n}`, shardingKey: `k${n % 5}` })))
      await lastValueFrom(messages.pipe(client.producer().sink(1)))
      await until(
        () => Promise.resolve(steps.length >= 500),
        60_000,
        () => `${steps.length} of 500 handled`,
      )

      // A queue that moves between the members may repeat messages, but never skips one.
      expect(steps.every(step => step <= 5)).toBe(true)
      expect([...last.values()].sort()).toEqual([495, 496, 497, 498, 499])
    })

    it('filters by tag', async () => {
      const client = await connect()
      const topic = await topicOf(client)
      const producer = client.producer()
      for (const tag of ['A', 'B', 'C', undefined, 'A']) await producer.send({ topic, body: tag ?? 'none', tag })
      const seen: string[] = []
      await client.consumer({ group: fresh('group'), topics: { [topic]: 'A || C' }, from: 'first' }).run(message => {
        seen.push(message.body.toString())
      })
      await until(
        () => Promise.resolve(seen.length === 3),
        20_000,
        () => `${seen.length} of 3 arrived`,
      )
      expect(seen.sort()).toEqual(['A', 'A', 'C'])
    })

    it('gives every message to both broadcasting members', async () => {
      const [client, other] = [await connect(), await connect()]
      const topic = await topicOf(client)
      const group = fresh('group')
      await client.producer().sendBatch(Array.from({ length: 20 }, (_, n) => ({ topic, body: `${n}` })))
      const seen: [string[], string[]] = [[], []]
      for (const [index, each] of [client, other].entries())
        await each.consumer({ group, topics: [topic], from: 'first', model: 'broadcasting' }).run(message => {
          seen[index].push(message.body.toString())
        })
      await until(
        () => Promise.resolve(seen.every(({ length }) => length === 20)),
        20_000,
        () => `${seen.map(({ length }) => length)}`,
      )
    })

    it('creates a topic with the first send, where the broker allows it', async () => {
      const client = await connect()
      const topic = fresh('auto')
      const { queue } = await client.producer().send({ topic, body: 'first' })
      expect(queue.topic).toBe(topic)
      await until(
        async () => (await client.admin.topicList()).includes(topic),
        20_000,
        () => `${topic} is not listed`,
      )
      expect((await client.admin.describeTopic(topic)).reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(1)
    })

    it('finds messages by id, unique id and key', async () => {
      const client = await connect()
      const topic = await topicOf(client)
      const sent = await client.producer().send({ topic, body: 'find me', keys: ['order-7', 'order-8'] })
      expect((await client.admin.viewMessage(sent.offsetMessageId)).body.toString()).toBe('find me')
      await until(
        async () => (await client.admin.messagesByKey(topic, 'order-8')).length === 1,
        20_000,
        () => 'no message by key',
      )
      const found = await client.admin.messageByUniqueId(topic, sent.messageId)
      expect([found?.body.toString(), found?.queue.queueId, found?.queueOffset]).toEqual([
        'find me',
        sent.queue.queueId,
        sent.queueOffset,
      ])
      expect(await client.admin.messagesByKey(topic, 'order-9')).toEqual([])
    })

    it('reads queues by offset and time, and resets a group', async () => {
      const client = await connect()
      const topic = await topicOf(client, 1)
      const queue = { topic, brokerName: (await client.producer().queues(topic))[0].brokerName, queueId: 0 }
      const group = fresh('group')
      await client.admin.createGroup(group)
      const consumer = client.pullConsumer({ group })
      for (let n = 0; n < 5; n++) await client.producer().send({ topic, body: `${n}` })
      // Apache makes messages readable a moment after it has acknowledged them.
      await until(
        async () => (await consumer.offsets.max(queue)) === 5,
        10_000,
        () => 'not readable',
      )
      const { messages } = await consumer.pull({ queue, offset: 2 })
      expect(messages.map(({ body }) => body.toString())).toEqual(['2', '3', '4'])
      expect(await consumer.offsets.atTime(queue, messages[1].storeTimestamp)).toBeLessThanOrEqual(3)
      expect(await consumer.committed(queue)).toBeUndefined()
      await consumer.commit(queue, 4)
      expect(await consumer.committed(queue)).toBe(4)
      expect((await client.admin.describeGroup(group)).lag).toBe(1)
      await client.admin.resetOffsets(group, topic, 'first')
      expect(await consumer.committed(queue)).toBe(0)
      expect(await client.admin.groupList()).toContain(group)
      await client.admin.deleteGroup(group)
      expect(await client.admin.groupList()).not.toContain(group)
      await client.admin.deleteTopic(topic)
      await expect(client.admin.describeTopic(topic)).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    })
  })
}
