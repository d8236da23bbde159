import { RequestCode, ResponseCode } from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { Reply } from '../../src/listener/peer.js'
import { createWorld, type World } from '../requests/control-world.js'
import { FakePeer } from '../requests/fake-peer.js'
import { message } from '../requests/memory-message-store.js'

let world: World
afterEach(() => world.stop())

const QUEUE = { consumerGroup: 'g', topic: 'orders', queueId: '1' }
const groups = () => world.plane.broker?.groups ?? expect.fail('no broker')

async function start(): Promise<void> {
  world = await createWorld()
  const ensured = world.plane.broker?.topics.ensureForSend('orders', 'TBW102', 4)
  await world.simulation.runUntilSettled(Promise.resolve(ensured))
}

function commit(commitOffset: string, options: { isOneway?: boolean } = {}): Promise<Reply> {
  return world.ask(RequestCode.UPDATE_CONSUMER_OFFSET, { ...QUEUE, commitOffset }, options)
}

async function committed(fields: Readonly<Record<string, string>> = {}): Promise<string> {
  const reply = await world.ask(RequestCode.QUERY_CONSUMER_OFFSET, { ...QUEUE, setZeroIfNotFound: 'false', ...fields })
  return reply.code === 0 ? (reply.extFields?.['offset'] ?? '') : `code ${reply.code}`
}

describe('consumer offsets', () => {
  it('are stored before an acknowledged commit is answered', async () => {
    await start()
    expect(await commit('7')).toMatchObject({ code: 0 })
    const { keyValue } = world
    // Not stopped: what the answer promised must be there without any farewell.
    const other = await createWorld({ keyValue })
    expect(other.plane.broker?.topics.find('orders')).toBeDefined()
    const reply = await other.ask(RequestCode.QUERY_CONSUMER_OFFSET, QUEUE)
    expect(reply.extFields).toEqual({ offset: '7' })
    await other.stop()
  })

  it('of one-way commits are stored within the flush interval', async () => {
    await start()
    await commit('7', { isOneway: true })
    expect(await committed()).toBe('7')
    await world.pass(5_001)
    const other = await createWorld({ keyValue: world.keyValue })
    expect((await other.ask(RequestCode.QUERY_CONSUMER_OFFSET, QUEUE)).extFields).toEqual({ offset: '7' })
    await other.stop()
  })

  it('go back when asked to, and ignore what is no offset', async () => {
    await start()
    await commit('7')
    await commit('3')
    expect(await committed()).toBe('3')
    expect(await commit('-1')).toMatchObject({ code: 0 })
    expect(await committed()).toBe('3')
    expect((await commit('x')).code).toBe(ResponseCode.SYSTEM_ERROR)
  })

  it('are refused for topics and queues that do not exist', async () => {
    await start()
    const fields = { ...QUEUE, commitOffset: '1' }
    const code = async (changed: Readonly<Record<string, string>>) =>
      (await world.ask(RequestCode.UPDATE_CONSUMER_OFFSET, { ...fields, ...changed })).code
    expect(await code({ topic: 'nope' })).toBe(ResponseCode.TOPIC_NOT_EXIST)
    expect(await code({ queueId: '4' })).toBe(ResponseCode.INVALID_PARAMETER)
    expect(await code({ queueId: '-1' })).toBe(ResponseCode.INVALID_PARAMETER)
  })

  it('start a new group at the beginning of a young queue', async () => {
    await start()
    expect(await committed()).toBe('code 22')
    expect(await committed({ setZeroIfNotFound: 'true' })).toBe('0')
    await world.store.append(message('orders', { queueId: 1 }))
    expect(await committed({ setZeroIfNotFound: 'true' })).toBe('0')
  })

  it('leave the start of a new group to the client when the queue is old', async () => {
    await start()
    await world.store.append(message('orders', { queueId: 1 }))
    world.store.logEnd += 2 ** 31
    expect(await committed({ setZeroIfNotFound: 'true' })).toBe('code 22')
    world.store.minOffset = () => 5
    expect(await committed({ setZeroIfNotFound: 'true' })).toBe('code 22')
  })
})

describe('resetting offsets', () => {
  const reset = (fields: Readonly<Record<string, string>>) =>
    world.ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, {
      topic: 'orders',
      group: 'g',
      timestamp: '-1',
      isForce: 'true',
      ...fields,
    })

  it('moves an idle group at once', async () => {
    await start()
    await commit('0')
    for (let i = 0; i < 3; i++) await world.store.append(message('orders', { queueId: 1 }))
    expect(await reset({})).toMatchObject({ code: 0 })
    expect(await committed()).toBe('3')
    expect(groups().pull.takeReset('g', 'orders', 1)).toBeUndefined()
    await commit('2')
    expect(await committed()).toBe('2')
  })

  it('sends running consumers there with their next pull, and ignores what they commit until then', async () => {
    await start()
    const consumer = { groupName: 'g', consumeType: 'CONSUME_PASSIVELY', subscriptionDataSet: [] }
    const body = JSON.stringify({ clientID: 'a', consumerDataSet: [consumer] })
    await world.ask(RequestCode.HEART_BEAT, {}, { peer: new FakePeer(), body })
    for (let i = 0; i < 3; i++) await world.store.append(message('orders', { queueId: 1 }))
    await commit('3')
    await reset({ timestamp: '0' })
    await commit('3')
    groups().pull.commitOffset('g', 'orders', 1, 3)
    expect(await committed()).toBe('0')
    expect(groups().pull.takeReset('g', 'orders', 1)).toBe(0)
    expect(groups().pull.takeReset('g', 'orders', 1)).toBeUndefined()
    await commit('1')
    expect(await committed()).toBe('1')
  })

  it('takes an offset for one queue if it exists', async () => {
    await start()
    await commit('0')
    await world.store.append(message('orders', { queueId: 1 }))
    expect((await reset({ queueId: '1', offset: '2' })).code).toBe(ResponseCode.SYSTEM_ERROR)
    expect((await reset({ queueId: '9', offset: '0' })).code).toBe(ResponseCode.INVALID_PARAMETER)
    expect(await reset({ queueId: '1', offset: '1' })).toMatchObject({ code: 0 })
    expect(await committed()).toBe('1')
  })
})

describe('group settings', () => {
  const put = (group: object) =>
    world.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { body: JSON.stringify(group) })

  it('survive a restart, and fall back to the defaults when they are deleted', async () => {
    await start()
    await put({ groupName: 'g', retryMaxTimes: 3, consumeEnable: false })
    const { keyValue } = world
    await world.stop()
    world = await createWorld({ keyValue })
    expect(groups().pull.find('g')).toMatchObject({ retryMaxTimes: 3, consumeEnable: false, retryQueueNums: 1 })
    await world.ask(RequestCode.DELETE_SUBSCRIPTIONGROUP, { groupName: 'g' })
    expect(groups().pull.find('g')).toMatchObject({ retryMaxTimes: 16, consumeEnable: true })
  })

  it('are refused when they make no sense', async () => {
    await start()
    expect((await put({ groupName: '' })).code).toBe(ResponseCode.INVALID_PARAMETER)
    expect((await put({ groupName: 'a b' })).code).toBe(ResponseCode.INVALID_PARAMETER)
    expect((await put({ groupName: 'g', retryMaxTimes: 'three' })).code).toBe(ResponseCode.INVALID_PARAMETER)
    expect((await put({ groupName: 'g', retryQueueNums: -1 })).code).toBe(ResponseCode.INVALID_PARAMETER)
    expect((await put([])).code).toBe(ResponseCode.SYSTEM_ERROR)
  })

  it('take the offsets with them when asked to', async () => {
    await start()
    await commit('7')
    await world.ask(RequestCode.DELETE_SUBSCRIPTIONGROUP, { groupName: 'g', cleanOffset: 'true' })
    expect(await committed()).toBe('code 22')
  })
})
