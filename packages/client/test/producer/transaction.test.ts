import { encodeRequest, RequestCode, ResponseCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Client, type TransactionDecision } from '../../src/index.js'
import { type FakeBroker, FakeCluster } from '../support/fake-cluster.js'

describe('a transaction', () => {
  let sim: Simulation
  let cluster: FakeCluster
  let broker: FakeBroker
  let client: Client

  beforeEach(async () => {
    sim = simulate({ seed: 1, latencyMs: 1 })
    cluster = await FakeCluster.start(sim)
    cluster.createTopic('orders', 1)
    broker = cluster.brokers[0]!
    client = await sim.runUntilSettled(Client.connect({ nameservers: cluster.nameservers, environment: sim }))
  })

  afterEach(() => sim.runUntilSettled(client.close()))

  const ends = () => broker.server.requestsOf(RequestCode.END_TRANSACTION)

  /** The broker asks about the message it stored first. */
  async function ask(fields: Record<string, string> = {}): Promise<void> {
    const [stored] = broker.queue('orders', 0)
    const extFields = { tranStateTableOffset: '7', commitLogOffset: '1234', bname: 'broker-a', ...fields }
    const request = { code: RequestCode.CHECK_TRANSACTION_STATE, opaque: 1, isOneway: true, extFields }
    for (const peer of broker.server.peers) peer.write(encodeRequest({ ...request, body: stored!.record }))
    await sim.run(sim.clock.now() + 100)
  }

  it.each([
    ['commit', '8'],
    ['rollback', '12'],
  ] as const)('sends a half message, then its %s', async (decision, flag) => {
    const producer = client.producer({ group: 'shop' })
    await sim.runUntilSettled(producer.send({ topic: 'orders', body: 'before' }))
    let stored = 0
    const result = await sim.runUntilSettled(
      producer.sendInTransaction(
        { topic: 'orders', body: 'x', tag: 'paid' },
        async sent => {
          stored = broker.queue('orders', 0).length
          expect(sent.queueOffset).toBe(1)
          return decision
        },
        { firstCheckAfterSeconds: 30 },
      ),
    )
    expect(stored).toBe(2)
    expect(result).toMatchObject({ decision, status: 'SEND_OK', queueOffset: 1 })
    expect(broker.queue('orders', 0)[1]!.properties).toMatchObject({
      TRAN_MSG: 'true',
      PGROUP: 'shop',
      TAGS: 'paid',
      CHECK_IMMUNITY_TIME_IN_SECONDS: '30',
    })
    expect(broker.server.requestsOf(RequestCode.SEND_MESSAGE_V2).map(({ extFields }) => extFields['f'])).toEqual([
      '0',
      '4',
    ])
    expect(ends().map(({ extFields }) => extFields)).toEqual([
      {
        producerGroup: 'shop',
        topic: 'orders',
        tranStateTableOffset: '1',
        commitLogOffset: '1',
        commitOrRollback: flag,
        fromTransactionCheck: 'false',
        msgId: result.messageId,
        transactionId: result.messageId,
      },
    ])
  })

  it('stays open while its outcome is unknown, or was not found out', async () => {
    const producer = client.producer()
    const message = { topic: 'orders', body: 'x' }
    const unknown = await sim.runUntilSettled(producer.sendInTransaction(message, () => 'unknown'))
    expect(unknown.decision).toBe('unknown')
    const failed = producer.sendInTransaction(message, () => {
      throw new Error('the database is away')
    })
    await expect(sim.runUntilSettled(failed)).rejects.toThrow('the database is away')
    expect(ends()).toEqual([])
  })

  it('tells when it has ended otherwise', async () => {
    broker.server.script(RequestCode.END_TRANSACTION, () => ({ code: ResponseCode.ILLEGAL_OPERATION, remark: 'no' }))
    const late = client.producer().sendInTransaction({ topic: 'orders', body: 'x' }, () => 'commit')
    await expect(sim.runUntilSettled(late)).rejects.toMatchObject({ responseCode: 604 })
  })

  it('is refused with a delay, or a wait that is none', async () => {
    const producer = client.producer()
    const commit = (): TransactionDecision => 'commit'
    for (const delay of [{ delayLevel: 1 }, { delayMs: 5 }, { deliverAt: 5 }])
      await expect(producer.sendInTransaction({ topic: 'orders', body: 'x', ...delay }, commit)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
    await expect(
      producer.sendInTransaction({ topic: 'orders', body: 'x' }, commit, { firstCheckAfterSeconds: 0.5 }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(broker.bodies('orders')).toEqual([])
  })

  it('is asked about by the broker, which any producer of the group can answer', async () => {
    const asked: string[] = []
    const decisions: (TransactionDecision | Error)[] = ['commit', 'rollback', 'unknown', new Error('no database')]
    const failures: Error[] = []
    const producer = client.producer({
      group: 'shop',
      check: async message => {
        asked.push(`${message.topic}: ${message.body}`)
        const decision = decisions.shift()!
        if (decision instanceof Error) throw decision
        return decision
      },
      onError: error => failures.push(error),
    })
    const { messageId } = await sim.runUntilSettled(
      producer.sendInTransaction({ topic: 'orders', body: 'x' }, () => 'unknown'),
    )
    expect(broker.server.requestsOf(RequestCode.HEART_BEAT).at(-1)?.body?.toString()).toContain('"shop"')
    for (let i = 0; i < 4; i++) await ask({ transactionId: 'T' })
    expect(asked).toEqual(Array(4).fill('orders: x'))
    expect(ends().map(({ extFields }) => extFields['commitOrRollback'])).toEqual(['8', '12', '0'])
    expect(ends()[0]!.extFields).toEqual({
      producerGroup: 'shop',
      topic: 'orders',
      tranStateTableOffset: '7',
      commitLogOffset: '1234',
      commitOrRollback: '8',
      fromTransactionCheck: 'true',
      msgId: messageId,
      transactionId: 'T',
    })
    expect(ends()[0]!.flag & 2).toBe(2)
    expect(failures.map(({ message }) => message)).toEqual(['no database'])
  })

  it('is not answered for by a producer without a check', async () => {
    await sim.runUntilSettled(client.producer().sendInTransaction({ topic: 'orders', body: 'x' }, () => 'unknown'))
    await ask()
    expect(ends()).toEqual([])
  })
})
