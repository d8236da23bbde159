import { Client, type Consumer, type ReceivedMessage } from '@millrace/client'
import { MillraceError, parseLenientJson, RequestCode } from '@millrace/core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RawBroker, type RawClient, startRawBroker } from './support/raw-broker.js'

let broker: RawBroker
let admin: RawClient
let client: Client
let other: Client

beforeAll(async () => {
  broker = await startRawBroker({ useServerSideResetOffset: false })
  admin = await broker.connect()
})
afterAll(() => broker.stop())

beforeEach(async () => {
  const options = { nameservers: broker.nameserver, environment: broker.environment }
  client = await Client.connect({ ...options, clientId: 'asker' })
  other = await Client.connect({ ...options, clientId: 'worker' })
})
afterEach(() => Promise.all([client.close(), other.close()]))

async function consume(topic: string, handler: (message: ReceivedMessage) => Promise<void> | void): Promise<Consumer> {
  const consumer = other.consumer({ group: `${topic}-g`, topics: [topic], from: 'first' })
  await consumer.run(handler)
  await expect
    .poll(() => consumer.queues.filter(queue => queue.topic === topic).length, { timeout: 5000 })
    .toBeGreaterThan(0)
  return consumer
}

const textOf = (answer: { readonly body: Buffer | undefined }) => answer.body?.toString() ?? ''

describe('a request message', () => {
  it('is answered by the consumer that handles it', async () => {
    await client.admin.createTopic('questions', { queues: 1 })
    const replies = other.producer()
    await consume('questions', async message => {
      await replies.reply(message, { body: `${message.body.toString()}? yes`, properties: { from: 'worker' } })
    })
    const producer = client.producer()
    const answers = await Promise.all(
      ['one', 'two', 'three'].map(body => producer.request({ topic: 'questions', body }, { timeoutMs: 8000 })),
    )
    expect(answers.map(answer => answer.body.toString())).toEqual(['one? yes', 'two? yes', 'three? yes'])
    expect(answers[0]?.properties).toMatchObject({ from: 'worker', MSG_TYPE: 'reply' })
    // Bodies are compressed and decompressed on the way like any other.
    const long = 'x'.repeat(50_000)
    const answer = await producer.request({ topic: 'questions', body: long }, { timeoutMs: 8000 })
    expect(answer.body.toString()).toBe(`${long}? yes`)
  })

  it('fails when nobody replies in time, and a late reply fails for its sender when the asker is gone', async () => {
    await client.admin.createTopic('unheard', { queues: 1 })
    let late: ReceivedMessage | undefined
    await consume('unheard', message => {
      late = message
    })
    const refusal = client.producer().request({ topic: 'unheard', body: 'hello?' }, { timeoutMs: 300 })
    await expect(refusal).rejects.toMatchObject({ code: 'TIMEOUT' })
    await expect.poll(() => late, { timeout: 5000 }).toBeDefined()
    await client.close()
    const reply = other.producer().reply(late!, { body: 'too late' })
    await expect(reply).rejects.toThrow('channel of <asker> not found')
    const { messageId } = await other.producer().send({ topic: 'unheard', body: 'no request' })
    await expect.poll(() => late?.messageId, { timeout: 5000 }).toBe(messageId)
    await expect(other.producer().reply(late!, { body: 'x' })).rejects.toThrow(MillraceError)
  })
})

describe('a running consumer', () => {
  it('tells operators how it does, handles a message for them, and goes where they say', async () => {
    await client.admin.createTopic('jobs', { queues: 1 })
    const seen: string[] = []
    await consume('jobs', message => {
      if (message.body.toString() === 'bad') throw new Error('a bad job')
      seen.push(message.body.toString())
    })
    const producer = client.producer()
    const sent = await producer.send({ topic: 'jobs', body: 'first' })
    await producer.send({ topic: 'jobs', body: 'second' })
    await expect.poll(() => seen, { timeout: 5000 }).toEqual(['first', 'second'])

    const group = { consumerGroup: 'jobs-g', clientId: 'worker' }
    const info = await admin.call(RequestCode.GET_CONSUMER_RUNNING_INFO, { ...group, jstackEnable: 'false' })
    expect(info.code).toBe(0)
    expect(textOf(info)).toContain('{"brokerName":"broker-a","queueId":0,"topic":"jobs"}:{')
    expect(parseLenientJson(textOf(info))).toMatchObject({
      ok: true,
      value: { properties: { PROP_CONSUMEORDERLY: 'false', PROP_CONSUME_TYPE: 'CONSUME_PASSIVELY' } },
    })
    await expect
      .poll(
        async () =>
          textOf(
            await admin.call(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, { group: 'jobs-g', topic: 'jobs' }),
          ),
        { timeout: 5000 },
      )
      .toContain('{"worker":{{"brokerName":"broker-a","queueId":0,"topic":"jobs"}:2}}')

    const direct = (msgId: string) =>
      admin.call(RequestCode.CONSUME_MESSAGE_DIRECTLY, { ...group, msgId, topic: 'jobs', brokerName: 'broker-a' })
    expect(JSON.parse(textOf(await direct(sent.offsetMessageId)))).toMatchObject({
      consumeResult: 'CR_SUCCESS',
      order: false,
    })
    expect(seen).toEqual(['first', 'second', 'first'])
    const bad = await producer.send({ topic: 'unconsumed', body: 'bad' })
    expect(JSON.parse(textOf(await direct(bad.offsetMessageId)))).toMatchObject({
      consumeResult: 'CR_THROW_EXCEPTION',
      remark: expect.stringContaining('a bad job'),
    })

    const queue = { topic: 'jobs', brokerName: 'broker-a', queueId: 0 }
    await client.admin.offsets.commit('jobs-g', queue, 2)
    const reset = { group: 'jobs-g', topic: 'jobs', timestamp: '0', isForce: 'true' }
    expect((await admin.call(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, reset)).code).toBe(0)
    await expect.poll(() => seen.slice(3), { timeout: 5000 }).toEqual(['first', 'second'])
  })

  it('refuses direct handling where its messages are a stream, and requests for groups that are not here', async () => {
    await client.admin.createTopic('stream', { queues: 1 })
    const consumer = other.consumer({ group: 'stream-g', topics: ['stream'], from: 'first' })
    const subscription = consumer.messages$().subscribe(delivery => delivery.ack())
    const { offsetMessageId: msgId } = await client.producer().send({ topic: 'stream', body: 'x' })
    const fields = { consumerGroup: 'stream-g', clientId: 'worker', msgId, brokerName: 'broker-a' }
    await expect
      .poll(async () => textOf(await admin.call(RequestCode.CONSUME_MESSAGE_DIRECTLY, fields)), { timeout: 5000 })
      .toContain('CR_RETURN_NULL')
    subscription.unsubscribe()
  })
})
