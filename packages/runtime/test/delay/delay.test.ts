import { type MessageToEncode, parseProperties, RequestCode, ResponseCode, type StoredMessage } from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import { retryDelayMs } from '../../src/broker/groups/retry-delay.js'
import type { Reply } from '../../src/listener/peer.js'
import { createWorld, type World } from '../requests/control-world.js'
import { message } from '../requests/memory-message-store.js'

let world: World
afterEach(() => world.stop())

const SCHEDULE = 'SCHEDULE_TOPIC_XXXX'
const broker = () => world.plane.broker ?? expect.fail('no broker')

async function start(options: Parameters<typeof createWorld>[0] = {}): Promise<void> {
  world = await createWorld(options)
}

/** Sends a message the way the send path does. */
function send(level: number, options: Partial<MessageToEncode> = {}): Promise<unknown> {
  const text = `DELAY\u0001${level}\u0002KEYS\u0001k\u0002`
  return world.store.append(broker().delay.schedule(message('orders', { text, ...options })))
}

const delivered = (topic = 'orders', queueId = 0) => world.store.messages(topic, queueId)
const properties = (stored: StoredMessage | undefined) => parseProperties(stored?.properties ?? '')
const bodies = (messages: readonly StoredMessage[]) => messages.map(({ body }) => body.toString())

describe('scheduling', () => {
  it('leaves messages without a delay alone', async () => {
    await start()
    const plain = message('orders', { text: 'KEYS\u0001k\u0002' })
    expect(broker().delay.schedule(plain)).toBe(plain)
    for (const level of ['0', '-1', 'soon', '1.5']) {
      const odd = message('orders', { text: `DELAY\u0001${level}\u0002` })
      expect(broker().delay.schedule(odd)).toBe(odd)
    }
  })

  it('stores the rest by level, with the destination in properties', async () => {
    await start()
    const scheduled = broker().delay.schedule(message('orders', { queueId: 3, text: 'DELAY\u000199\u0002' }))
    expect(scheduled).toMatchObject({ topic: SCHEDULE, queueId: 17 })
    expect(parseProperties(scheduled.properties)).toEqual({ DELAY: '18', REAL_TOPIC: 'orders', REAL_QID: '3' })
  })
})

describe('delivery', () => {
  it('happens when the time has come, and never before', async () => {
    await start()
    await send(3, { queueId: 2 })
    await world.pass(9_999)
    expect(delivered('orders', 2)).toEqual([])
    await world.pass(2)
    const [first] = delivered('orders', 2)
    expect(first).toMatchObject({ topic: 'orders', queueId: 2, reconsumeTimes: 0 })
    expect(properties(first)).toEqual({ DELAY: '3', KEYS: 'k', REAL_TOPIC: 'orders', REAL_QID: '2' })
  })

  it('keeps the order within a level, and lets short delays overtake long ones', async () => {
    await start()
    for (let i = 0; i < 600; i++) {
      await send(2, { body: Buffer.from(String(i)) })
      if (i % 100 === 0) await world.pass(700)
    }
    await send(1, { body: Buffer.from('quick') })
    await world.pass(1_100)
    expect(bodies(delivered())).toContain('quick')
    await world.pass(10_000)
    const inOrder = bodies(delivered()).filter(body => body !== 'quick')
    expect(inOrder).toEqual(Array.from({ length: 600 }, (_, i) => String(i)))
  })

  it('goes on where it was after a restart, without repeats', async () => {
    await start()
    await send(1, { body: Buffer.from('before') })
    await world.pass(1_100)
    await send(3, { body: Buffer.from('after') })
    await send(1, { body: Buffer.from('meanwhile') })
    const { keyValue, simulation, store } = world
    await world.stop()
    await simulation.run(simulation.clock.now() + 5_000)
    await start({ keyValue, simulation, store })
    await world.pass(1)
    expect(bodies(delivered())).toEqual(['before', 'meanwhile'])
    await world.pass(10_000)
    expect(bodies(delivered())).toEqual(['before', 'meanwhile', 'after'])
  })

  it('finds messages that took longer to store than their delay', async () => {
    await start()
    const scheduled = broker().delay.schedule(message('orders', { text: 'DELAY\u00011\u0002' }))
    await world.pass(5_000)
    await world.store.append(scheduled)
    await world.pass(2_500)
    expect(delivered()).toHaveLength(1)
  })

  it('tries again while the disk is full, and loses nothing', async () => {
    await start()
    await send(1, { body: Buffer.from('a') })
    await send(1, { body: Buffer.from('b') })
    world.store.isFull = true
    await world.pass(5_000)
    expect(delivered()).toEqual([])
    world.store.isFull = false
    await world.pass(1_500)
    expect(bodies(delivered())).toEqual(['a', 'b'])
  })

  it('starts at the end of a log that lost its tail', async () => {
    await start()
    for (let i = 0; i < 3; i++) await send(1)
    await world.pass(2_000)
    const { keyValue, simulation } = world
    await world.stop()
    await start({ keyValue, simulation })
    await send(1, { body: Buffer.from('new') })
    await world.pass(2_500)
    expect(bodies(delivered())).toEqual(['new'])
  })
})

describe('sending back', () => {
  const sendBack = (fields: Readonly<Record<string, string>> = {}, version = 493): Promise<Reply> =>
    world.ask(
      RequestCode.CONSUMER_SEND_MSG_BACK,
      {
        offset: '0',
        group: 'g',
        delayLevel: '0',
        originMsgId: 'x',
        originTopic: 'orders',
        maxReconsumeTimes: '16',
        ...fields,
      },
      { version },
    )
  const retried = () => delivered('%RETRY%g')
  const dead = () => delivered('%DLQ%g')

  it('brings the message to the retry topic after ten seconds, with its origin', async () => {
    await start()
    await world.store.append(message('orders', { queueId: 3, text: 'UNIQ_KEY\u0001u\u0002', bornTimestamp: 77 }))
    expect(await sendBack()).toMatchObject({ code: 0 })
    await world.pass(9_900)
    expect(retried()).toEqual([])
    await world.pass(200)
    const [message1] = retried()
    expect(message1).toMatchObject({ reconsumeTimes: 1, bornTimestamp: 77 })
    expect(properties(message1)).toMatchObject({
      UNIQ_KEY: 'u',
      RETRY_TOPIC: 'orders',
      ORIGIN_MESSAGE_ID: '7F00000100002A9F0000000000000000',
      REAL_TOPIC: '%RETRY%g',
    })
  })

  it('keeps the origin of the first try, and waits longer each time', async () => {
    await start()
    await world.store.append(message('orders'))
    await sendBack()
    await world.pass(10_100)
    const first = retried()[0] ?? expect.fail('not retried')
    await sendBack({ offset: String(first.commitLogOffset) })
    await world.pass(29_800)
    expect(retried()).toHaveLength(1)
    await world.pass(300)
    const second = retried()[1]
    expect(second?.reconsumeTimes).toBe(2)
    expect(properties(second)['RETRY_TOPIC']).toBe('orders')
    expect(properties(second)['ORIGIN_MESSAGE_ID']).toBe(properties(first)['ORIGIN_MESSAGE_ID'])
  })

  it('takes the level that the client asks for', async () => {
    await start()
    await world.store.append(message('orders'))
    await sendBack({ delayLevel: '1' })
    await world.pass(1_100)
    expect(retried()).toHaveLength(1)
  })

  it('goes to the dead letters at once after the last try, or when the client gives up', async () => {
    await start()
    await world.store.append(message('orders', { reconsumeTimes: 2, text: 'DELAY\u00013\u0002' }))
    await sendBack({ maxReconsumeTimes: '2' })
    expect(dead()).toHaveLength(1)
    expect(properties(dead()[0])).toMatchObject({ RETRY_TOPIC: 'orders' })
    await sendBack({ delayLevel: '-1' })
    expect(dead()).toHaveLength(2)
    expect(await world.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: '%DLQ%g' })).toMatchObject({ code: 0 })
  })

  it('asks the group how often when the client is too old to say', async () => {
    await start()
    const body = JSON.stringify({ groupName: 'g', retryMaxTimes: 1 })
    await world.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { body })
    await world.store.append(message('orders', { reconsumeTimes: 1 }))
    await sendBack({}, 100)
    expect(dead()).toHaveLength(1)
  })

  it('drops the message of a group without retry queues', async () => {
    await start()
    const body = JSON.stringify({ groupName: 'g', retryQueueNums: 0 })
    await world.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { body })
    await world.store.append(message('orders'))
    expect(await sendBack()).toMatchObject({ code: 0 })
    await world.pass(20_000)
    expect(retried()).toEqual([])
  })

  it('is refused for unknown messages and groups', async () => {
    await start({ broker: { autoCreateSubscriptionGroup: false } })
    expect((await sendBack()).code).toBe(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST)
    await world.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { body: '{"groupName":"g"}' })
    expect(await sendBack({ offset: '12345' })).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: 'look message by offset failed, 12345',
    })
    expect((await sendBack({ offset: '-1' })).code).toBe(ResponseCode.SYSTEM_ERROR)
  })

  it('is refused while the disk is full', async () => {
    await start()
    await world.store.append(message('orders'))
    world.store.isFull = true
    expect((await sendBack()).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
  })
})

describe('where messages for a retry topic go', () => {
  const target = (times: number, max?: number) =>
    world.simulation.runUntilSettled(broker().retryTarget('%RETRY%g', times, max))

  it('is the retry topic, or the dead letters after the last try', async () => {
    await start()
    expect(await target(16)).toBe('%RETRY%g')
    expect(await target(17)).toBe('%DLQ%g')
    expect(await target(3, 2)).toBe('%DLQ%g')
    for (const topic of ['%RETRY%g', '%DLQ%g']) expect(broker().topics.find(topic)).toBeDefined()
  })

  it('is the dead letters for groups that consume in order', async () => {
    await start()
    const mqSet = [{ brokerName: 'broker-a', queueId: 0, topic: 'orders' }]
    await world.ask(
      RequestCode.LOCK_BATCH_MQ,
      {},
      { body: JSON.stringify({ clientId: 'a', consumerGroup: 'g', mqSet }) },
    )
    expect(await target(0)).toBe('%DLQ%g')
  })
})

describe("a group's own retry policy", () => {
  const exponential = (more: object) => ({ type: 'EXPONENTIAL', exponentialRetryPolicy: more })

  it('is exponential up to a limit, with the defaults of Apache', () => {
    const delays = [0, 1, 2, 11, 40].map(times => retryDelayMs({ type: 'EXPONENTIAL' }, times))
    expect(delays).toEqual([5_000, 10_000, 20_000, 7_200_000, 7_200_000])
    expect(retryDelayMs(exponential({ initial: 100, max: 1000, multiplier: 3 }), 2)).toBe(900)
    expect(retryDelayMs(exponential({ initial: -1, max: 'x', multiplier: 0 }), 0)).toBe(5_000)
    expect(retryDelayMs(exponential({ initial: 1e300, max: 1e300 }), 9)).toBe(30 * 86_400_000)
  })

  it('is a list that begins with two steps that retries skip, or the delay levels', () => {
    const customized = { type: 'CUSTOMIZED', customizedRetryPolicy: { next: [1, 2, 30, 40] } }
    expect([0, 1, 2, 99].map(times => retryDelayMs(customized, times))).toEqual([30, 40, 40, 40])
    expect(retryDelayMs({ type: 'CUSTOMIZED' }, 0)).toBeUndefined()
    for (const odd of [
      null,
      'x',
      [],
      { customizedRetryPolicy: { next: [] } },
      { customizedRetryPolicy: { next: ['a'] } },
    ])
      expect(retryDelayMs(odd, 0)).toBeUndefined()
  })

  it('says when a message comes again that was sent back without a level', async () => {
    await start()
    const policy = exponential({ initial: 700, max: 5000, multiplier: 2 })
    const body = JSON.stringify({ groupName: 'g', groupRetryPolicy: policy, retryMaxTimes: 3 })
    await world.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { body })
    await world.store.append(message('orders', { text: 'UNIQ_KEY\u0001u\u0002DELAY\u00012\u0002' }))
    let position = 0
    for (const [tries, delayMs] of [
      [1, 700],
      [2, 1400],
      [3, 2800],
    ] as const) {
      const fields = { offset: String(position), group: 'g', delayLevel: '0', originMsgId: 'x', originTopic: 'orders' }
      await world.ask(RequestCode.CONSUMER_SEND_MSG_BACK, fields, { version: 100 })
      await world.pass(delayMs - 1)
      expect(delivered('%RETRY%g')).toHaveLength(tries - 1)
      await world.pass(60)
      const last = delivered('%RETRY%g').at(-1) ?? expect.fail('not retried')
      expect(last.reconsumeTimes).toBe(tries)
      expect(properties(last)).toMatchObject({ UNIQ_KEY: 'u', RETRY_TOPIC: 'orders', REAL_TOPIC: '%RETRY%g' })
      expect(properties(last)).not.toHaveProperty('DELAY')
      position = last.commitLogOffset
    }
    const fields = { offset: String(position), group: 'g', delayLevel: '0' }
    await world.ask(RequestCode.CONSUMER_SEND_MSG_BACK, fields, { version: 100 })
    expect(delivered('%DLQ%g')).toHaveLength(1)
  })
})

describe('the eighteen levels of retries', () => {
  it('are 10 s, 30 s, 1 to 10 min, 20 min, 30 min, 1 h, 2 h; then the dead letters', async () => {
    await start()
    await world.store.append(message('orders'))
    let position = 0
    const waits: number[] = []
    for (;;) {
      const before = delivered('%RETRY%g').length
      const fields = { offset: String(position), group: 'g', delayLevel: '0', maxReconsumeTimes: '16' }
      const sentAt = world.simulation.clock.now()
      await world.ask(RequestCode.CONSUMER_SEND_MSG_BACK, fields, { version: 493 })
      if (delivered('%DLQ%g').length > 0) break
      while (delivered('%RETRY%g').length === before) await world.pass(5_000)
      const last = delivered('%RETRY%g').at(-1) ?? expect.fail('not retried')
      waits.push(Math.round((last.storeTimestamp - sentAt) / 1000))
      position = last.commitLogOffset
    }
    expect(waits).toEqual([10, 30, ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map(minutes => minutes * 60)])
    expect(delivered('%DLQ%g')[0]?.reconsumeTimes).toBe(17)
  })
})

describe('levels of our own', () => {
  it('come from messageDelayLevel', async () => {
    await start({ broker: { messageDelayLevel: '2s 1h' } })
    await send(1, { body: Buffer.from('two seconds') })
    await send(7, { body: Buffer.from('an hour') })
    await world.pass(2_100)
    expect(bodies(delivered())).toEqual(['two seconds'])
    await world.pass(3_600_000)
    expect(bodies(delivered())).toEqual(['two seconds', 'an hour'])
  })
})
