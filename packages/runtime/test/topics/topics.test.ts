import { RequestCode, ResponseCode } from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { Reply } from '../../src/listener/peer.js'
import { Refusal } from '../../src/requests/answer.js'
import { createWorld, type World, type WorldOptions } from '../requests/control-world.js'
import { message } from '../requests/memory-message-store.js'

let world: World
afterEach(() => world.stop())

const { DELETE_TOPIC_IN_BROKER, GET_ALL_TOPIC_CONFIG, GET_TOPIC_CONFIG, UPDATE_AND_CREATE_TOPIC } = RequestCode

function create(topic: string, fields: Readonly<Record<string, string>> = {}): Promise<Reply> {
  return world.ask(UPDATE_AND_CREATE_TOPIC, {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: '4',
    writeQueueNums: '4',
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    order: 'false',
    ...fields,
  })
}

const route = (topic: string): Promise<Reply> => world.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic })
const broker = () => world.plane.broker ?? expect.fail('no broker')
const ensure = (topic: string, template = 'TBW102', queues = 4) =>
  world.simulation.runUntilSettled(Promise.resolve(broker().topics.ensureForSend(topic, template, queues)))

async function start(options: WorldOptions = {}): Promise<void> {
  world = await createWorld(options)
}

describe('creating topics on request', () => {
  it('shows a topic in the route before the request is answered', async () => {
    await start()
    const created = create('orders')
    expect(await created).toMatchObject({ code: 0 })
    expect(await route('orders')).toMatchObject({ code: 0 })
    expect(broker().topics.find('orders')).toMatchObject({ name: 'orders', readQueueNums: 4, perm: 6 })
  })

  it('keeps topics across a restart, with what was changed last', async () => {
    await start()
    await create('orders', { attributes: '+message.type=FIFO' })
    await create('orders', { readQueueNums: '8', writeQueueNums: '6', perm: '4', order: 'true' })
    const { keyValue } = world
    await world.stop()
    await start({ keyValue })
    expect(broker().topics.find('orders')).toMatchObject({
      readQueueNums: 8,
      writeQueueNums: 6,
      perm: 4,
      order: true,
      attributes: { 'message.type': 'FIFO' },
    })
    expect(await route('orders')).toMatchObject({ code: 0 })
  })

  it('keeps the id of a topic that changes and gives a new one to a topic created anew', async () => {
    await start()
    await create('orders')
    const first = broker().topics.find('orders')
    await create('orders', { readQueueNums: '5' })
    const second = broker().topics.find('orders')
    expect(second?.id).toBe(first?.id)
    expect(second).not.toBe(first)
    await world.ask(DELETE_TOPIC_IN_BROKER, { topic: 'orders' })
    await create('orders')
    expect(broker().topics.find('orders')?.id).not.toBe(first?.id)
  })

  it('counts a version for a change and none for a repetition', async () => {
    await start()
    const version = () => broker().topicTable.dataVersion.counter
    await create('orders')
    const created = version()
    await create('orders')
    expect(version()).toBe(created)
    await create('orders', { perm: '4' })
    expect(version()).toBe(created + 1)
  })

  it.each([
    ['a b', ResponseCode.INVALID_PARAMETER],
    ['../etc', ResponseCode.INVALID_PARAMETER],
    ['', ResponseCode.INVALID_PARAMETER],
    ['t'.repeat(128), ResponseCode.INVALID_PARAMETER],
    ['SCHEDULE_TOPIC_XXXX', ResponseCode.INVALID_PARAMETER],
    ['DefaultCluster', ResponseCode.INVALID_PARAMETER],
    ['rmq_sys_mine', ResponseCode.INVALID_PARAMETER],
  ])('refuses the name "%s"', async (name, code) => {
    await start()
    const before = broker().topics.find(name)
    expect((await create(name)).code).toBe(code)
    expect(broker().topics.find(name)).toBe(before)
  })

  it.each([
    [{ readQueueNums: '-1' }, ResponseCode.INVALID_PARAMETER],
    [{ writeQueueNums: '70000' }, ResponseCode.INVALID_PARAMETER],
    [{ readQueueNums: 'many' }, ResponseCode.SYSTEM_ERROR],
    [{ perm: '9' }, ResponseCode.INVALID_PARAMETER],
    [{ attributes: '+message.type=MIXED' }, ResponseCode.INVALID_PARAMETER],
    [{ attributes: 'message.type=FIFO' }, ResponseCode.SYSTEM_ERROR],
    [{ attributes: '+cleanup.policy=NEVER' }, ResponseCode.SYSTEM_ERROR],
  ])('refuses %j and creates nothing', async (fields, code) => {
    await start()
    expect((await create('orders', fields)).code).toBe(code)
    expect(broker().topics.find('orders')).toBeUndefined()
  })

  it('does not change what cannot be changed after creation', async () => {
    await start()
    await create('orders', { attributes: '+cleanup.policy=COMPACTION' })
    const changed = await create('orders', { attributes: '+cleanup.policy=DELETE' })
    expect(changed.remark).toContain('unchangeable')
    expect(broker().topics.find('orders')?.attributes).toEqual({ 'cleanup.policy': 'COMPACTION' })
  })

  it('lists topics whole and in slices by name', async () => {
    await start()
    for (const topic of ['zeta', 'alpha']) await create(topic)
    const all = (await world.read(GET_ALL_TOPIC_CONFIG)) as { topicConfigTable: object }
    expect(all.topicConfigTable).toMatchObject({ zeta: { topicName: 'zeta' }, alpha: { topicName: 'alpha' } })
    const count = Object.keys(all.topicConfigTable).length
    const slice = await world.ask(GET_ALL_TOPIC_CONFIG, { topicSeq: String(count - 1), maxTopicNum: '5' })
    expect(slice.extFields).toEqual({ totalTopicNum: String(count) })
    const { topicConfigTable } = JSON.parse(Buffer.from(slice.body ?? '').toString()) as { topicConfigTable: object }
    expect(Object.keys(topicConfigTable)).toEqual(['zeta'])
  })
})

describe('deleting topics', () => {
  it('takes the messages, the offsets and the route with it', async () => {
    await start()
    await create('orders')
    await world.store.append(message('orders'))
    const offset = { consumerGroup: 'g', topic: 'orders', queueId: '0' }
    await world.ask(RequestCode.UPDATE_CONSUMER_OFFSET, { ...offset, commitOffset: '1' })
    expect(await world.ask(DELETE_TOPIC_IN_BROKER, { topic: 'orders' })).toMatchObject({ code: 0 })
    expect(world.store.deletedTopics).toEqual(['orders'])
    expect((await route('orders')).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
    expect((await world.ask(GET_TOPIC_CONFIG, { topic: 'orders' })).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
    const queried = await world.ask(RequestCode.QUERY_CONSUMER_OFFSET, { ...offset, setZeroIfNotFound: 'false' })
    expect(queried.code).toBe(ResponseCode.QUERY_NOT_FOUND)
  })

  it('refuses system topics', async () => {
    await start()
    expect((await world.ask(DELETE_TOPIC_IN_BROKER, { topic: 'TBW102' })).code).toBe(ResponseCode.INVALID_PARAMETER)
    expect(await route('TBW102')).toMatchObject({ code: 0 })
  })
})

describe('creating topics on first send', () => {
  it('takes queues, permission and filter type from the template, and is durable and routed when it resolves', async () => {
    await start()
    expect(await ensure('fresh')).toMatchObject({ readQueueNums: 4, writeQueueNums: 4, perm: 6 })
    expect(await ensure('wide', 'TBW102', 64)).toMatchObject({ writeQueueNums: 8 })
    expect(await ensure('%RETRY%g', 'TBW102', 4)).toMatchObject({ writeQueueNums: 1, perm: 6 })
    expect(await route('fresh')).toMatchObject({ code: 0 })
    const { keyValue } = world
    await world.stop()
    await start({ keyValue })
    expect(broker().topics.find('fresh')).toMatchObject({ writeQueueNums: 4 })
  })

  it('answers a known topic without waiting', async () => {
    await start()
    await create('orders')
    expect(broker().topics.ensureForSend('orders', 'TBW102', 4)).toBe(broker().topics.find('orders'))
  })

  it('creates once for many senders', async () => {
    await start()
    const counter = broker().topicTable.dataVersion.counter
    const all = await Promise.all(Array.from({ length: 50 }, () => ensure('fresh')))
    expect(new Set(all).size).toBe(1)
    expect(broker().topicTable.dataVersion.counter).toBe(counter + 1)
  })

  it.each([
    ['orders', 'NOPE', ResponseCode.TOPIC_NOT_EXIST],
    ['orders', 'BenchmarkTest', ResponseCode.TOPIC_NOT_EXIST],
    ['bad topic!', 'TBW102', ResponseCode.INVALID_PARAMETER],
    ['SCHEDULE_TOPIC_XXXX', 'TBW102', ResponseCode.NO_PERMISSION],
  ])('refuses %s after template %s', async (topic, template, code) => {
    await start()
    const refused = async () => ensure(topic, template)
    await expect(refused()).rejects.toBeInstanceOf(Refusal)
    await expect(refused()).rejects.toMatchObject({ responseCode: code })
  })

  it('refuses when creation is switched off, at the start or later', async () => {
    await start()
    const body = 'autoCreateTopicEnable=false\n'
    expect(await world.ask(RequestCode.UPDATE_BROKER_CONFIG, {}, { body })).toMatchObject({ code: 0 })
    await expect(ensure('fresh')).rejects.toMatchObject({ responseCode: ResponseCode.TOPIC_NOT_EXIST })
    await world.stop()
    await start({ broker: { autoCreateTopicEnable: false } })
    await expect(ensure('fresh')).rejects.toMatchObject({ responseCode: ResponseCode.TOPIC_NOT_EXIST })
    expect((await route('TBW102')).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
  })
})
