import { loadBodyCodec, RequestCode, ResponseCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { from, lastValueFrom, range, toArray } from 'rxjs'
import { map } from 'rxjs/operators'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Client, RequestError } from '../../src/index.js'
import { FakeCluster } from '../support/fake-cluster.js'

describe('Producer', () => {
  let sim: Simulation
  let cluster: FakeCluster
  let client: Client

  beforeEach(async () => {
    sim = simulate({ seed: 1, latencyMs: 1 })
    cluster = await FakeCluster.start(sim, ['broker-a', 'broker-b'])
    cluster.createTopic('orders', 2)
    client = await sim.runUntilSettled(Client.connect({ nameservers: cluster.nameservers, environment: sim }))
  })

  afterEach(() => sim.runUntilSettled(client.close()))

  function sent(index: number): string[] {
    return cluster.brokers[index].bodies('orders')
  }

  it('sends to the queues of all brokers in turn and says where each message went', async () => {
    const producer = client.producer()
    const results = await sim.runUntilSettled(
      Promise.all([1, 2, 3, 4].map(n => producer.send({ topic: 'orders', body: `${n}` }))),
    )

    expect(new Set(results.map(({ queue }) => `${queue.brokerName}:${queue.queueId}`)).size).toBe(4)
    expect(results.map(({ status, queueOffset }) => [status, queueOffset])).toEqual(Array(4).fill(['SEND_OK', 0]))
    expect(new Set(results.map(({ messageId }) => messageId)).size).toBe(4)
    expect([...sent(0), ...sent(1)].sort()).toEqual(['1', '2', '3', '4'])
  })

  it('keeps the messages of a sharding key in one queue, in order', async () => {
    const producer = client.producer()
    const sends = Array.from({ length: 20 }, (_, n) =>
      producer.send({ topic: 'orders', body: `${n}`, shardingKey: 'customer-7' }),
    )
    const results = await sim.runUntilSettled(Promise.all(sends))

    expect(new Set(results.map(({ queue }) => `${queue.brokerName}:${queue.queueId}`)).size).toBe(1)
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('carries tag, keys and properties', async () => {
    const message = { topic: 'orders', body: 'x', tag: 'Paid', keys: ['k1', 'k2'], properties: { region: 'süd' } }
    const { queue, messageId } = await sim.runUntilSettled(client.producer().send(message))

    const broker = cluster.brokers.find(({ name }) => name === queue.brokerName)
    expect(broker?.queue('orders', queue.queueId)[0].properties).toMatchObject({
      TAGS: 'Paid',
      KEYS: 'k1 k2',
      region: 'süd',
      UNIQ_KEY: messageId,
    })
  })

  it('writes what is sent in one turn at once', async () => {
    const producer = client.producer()
    await sim.runUntilSettled(
      producer.send({ topic: 'orders', body: 'x' }, { queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 } }),
    )
    const { server } = cluster.brokers[0]
    const before = server.chunks
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 }
    await sim.runUntilSettled(
      Promise.all(Array.from({ length: 100 }, () => producer.send({ topic: 'orders', body: 'x' }, { queue }))),
    )

    expect(server.chunks - before).toBe(1)
  })

  it.each([ResponseCode.SYSTEM_BUSY, ResponseCode.SERVICE_NOT_AVAILABLE, ResponseCode.NO_PERMISSION])(
    'tries another broker after code %i',
    async code => {
      cluster.brokers[0].server.script(RequestCode.SEND_MESSAGE_V2, () => ({ code, remark: 'no' }))
      const { queue } = await sim.runUntilSettled(client.producer().send({ topic: 'orders', body: 'x' }))
      expect(queue.brokerName).toBe('broker-b')
    },
  )

  it('tries another broker when one is away', async () => {
    await cluster.brokers[0].server.stop()
    const producer = client.producer()
    const results = await sim.runUntilSettled(
      Promise.all([1, 2, 3, 4].map(n => producer.send({ topic: 'orders', body: `${n}` }))),
    )
    expect(results.map(({ queue }) => queue.brokerName)).toEqual(Array(4).fill('broker-b'))
  })

  it('reports an error that no other broker can help with at once', async () => {
    cluster.brokers[0].server.script(RequestCode.SEND_MESSAGE_V2, () => ({
      code: ResponseCode.MESSAGE_ILLEGAL,
      remark: 'too large',
    }))
    const error = await sim.runUntilSettled(
      client
        .producer()
        .send({ topic: 'orders', body: 'x' })
        .catch(thrown => thrown),
    )
    expect(error).toBeInstanceOf(RequestError)
    expect(error).toMatchObject({ code: 'REQUEST_FAILED', responseCode: 13, remark: 'too large' })
    expect(cluster.brokers[1].server.requestsOf(RequestCode.SEND_MESSAGE_V2)).toHaveLength(0)
  })

  it('gives up after the time allowed for all attempts', async () => {
    for (const { server } of cluster.brokers) server.script(RequestCode.SEND_MESSAGE_V2, () => 'silent')
    const begin = sim.clock.now()
    const error = await sim.runUntilSettled(
      client
        .producer()
        .send({ topic: 'orders', body: 'x' }, { timeoutMs: 500 })
        .catch(thrown => thrown),
    )
    expect(error).toMatchObject({ code: 'TIMEOUT' })
    expect(sim.clock.now() - begin).toBeLessThan(520)
  })

  it('does not retry on a chosen queue', async () => {
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 1 }
    cluster.brokers[0].server.script(RequestCode.SEND_MESSAGE_V2, () => ({
      code: ResponseCode.SYSTEM_BUSY,
      remark: 'busy',
    }))
    const error = await sim.runUntilSettled(
      client
        .producer()
        .send({ topic: 'orders', body: 'x' }, { queue })
        .catch(thrown => thrown),
    )
    expect(error).toMatchObject({ responseCode: ResponseCode.SYSTEM_BUSY })
  })

  it('stops waiting when the caller aborts', async () => {
    cluster.brokers[0].server.script(RequestCode.SEND_MESSAGE_V2, () => 'silent')
    const abort = new AbortController()
    const send = client
      .producer()
      .send({ topic: 'orders', body: 'x' }, { signal: abort.signal })
      .catch(thrown => thrown)
    sim.scheduler.after(20, () => abort.abort())
    expect(await sim.runUntilSettled(send)).toMatchObject({ code: 'ABORTED' })
  })

  it('creates an unknown topic by way of the template, and fails where there is none', async () => {
    const producer = client.producer()
    const error = await sim.runUntilSettled(producer.send({ topic: 'new', body: 'x' }).catch(thrown => thrown))
    expect(error).toMatchObject({ code: 'TOPIC_NOT_FOUND' })

    cluster.brokers[1].topics.set('TBW102', { queues: 8, perm: 7 })
    const { queue } = await sim.runUntilSettled(producer.send({ topic: 'new', body: 'x' }))
    expect(queue).toMatchObject({ topic: 'new', brokerName: 'broker-b' })
    expect(cluster.brokers[1].topics.get('new')).toEqual({ queues: 4, perm: 6 })
    await sim.run(sim.clock.now() + 100)
    expect((await sim.runUntilSettled(producer.queues('new'))).length).toBe(4)
  })

  it('finds queues that were added, within the route refresh', async () => {
    const producer = client.producer()
    expect(await sim.runUntilSettled(producer.queues('orders'))).toHaveLength(4)
    cluster.createTopic('orders', 3)
    await sim.run(sim.clock.now() + 31_000)
    expect(await sim.runUntilSettled(producer.queues('orders'))).toHaveLength(6)
  })

  it('sends a batch to one queue without gaps', async () => {
    const messages = ['a', 'b', 'c'].map(body => ({ topic: 'orders', body }))
    const result = await sim.runUntilSettled(client.producer().sendBatch(messages))
    const broker = cluster.brokers.find(({ name }) => name === result.queue.brokerName)

    expect(result.queueOffset).toBe(0)
    expect(result.messageId.split(',')).toHaveLength(3)
    expect(broker?.queue('orders', result.queue.queueId).map(({ body }) => body.toString())).toEqual(['a', 'b', 'c'])
  })

  it('compresses a large body that gets smaller by it, and leaves others', async () => {
    const producer = client.producer()
    const large = Buffer.alloc(10_000, 'abc')
    const { queue } = await sim.runUntilSettled(producer.send({ topic: 'orders', body: large }))
    const broker = cluster.brokers.find(({ name }) => name === queue.brokerName)
    const [request] = broker?.server.requestsOf(RequestCode.SEND_MESSAGE_V2) ?? []
    const unpacked = (await loadBodyCodec('zlib')).decompress(request.body as Buffer, 20_000)

    expect(Number(request.extFields['f']) & 1).toBe(1)
    expect(request.body?.length).toBeLessThan(200)
    expect(unpacked.ok && unpacked.body.equals(large)).toBe(true)
  })

  it.each([
    ['an empty body', { topic: 'orders', body: '' }],
    ['a bad topic', { topic: '../orders', body: 'x' }],
    ['a body over 4 MiB', { topic: 'orders', body: Buffer.alloc((4 << 20) + 1) }],
    ['a reserved property', { topic: 'orders', body: 'x', properties: { UNIQ_KEY: 'mine' } }],
    ['a property with a separator', { topic: 'orders', body: 'x', properties: { a: 'b\u0002c' } }],
  ])('refuses %s before anything is sent', async (_what, message) => {
    await expect(client.producer().send(message)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(client.producer().sendOneWay(message)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('sends one way without waiting for an answer', async () => {
    await sim.runUntilSettled(client.producer().sendOneWay({ topic: 'orders', body: 'x' }))
    await sim.run(sim.clock.now() + 10)
    expect([...sent(0), ...sent(1)]).toEqual(['x'])
  })

  it('bounds what is on its way from a stream', async () => {
    const answers: (() => void)[] = []
    const hold = () =>
      new Promise<{ code: number; extFields: Record<string, string> }>(resolve => {
        answers.push(() => resolve({ code: 0, extFields: { msgId: '0', queueId: '0', queueOffset: '0' } }))
      })
    for (const { server } of cluster.brokers)
      for (let n = 0; n < 10; n++) server.script(RequestCode.SEND_MESSAGE_V2, hold)
    const done = lastValueFrom(
      range(0, 9).pipe(
        map(n => ({ topic: 'orders', body: `${n}` })),
        client.producer().sink(3),
        toArray(),
      ),
    )
    for (let round = 1; round <= 3; round++) {
      await sim.run(sim.clock.now() + 10)
      expect(answers).toHaveLength(3)
      for (const answer of answers.splice(0)) answer()
    }
    expect(await sim.runUntilSettled(done)).toHaveLength(9)
  })

  it('ends the stream with the error of a send', async () => {
    const stream = from([
      { topic: 'orders', body: 'x' },
      { topic: 'orders', body: '' },
    ]).pipe(client.producer().sink(1))
    await expect(sim.runUntilSettled(lastValueFrom(stream))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('is known to the brokers by its group', async () => {
    await sim.runUntilSettled(client.producer({ group: 'shop' }).send({ topic: 'orders', body: 'x' }))
    await sim.run(sim.clock.now() + 61_000)
    const [first, ...later] = cluster.brokers[0].server.requestsOf(RequestCode.HEART_BEAT)
    expect(first.body?.toString()).toContain('"groupName":"shop"')
    expect(later.length).toBeGreaterThanOrEqual(1)
  })
})
