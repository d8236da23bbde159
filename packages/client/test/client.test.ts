import { encodeMessage, RequestCode, ResponseCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Client } from '../src/index.js'
import { FakeCluster } from './support/fake-cluster.js'

describe('Client', () => {
  let sim: Simulation
  let cluster: FakeCluster
  let client: Client

  beforeEach(async () => {
    sim = simulate({ seed: 5, latencyMs: 1 })
    cluster = await FakeCluster.start(sim)
    cluster.createTopic('orders', 2)
    client = await sim.runUntilSettled(Client.connect({ nameservers: cluster.nameservers, environment: sim }))
  })

  afterEach(() => sim.runUntilSettled(client.close()))

  it.each(['', 'nowhere', 'host:0', 'host:99999', ';;'])('refuses "%s" as name servers', async nameservers => {
    await expect(Client.connect({ nameservers, environment: sim })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('says which name servers do not answer', async () => {
    const connect = Client.connect({ nameservers: '10.9.9.9:1;10.9.9.8:2', environment: sim })
    await expect(sim.runUntilSettled(connect)).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringContaining('10.9.9.9:1;10.9.9.8:2'),
    })
  })

  it('uses the name server that is there', async () => {
    const nameservers = ['10.9.9.9:1', cluster.nameservers]
    const other = await sim.runUntilSettled(Client.connect({ nameservers, environment: sim }))
    expect(await sim.runUntilSettled(other.producer().queues('orders'))).toHaveLength(2)
    await sim.runUntilSettled(other.close())
  })

  it('does nothing more once it is closed', async () => {
    await sim.runUntilSettled(client.close())
    await sim.runUntilSettled(client.close())
    expect(() => client.producer()).toThrow(/closed/)
    const before = cluster.nameserver.requests.length
    await sim.run(sim.clock.now() + 120_000)
    expect(cluster.nameserver.requests.length).toBe(before)
    expect(cluster.nameserver.peers.size).toBe(0)
  })

  it('closes its consumers with itself', async () => {
    const { groups } = cluster.brokers[0]
    await sim.runUntilSettled(client.consumer({ group: 'g', topics: ['orders'] }).run(() => {}))
    expect(groups.get('g')?.size).toBe(1)
    await sim.runUntilSettled(client.close())
    expect(groups.get('g')?.size).toBe(0)
  })

  it('fails what is on its way when it is closed', async () => {
    cluster.brokers[0].server.script(RequestCode.SEND_MESSAGE_V2, () => 'silent')
    const send = client.producer().send({ topic: 'orders', body: 'x' })
    send.catch(() => {})
    await sim.run(sim.clock.now() + 20)
    await sim.runUntilSettled(client.close())
    await expect(send).rejects.toMatchObject({ code: 'CLOSED' })
  })

  describe('pullConsumer', () => {
    it('reads a queue from any offset and keeps its own', async () => {
      const consumer = client.pullConsumer({ group: 'reader' })
      const [queue] = await sim.runUntilSettled(consumer.queues('orders'))
      for (let n = 0; n < 50; n++) cluster.brokers[0].store('orders', 0, { body: Buffer.from(`${n}`), properties: {} })
      const first = await sim.runUntilSettled(consumer.pull({ queue, offset: 45 }))
      expect(first.messages.map(({ body }) => body.toString())).toEqual(['45', '46', '47', '48', '49'])
      expect((await sim.runUntilSettled(consumer.pull({ queue, offset: 0 }))).messages).toHaveLength(32)
      expect((await sim.runUntilSettled(consumer.pull({ queue, offset: 50 }))).status).toBe('no-new')
      expect(await sim.runUntilSettled(consumer.pull({ queue, offset: 99 }))).toMatchObject({
        status: 'offset-moved',
        nextOffset: 50,
      })

      expect(await sim.runUntilSettled(consumer.committed(queue))).toBeUndefined()
      await sim.runUntilSettled(consumer.commit(queue, 45))
      expect(await sim.runUntilSettled(consumer.committed(queue))).toBe(45)
      expect(await sim.runUntilSettled(consumer.offsets.max(queue))).toBe(50)
    })

    it('reports what it cannot read', async () => {
      const consumer = client.pullConsumer({ group: 'reader' })
      const [queue] = await sim.runUntilSettled(consumer.queues('orders'))
      const { server } = cluster.brokers[0]
      const record = encodeMessage({
        topic: 'orders',
        queueId: 0,
        queueOffset: 0,
        commitLogOffset: 0,
        bornTimestamp: 0,
        storeTimestamp: 0,
        bornHost: server.address,
        storeHost: server.address,
        sysFlag: 1,
        body: Buffer.from('not zlib'),
      })
      const fields = { nextBeginOffset: '1', minOffset: '0', maxOffset: '1', suggestWhichBrokerId: '0' }
      server.script(RequestCode.PULL_MESSAGE, () => ({ code: 0, extFields: fields, body: record }))
      const { messages } = await sim.runUntilSettled(consumer.pull({ queue, offset: 0 }))
      expect(() => messages[0].body).toThrow(/cannot be decompressed/)

      server.script(RequestCode.PULL_MESSAGE, () => ({ code: 0, extFields: fields, body: record.subarray(0, 60) }))
      await expect(sim.runUntilSettled(consumer.pull({ queue, offset: 0 }))).rejects.toMatchObject({ code: 'PROTOCOL' })
    })
  })

  describe('admin', () => {
    it('creates a topic on every master and waits until it can be used', async () => {
      const [broker] = cluster.brokers
      broker.server.script(RequestCode.UPDATE_AND_CREATE_TOPIC, ({ extFields }) => {
        const { topic, readQueueNums, perm } = extFields
        sim.scheduler.after(300, () => broker.topics.set(topic, { queues: Number(readQueueNums), perm: Number(perm) }))
        return { code: 0 }
      })
      await sim.runUntilSettled(client.admin.createTopic('made', { queues: 3, attributes: { 'message.type': 'FIFO' } }))
      expect(broker.server.requestsOf(RequestCode.UPDATE_AND_CREATE_TOPIC)[0].extFields['attributes']).toBe(
        '+message.type=FIFO',
      )
      expect(await sim.runUntilSettled(client.producer().queues('made'))).toHaveLength(3)
    })

    it('gives the code and text of the broker when it refuses', async () => {
      const { server } = cluster.brokers[0]
      server.script(RequestCode.UPDATE_AND_CREATE_TOPIC, () => ({
        code: ResponseCode.NO_PERMISSION,
        remark: 'not you',
      }))
      const refused = client.admin.createTopic('made')
      await expect(sim.runUntilSettled(refused)).rejects.toMatchObject({
        code: 'REQUEST_FAILED',
        responseCode: 16,
        remark: 'not you',
      })
      await expect(sim.runUntilSettled(client.admin.createTopic('no/name'))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
      const unknown = client.admin.createTopic('made', { cluster: 'other' })
      await expect(sim.runUntilSettled(unknown)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('known: c'),
      })
    })

    it('describes a topic by its offsets where the broker has no statistics', async () => {
      cluster.brokers[0].store('orders', 1, { body: Buffer.from('x'), properties: {} })
      const queues = await sim.runUntilSettled(client.admin.describeTopic('orders'))
      expect(queues.map(({ queue, minOffset, maxOffset }) => [queue.queueId, minOffset, maxOffset])).toEqual([
        [0, 0, 0],
        [1, 0, 1],
      ])
    })

    it('describes a group: members, offsets and lag, from bodies with queues as keys', async () => {
      const { server } = cluster.brokers[0]
      const connections = {
        connectionSet: [{ clientId: 'c1', clientAddr: '1.2.3.4:5', language: 'GO', version: 1 }],
        subscriptionTable: { orders: { topic: 'orders', subString: 'A || B' } },
      }
      const stats =
        '{"consumeTps":0.0,"offsetTable":{{"brokerName":"broker-a","queueId":1,"topic":"orders"}:{"brokerOffset":9,"consumerOffset":4},{"brokerName":"broker-a","queueId":0,"topic":"orders"}:{"brokerOffset":3,"consumerOffset":3}}}'
      server.script(RequestCode.GET_CONSUMER_CONNECTION_LIST, () => ({
        code: 0,
        body: Buffer.from(JSON.stringify(connections)),
      }))
      server.script(RequestCode.GET_CONSUME_STATS, () => ({ code: 0, body: Buffer.from(stats) }))
      const group = await sim.runUntilSettled(client.admin.describeGroup('g'))
      expect(group.members).toEqual([{ clientId: 'c1', address: '1.2.3.4:5', language: 'GO' }])
      expect(group.subscriptions).toEqual({ orders: 'A || B' })
      expect(group.queues.map(({ queue, lag }) => [queue.queueId, lag])).toEqual([
        [0, 0],
        [1, 5],
      ])
      expect(group.lag).toBe(5)

      server.script(RequestCode.GET_CONSUMER_CONNECTION_LIST, () => ({ code: ResponseCode.CONSUMER_NOT_ONLINE }))
      server.script(RequestCode.GET_CONSUME_STATS, () => ({ code: 0, body: Buffer.from('{"offsetTable":{}}') }))
      expect(await sim.runUntilSettled(client.admin.describeGroup('g'))).toMatchObject({
        members: [],
        queues: [],
        lag: 0,
      })
    })
  })
})
