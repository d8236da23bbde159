import type { Client, PoppedMessage } from '@millrace/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PopBroker } from './pop-broker.js'

let broker: PopBroker
let client: Client

beforeAll(async () => {
  broker = await PopBroker.start()
  client = await broker.client()
})
afterAll(async () => {
  await client.close()
  await broker.stop()
})

function texts(found: readonly PoppedMessage[]): string[] {
  return found.map(({ message }) => message.body.toString())
}

describe('the pop consumer of our client', () => {
  it('settles messages one by one: acknowledged, tried again, kept longer', async () => {
    const topic = 'popped-by-client'
    await broker.createTopic(topic, 2)
    for (const [i, text] of ['a', 'b', 'c'].entries()) await broker.send(topic, text, { TAGS: 't' }, i % 2)
    const consumer = client.popConsumer({ group: 'workers' })
    const found = await consumer.pop({ topic, filter: 't', invisibleMs: 5_000, pollMs: 0 })
    const [a, b, c] = ['a', 'b', 'c'].map(text => found.find(({ message }) => message.body.toString() === text)!)
    expect(a!.message).toMatchObject({ topic, queueOffset: 0, tag: 't' })
    await a!.ack()
    await b!.retry()
    await c!.extend(60_000)
    expect(c!.visibleAt).toBe(broker.now + 60_000)
    broker.pass(10_000)
    const [again] = await consumer.pop({ topic, pollMs: 5_000 })
    expect(again).toMatchObject({ reconsumeTimes: 1 })
    expect(texts([again!])).toEqual(['b'])
    // A retried message is settled as any other.
    await again!.ack()
    await c!.ack()
    broker.pass(120_000)
    expect(await consumer.pop({ topic, pollMs: 250 })).toEqual([])
  })

  it('waits for messages, in order when it is asked to', async () => {
    const topic = 'awaited-by-client'
    await broker.createTopic(topic)
    const consumer = client.popConsumer({ group: 'workers' })
    const waiting = consumer.pop({ topic, pollMs: 5_000, isOrdered: true })
    await broker.send(topic, 'a')
    const [a] = await waiting
    await broker.send(topic, 'b')
    expect(await consumer.pop({ topic, pollMs: 0, isOrdered: true })).toEqual([])
    await a!.ack()
    expect(texts(await consumer.pop({ topic, pollMs: 0, isOrdered: true }))).toEqual(['b'])
    broker.pass(100_000)
    const [again] = await consumer.pop({ topic, pollMs: 0, isOrdered: true })
    expect(again?.reconsumeTimes).toBe(1)
  })

  it('names the topic that does not exist', async () => {
    const consumer = client.popConsumer({ group: 'workers' })
    await expect(consumer.pop({ topic: 'nowhere' })).rejects.toThrow(/nowhere/)
  })
})
