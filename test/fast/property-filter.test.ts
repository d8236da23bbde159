import { RequestCode, ResponseCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bodiesOf, type RawBroker, type RawClient, startRawBroker } from './support/raw-broker.js'

let broker: RawBroker
let client: RawClient
let consumer: RawClient

beforeAll(async () => {
  broker = await startRawBroker()
  client = await broker.connect()
  consumer = await broker.connect()
})
afterAll(() => broker.stop())

async function sendNumbers(topic: string, count: number, from = 0, extra: Record<string, string> = {}): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      client.send(topic, String(from + i), { n: String(from + i), parity: (from + i) % 2 ? 'odd' : 'even', ...extra }),
    ),
  )
}

describe('a pull with a property filter', () => {
  it('gets what its expression takes, and goes on behind what was looked at', async () => {
    await client.send('numbers', 'creates the topic', { n: 'none' })
    await sendNumbers('numbers', 20)
    const pull = (subscription: string, max = 32) => consumer.pull('numbers', 0, { subscription, type: 'SQL92', max })
    const some = await pull("n BETWEEN 3 AND 8 AND parity = 'odd'")
    expect(some).toMatchObject({ code: 0, extFields: { nextBeginOffset: '21', maxOffset: '21' } })
    expect(bodiesOf(some)).toEqual(['3', '5', '7'])
    const first = await pull("parity = 'even'", 2)
    expect(bodiesOf(first)).toEqual(['0', '2'])
    expect(first.extFields['nextBeginOffset']).toBe('4')
    // Text that is no number is no match, also under NOT.
    expect(bodiesOf(await pull('NOT (n > -1)'))).toEqual([])
    expect(await pull("TAGS = 'x'")).toMatchObject({
      code: ResponseCode.PULL_RETRY_IMMEDIATELY,
      remark: 'NO_MATCHED_MESSAGE',
      extFields: { nextBeginOffset: '21' },
    })
    // Properties that the broker adds can be seen as well.
    expect(bodiesOf(await pull("n = 4 AND MSG_REGION = 'DefaultRegion' AND UNIQ_KEY IS NOT NULL"))).toEqual([])
    expect(bodiesOf(await pull("n = 4 AND MSG_REGION = 'DefaultRegion'"))).toEqual(['4'])
    const lite = { subscription: 'n = 5', type: 'SQL92', code: RequestCode.LITE_PULL_MESSAGE }
    expect(bodiesOf(await consumer.pull('numbers', 0, lite))).toEqual(['5'])
  })

  it('looks at large messages and at those in long properties too', async () => {
    await client.send('large', Buffer.alloc(300_000, 1), { n: '1', pad: 'x'.repeat(20_000) })
    await client.send('large', Buffer.alloc(300_000, 2), { n: '2', pad: 'x'.repeat(20_000) })
    const pulled = await consumer.pull('large', 0, { subscription: 'n = 2', type: 'SQL92' })
    expect(bodiesOf(pulled)).toEqual([Buffer.alloc(300_000, 2).toString()])
    expect(pulled.extFields['nextBeginOffset']).toBe('2')
  })

  it('is refused when the expression cannot be read or its type is unknown', async () => {
    const pull = (subscription: string, type: string) => consumer.pull('numbers', 0, { subscription, type })
    expect(await pull('n >', 'SQL92')).toMatchObject({
      code: ResponseCode.SUBSCRIPTION_PARSE_FAILED,
      remark: expect.stringContaining('the expression ends too early'),
    })
    expect(await pull('n = 1', 'SQL2023')).toMatchObject({ code: ResponseCode.SUBSCRIPTION_PARSE_FAILED })
  })

  it('looks at no more than a piece of a long stretch that does not match', async () => {
    await client.send('stretch', 'creates the topic', { n: '0' })
    await sendNumbers('stretch', 1999, 1)
    let offset = 0
    const steps: number[] = []
    for (;;) {
      const pulled = await consumer.pull('stretch', offset, { subscription: 'n = 1500', type: 'SQL92' })
      offset = Number(pulled.extFields['nextBeginOffset'])
      steps.push(offset)
      if (pulled.code === 0) expect(bodiesOf(pulled)).toEqual(['1500'])
      else expect(pulled.code).toBe(ResponseCode.PULL_RETRY_IMMEDIATELY)
      if (offset === 2000) break
    }
    expect(steps).toEqual([800, 1600, 2000])
  })
})

describe('a pull that waits with a property filter', () => {
  it('sleeps through what does not match and wakes by what does', async () => {
    await client.send('waits', 'creates the topic')
    const held = consumer.pull('waits', 1, { subscription: 'n > 100', type: 'SQL92', suspendMs: 7000 })
    await sendNumbers('waits', 50)
    await client.send('waits', 'no number', { n: 'x' })
    await client.send('waits', 'match', { n: '101' })
    const answer = await held
    expect(bodiesOf(answer)).toEqual(['match'])
    expect(answer.extFields['nextBeginOffset']).toBe('53')
  })

  it('tells the offset behind what it dropped when its time is over', async () => {
    const held = consumer.pull('waits', 53, { subscription: 'n > 1000', type: 'SQL92', suspendMs: 400 })
    await sendNumbers('waits', 5)
    expect(await held).toMatchObject({
      code: ResponseCode.PULL_RETRY_IMMEDIATELY,
      extFields: { nextBeginOffset: '58', maxOffset: '58' },
    })
    const idle = consumer.pull('waits', 58, { subscription: 'n > 1000', type: 'SQL92', suspendMs: 250 })
    expect(await idle).toMatchObject({ code: ResponseCode.PULL_NOT_FOUND, extFields: { nextBeginOffset: '58' } })
  })
})

describe("a group's subscription by properties", () => {
  it('comes from the heartbeat, and its changes reach pulls that wait', async () => {
    await client.send('switch', 'creates the topic')
    await sendNumbers('switch', 4)
    const sql = (subString: string, subVersion: number) => ({
      topic: 'switch',
      subString,
      expressionType: 'SQL92',
      subVersion,
    })
    await consumer.join('switchers', [{ topic: 'switch', subString: '*', subVersion: 1 }])
    const pull = (offset: number, subVersion: number, suspendMs = 0) =>
      consumer.pull('switch', offset, { group: 'switchers', subscription: undefined, subVersion, suspendMs })
    expect(bodiesOf(await pull(0, 1))).toHaveLength(5)
    // A version the broker has not heard of: the client comes again, and the heartbeat has come meanwhile.
    expect(await pull(0, 2)).toMatchObject({ code: ResponseCode.PULL_RETRY_IMMEDIATELY })
    const held = pull(5, 1, 7000)
    await consumer.join('switchers', [sql('n = 2', 2)])
    await sendNumbers('switch', 1, 9)
    // The filter it was held with is not the group's any more.
    expect(await held).toMatchObject({ code: ResponseCode.PULL_RETRY_IMMEDIATELY, extFields: { nextBeginOffset: '5' } })
    expect(bodiesOf(await pull(0, 2))).toEqual(['2'])
    // A member with an older subscription does not take the group back.
    const other = await broker.connect()
    await other.join('switchers', [{ topic: 'switch', subString: '*', subVersion: 1 }], { clientId: 'client-2' })
    expect(bodiesOf(await pull(0, 1))).toEqual(['2'])
    await consumer.join('switchers', [sql('n = ', 3)])
    expect(await pull(0, 3)).toMatchObject({ code: ResponseCode.FILTER_DATA_NOT_EXIST })
    await consumer.join('switchers', [sql('n = 3', 4)])
    expect(bodiesOf(await pull(0, 4))).toEqual(['3'])
    other.close()
  })

  it('is not asked again about messages that come back for another try', async () => {
    await consumer.join('triers', [
      { topic: 'numbers', subString: 'n = 1', expressionType: 'SQL92' },
      { topic: '%RETRY%triers', subString: '*' },
    ])
    await client.send('%RETRY%triers', 'again', { RETRY_TOPIC: 'numbers', n: '7' })
    const flagged = { group: 'triers', subscription: 'n = 1', type: 'SQL92' }
    expect(bodiesOf(await consumer.pull('%RETRY%triers', 0, flagged))).toEqual(['again'])
    expect(bodiesOf(await consumer.pull('%RETRY%triers', 0, { group: 'triers', subscription: undefined }))).toEqual([
      'again',
    ])
  })
})

describe('the check of a subscription [46]', () => {
  const check = (expressionType: string, subString: string, to = client) =>
    to.ask(RequestCode.CHECK_CLIENT_CONFIG, {
      clientId: 'c',
      group: 'g',
      subscriptionData: { topic: 'numbers', subString, expressionType },
      namespace: '',
    })

  it('reads the expression', async () => {
    expect(await check('TAG', 'a || b')).toMatchObject({ code: 0 })
    expect(await check('SQL92', 'n > 5 AND a IS NOT NULL')).toMatchObject({ code: 0 })
    expect(await check('SQL92', 'n > TRUE')).toMatchObject({
      code: ResponseCode.SUBSCRIPTION_PARSE_FAILED,
      remark: 'only numbers and properties have an order',
    })
    expect(await check('SQL92', '')).toMatchObject({ code: ResponseCode.SUBSCRIPTION_PARSE_FAILED })
    expect(await client.call(RequestCode.CHECK_CLIENT_CONFIG, {}, Buffer.from('{'))).toMatchObject({ code: 1 })
  })

  it('refuses, as pulls do, where property filters are switched off; retries can be filtered where that is on', async () => {
    const strict = await startRawBroker({ enablePropertyFilter: false, filterSupportRetry: true })
    const peer = await strict.connect()
    await peer.send('numbers', '1', { n: '1' })
    const refusal = { code: ResponseCode.SYSTEM_ERROR, remark: expect.stringContaining('filter message by SQL92') }
    expect(await check('SQL92', 'n = 1', peer)).toMatchObject(refusal)
    expect(await peer.pull('numbers', 0, { subscription: 'n = 1', type: 'SQL92' })).toMatchObject(refusal)
    await peer.join('triers', [
      { topic: 'numbers', subString: 'n = 1', expressionType: 'SQL92' },
      { topic: '%RETRY%triers', subString: '*' },
    ])
    for (const n of ['1', '2']) await peer.send('%RETRY%triers', n, { RETRY_TOPIC: 'numbers', n })
    await peer.send('%RETRY%triers', 'of another topic', { RETRY_TOPIC: 'other' })
    const retried = await peer.pull('%RETRY%triers', 0, { group: 'triers', subscription: undefined })
    expect(bodiesOf(retried)).toEqual(['1', 'of another topic'])
    await strict.stop()
  })
})
