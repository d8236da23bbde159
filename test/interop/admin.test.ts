import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JavaAdmin } from './admin.js'
import { killChildren, until } from './children.js'
import { javaJson } from './clients.js'
import type { MessageLine } from './messages.js'
import { feature, writePage } from './report.js'
import { consumeExisting, fresh, sendOnly, workDir } from './scenario.js'
import { selectedTargets, type Target } from './targets.js'

const QUEUES = 4

afterAll(async () => {
  await killChildren()
  writePage()
})

for (const kind of selectedTargets()) {
  const isMissing = kind.missing() ?? javaJson.missing()
  if (isMissing) {
    console.warn(`interop: skipped the admin tools on ${kind.name}: ${isMissing}`)
    describe.skip(kind.name, () => it('is not here'))
    continue
  }

  describe(`Java admin tools on ${kind.name}`, () => {
    const topic = fresh('admin')
    let target: Target
    let dir: string
    let admin: JavaAdmin
    let sent: MessageLine[]
    let stored: MessageLine[]
    const seen = (name: string, body: () => Promise<void>) => feature(kind.name, javaJson.name, name, body, 120_000)

    beforeAll(async () => {
      dir = workDir()
      target = await kind.start(`${dir}/target`)
      admin = new JavaAdmin(target.nameServer, `${dir}/home`)
    })
    afterAll(async () => {
      await killChildren()
      await target?.discard()
      rmSync(dir, { recursive: true, force: true })
    })

    seen('creates a topic by its admin API', async () => {
      await admin.createTopic(topic, QUEUES)
      await until(
        async () => (await admin.queues(topic).catch(() => 0)) === QUEUES,
        30_000,
        () => `${topic} has no route with ${QUEUES} queues`,
      )
      expect(await admin.topics()).toContain(topic)
      const options = { nameServer: target.nameServer, dir, topic }
      sent = await sendOnly(javaJson, { ...options, count: 500 })
      const read = { ...options, group: fresh('group'), wanted: sent, deadlineMs: 60_000 }
      stored = await consumeExisting(javaJson, read)
      expect(stored.length).toBe(sent.length)
    })

    seen('lists the brokers of the cluster', async () => {
      expect(await admin.masters()).toEqual([target.broker])
    })

    seen('finds messages by key', async () => {
      for (const number of [0, 7, sent.length - 1]) {
        await until(
          async () => (await admin.byKey(topic, `key-${number}`).catch(() => [])).length > 0,
          30_000,
          () => `key-${number} is not in the index`,
        )
        const found = await admin.byKey(topic, `key-${number}`)
        expect(found.map(line => line.hash)).toEqual([sentWithKey(`key-${number}`)[0]!.hash])
      }
      const pair = await admin.byKey(topic, 'pair-3')
      expect(pair.map(line => line.hash).sort()).toEqual(
        sentWithKey('pair-3')
          .map(line => line.hash)
          .sort(),
      )
    })

    seen('finds a message by its unique id', async () => {
      for (const line of [sent[0]!, sent.at(-1)!, sentWithKey('key-7')[0]!]) {
        expect((await admin.byId(topic, line.id!)).map(found => found.hash)).toEqual([line.hash])
      }
    })

    seen('finds a message by its offset id', async () => {
      for (const line of [sent[0]!, sent.at(-1)!, sentWithKey('key-7')[0]!]) {
        const found = await admin.byId(topic, line.offsetId!)
        expect(found.map(({ hash, queue, offset }) => ({ hash, queue, offset }))).toEqual([
          { hash: line.hash, queue: line.queue, offset: line.offset },
        ])
      }
    })

    seen('reads first and last offsets', async () => {
      for (let queue = 0; queue < QUEUES; queue++) {
        expect(await admin.bounds(topic, queue)).toEqual([0, inQueue(queue).length])
      }
    })

    seen('finds an offset by time', async () => {
      for (let queue = 0; queue < QUEUES; queue++) {
        const lines = inQueue(queue)
        const middle = lines[lines.length >> 1]!
        const first = lines.find(line => line.storedAt! >= middle.storedAt!)!
        expect(await admin.search(topic, queue, middle.storedAt!)).toBe(first.offset)
        expect(await admin.search(topic, queue, lines[0]!.storedAt! - 60_000)).toBe(0)
      }
    })

    seen('creates a subscription group', async () => {
      await admin.createGroup(fresh('group'))
    })

    seen('deletes a topic', async () => {
      await admin.deleteTopic(topic)
      await until(
        async () => !(await admin.topics()).includes(topic),
        30_000,
        () => `${topic} is still listed`,
      )
      await expect(admin.queues(topic)).rejects.toThrow(/17|No topic route/)
      await admin.close()
    })

    const sentWithKey = (key: string) => sent.filter(line => line.keys.split(' ').includes(key))
    const inQueue = (queue: number) => stored.filter(line => line.queue === queue).sort((a, b) => a.offset - b.offset)
  })
}
