import { parseOffsetMessageId, parseProperties, type RemotingCommand, RequestCode, ResponseCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bodiesOf, messagesOf, type RawBroker, type RawClient, startRawBroker } from './support/raw-broker.js'

const HALF = 'RMQ_SYS_TRANS_HALF_TOPIC'
const OP = 'RMQ_SYS_TRANS_OP_HALF_TOPIC'
const GROUP = 'producers'
const COMMIT = '8'
const ROLLBACK = '12'
const PREPARED = { f: '4' }

let broker: RawBroker
let client: RawClient

beforeAll(async () => {
  broker = await startRawBroker({ transactionCheckInterval: 200, transactionTimeOut: 100 })
  client = await broker.connect()
})
afterAll(() => broker.stop())

function half(topic: string, key: string, more: Record<string, string> = {}): Promise<RemotingCommand> {
  return client.send(topic, key, { UNIQ_KEY: key, TRAN_MSG: 'true', PGROUP: GROUP, ...more }, PREPARED)
}

function end(sent: RemotingCommand, decision: string, more: Record<string, string> = {}): Promise<RemotingCommand> {
  return client.call(RequestCode.END_TRANSACTION, {
    producerGroup: GROUP,
    tranStateTableOffset: sent.extFields['queueOffset']!,
    commitLogOffset: String(parseOffsetMessageId(sent.extFields['msgId']!)!.commitLogOffset),
    commitOrRollback: decision,
    msgId: sent.extFields['transactionId']!,
    ...more,
  })
}

async function until(isDone: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await isDone())) {
    if (performance.now() > deadline) throw new Error('it did not happen in 10 s')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

describe('a half message over the wire', () => {
  it('is nobody’s before its commit, and then what was sent', async () => {
    await client.send('orders', 'plain', { UNIQ_KEY: 'P' })
    const sent = await half('orders', 'A', { TAGS: 'paid', city: 'Köln' })
    expect(sent).toMatchObject({ code: 0, extFields: { queueId: '0', transactionId: 'A' } })
    const none = await half('orders', 'B')
    expect(Number(none.extFields['queueOffset'])).toBe(Number(sent.extFields['queueOffset']) + 1)
    expect(bodiesOf(await client.pull('orders', 0))).toEqual(['plain'])
    expect((await end(none, ROLLBACK)).code).toBe(0)
    expect((await end(sent, COMMIT)).code).toBe(0)
    const [, message] = messagesOf(await client.pull('orders', 0))
    const position = parseOffsetMessageId(sent.extFields['msgId']!)!.commitLogOffset
    expect(message).toMatchObject({ topic: 'orders', queueOffset: 1, sysFlag: 8, preparedTransactionOffset: position })
    expect(parseProperties(message!.properties)).toEqual({
      UNIQ_KEY: 'A',
      TRAN_MSG: 'true',
      PGROUP: GROUP,
      TAGS: 'paid',
      city: 'Köln',
      CLUSTER: 'DefaultCluster',
      MSG_REGION: 'DefaultRegion',
      TRACE_ON: 'true',
    })
  })

  it('is stored the same way whichever path it took', async () => {
    await half('paths', 'hot')
    await client.send('paths', 'slow', { UNIQ_KEY: 'slow', TRAN_MSG: 'True' }, PREPARED)
    await client.send('paths', 'no sysFlag', { UNIQ_KEY: 'flagless', TRAN_MSG: 'true', PGROUP: GROUP })
    const stored = messagesOf(await client.pull(HALF, 0)).slice(-3)
    const expected = { REAL_TOPIC: 'paths', REAL_QID: '0', PGROUP: GROUP, CLUSTER: 'DefaultCluster' }
    for (const message of stored) {
      expect(message).toMatchObject({ topic: HALF, queueId: 0, sysFlag: 0 })
      expect(parseProperties(message.properties)).toMatchObject(expected)
    }
    expect(stored.map(({ body }) => body.toString())).toEqual(['hot', 'slow', 'no sysFlag'])
    expect(bodiesOf(await client.pull('paths', 0))).toEqual([])
  })

  it('ends once, and stays ended over a restart', async () => {
    const [first, second] = [await half('once', 'A'), await half('once', 'B')]
    const answers = await Promise.all([end(first, COMMIT), end(first, ROLLBACK), end(first, COMMIT)])
    expect(answers.map(({ code }) => code)).toEqual([0, ResponseCode.ILLEGAL_OPERATION, 0])
    await broker.restart()
    client = await broker.connect()
    expect((await end(first, COMMIT)).code).toBe(0)
    expect((await end(first, ROLLBACK)).code).toBe(ResponseCode.ILLEGAL_OPERATION)
    expect((await end(second, ROLLBACK)).code).toBe(0)
    expect((await end(second, COMMIT)).code).toBe(ResponseCode.ILLEGAL_OPERATION)
    expect(bodiesOf(await client.pull('once', 0))).toEqual(['A'])
    const ops = () => client.pull(OP, 0).then(answer => bodiesOf(answer).join(',').split(','))
    await until(async () => (await ops()).includes(second.extFields['queueOffset']!))
    expect(new Set(await ops()).size).toBe((await ops()).length)
  })

  it('is asked about until its producer answers', async () => {
    const producer = await broker.connect()
    await producer.ask(RequestCode.HEART_BEAT, {
      clientID: 'producer-1',
      producerDataSet: [{ groupName: GROUP }],
      consumerDataSet: [],
    })
    const sent = await half('asked', 'A')
    const checks = () => producer.asked.filter(({ extFields }) => extFields['msgId'] === 'A')
    await until(() => checks().length >= 2)
    const [check] = checks()
    expect(check).toMatchObject({ code: RequestCode.CHECK_TRANSACTION_STATE, flag: 2 })
    expect(check!.extFields['tranStateTableOffset']).toBe(sent.extFields['queueOffset'])
    expect(messagesOf(check!)[0]).toMatchObject({ topic: 'asked', queueId: 0 })
    expect((await end(sent, COMMIT, { fromTransactionCheck: 'true' })).code).toBe(0)
    expect(bodiesOf(await client.pull('asked', 0))).toEqual(['A'])
    producer.close()
  })
})

describe('what is refused', () => {
  it('are half messages in a batch, and requests that fit no half message', async () => {
    const sent = await half('refused', 'A')
    const plain = await client.send('refused', 'x', { UNIQ_KEY: 'X' })
    for (const answer of [
      await end(sent, COMMIT, { producerGroup: 'others' }),
      await end(sent, COMMIT, { tranStateTableOffset: '999' }),
      await end(plain, COMMIT),
      await end(sent, 'maybe'),
      await client.call(RequestCode.END_TRANSACTION, {}),
      await client.call(RequestCode.RESUME_CHECK_HALF_MESSAGE, { topic: HALF, msgId: 'none' }),
    ]) {
      expect(answer.code).toBe(ResponseCode.SYSTEM_ERROR)
      expect(answer.remark!.length).toBeGreaterThan(10)
    }
    expect((await end(sent, ROLLBACK)).code).toBe(0)
  })

  it('are all half messages when rejectTransactionMessage is set', async () => {
    const strict = await startRawBroker({ rejectTransactionMessage: true })
    try {
      const raw = await strict.connect()
      const refused = await raw.send('orders', 'x', { UNIQ_KEY: 'A', TRAN_MSG: 'true', PGROUP: GROUP }, PREPARED)
      expect(refused).toMatchObject({
        code: ResponseCode.NO_PERMISSION,
        remark: expect.stringContaining('transaction'),
      })
      expect((await raw.send('orders', 'x', { UNIQ_KEY: 'B', TRAN_MSG: 'false' })).code).toBe(0)
    } finally {
      await strict.stop()
    }
  })
})
