import { RequestCode, ResponseCode } from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import { NAMESERVER_REQUESTS } from '../../src/nameserver/nameserver.js'
import { createWorld, type World } from '../requests/control-world.js'
import { FakePeer } from '../requests/fake-peer.js'
import { registration } from './registration.js'

let world: World
afterEach(() => world.stop())

const { GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO, REGISTER_BROKER } = RequestCode

interface Route {
  readonly brokerDatas: readonly {
    readonly brokerName: string
    readonly brokerAddrs: Readonly<Record<string, string>>
  }[]
  readonly queueDatas: readonly { readonly brokerName: string; readonly perm: number; readonly readQueueNums: number }[]
}

const route = (topic: string, peer?: FakePeer): Promise<Route> =>
  world.read(GET_ROUTEINFO_BY_TOPIC, { topic }, peer ? { peer } : {}) as Promise<Route>

describe('a nameserver alone', () => {
  it('serves every code it lists and no other', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    expect([...world.plane.handlers.keys()]).toEqual([...NAMESERVER_REQUESTS])
    for (const code of NAMESERVER_REQUESTS) await world.ask(code)
  })

  it('routes to a registered broker by the address it registered', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const { fields, body } = registration({ topics: { orders: 4 } })
    expect(await world.ask(REGISTER_BROKER, fields, { body })).toMatchObject({ code: 0 })
    expect(await route('orders')).toMatchObject({
      brokerDatas: [{ brokerName: 'broker-b', brokerAddrs: { 0: '10.0.0.2:10911' } }],
      queueDatas: [{ brokerName: 'broker-b', readQueueNums: 4, perm: 6 }],
    })
  })

  it('reads compressed registrations', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const { fields, body } = registration({ topics: { orders: 4, 'order-log': 2 }, isCompressed: true })
    expect(await world.ask(REGISTER_BROKER, fields, { body })).toMatchObject({ code: 0 })
    expect((await route('order-log')).queueDatas[0]).toMatchObject({ readQueueNums: 2 })
  })

  it('refuses a body that is not what its checksum says, and one that is damaged', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const { fields, body } = registration({ topics: { orders: 4 } })
    const wrong = await world.ask(REGISTER_BROKER, { ...fields, bodyCrc32: '1' }, { body })
    expect(wrong).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: 'crc32 not match' })
    const { fields: others } = registration({ topics: {} })
    const damaged = await world.ask(REGISTER_BROKER, { ...others, bodyCrc32: '0', compressed: 'true' }, { body: 'x' })
    expect(damaged.code).toBe(ResponseCode.SYSTEM_ERROR)
    await expect(route('orders')).rejects.toThrow('17')
  })

  it('keeps newer topics when an older table arrives late, and takes an unchanged one for a sign of life', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const newer = registration({ topics: { orders: 8 }, counter: 5 })
    const older = registration({ topics: { orders: 4 }, counter: 3 })
    await world.ask(REGISTER_BROKER, newer.fields, { body: newer.body })
    await world.ask(REGISTER_BROKER, older.fields, { body: older.body })
    expect((await route('orders')).queueDatas[0]?.readQueueNums).toBe(8)
  })

  it('drops topics that a newer table no longer has', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const first = registration({ topics: { orders: 8, returns: 1 }, counter: 1 })
    const second = registration({ topics: { orders: 8 }, counter: 2 })
    await world.ask(REGISTER_BROKER, first.fields, { body: first.body })
    await world.ask(REGISTER_BROKER, second.fields, { body: second.body })
    await expect(route('returns')).rejects.toThrow('17')
  })

  it('drops a broker that is silent for longer than its time-out', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const { fields, body } = registration({ topics: { orders: 4 }, heartbeatTimeoutMillis: 10_000 })
    await world.ask(REGISTER_BROKER, fields, { body })
    await world.pass(8_000)
    await world.ask(RequestCode.BROKER_HEARTBEAT, fields)
    await world.pass(8_000)
    expect((await route('orders')).queueDatas).toHaveLength(1)
    await world.pass(8_000)
    await expect(route('orders')).rejects.toThrow('17')
  })

  it('drops a broker with its connection, and when it says so', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const peer = new FakePeer()
    const { fields, body } = registration({ topics: { orders: 4 } })
    await world.ask(REGISTER_BROKER, fields, { body, peer })
    peer.close()
    await world.pass(1)
    await expect(route('orders')).rejects.toThrow('17')
    await world.ask(REGISTER_BROKER, fields, { body })
    await world.ask(RequestCode.UNREGISTER_BROKER, fields)
    await expect(route('orders')).rejects.toThrow('17')
  })

  it('tells a broker whether its table is news', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const { fields, body, dataVersion } = registration({ topics: { orders: 4 }, counter: 2 })
    const changed = (text: string) => world.ask(RequestCode.QUERY_DATA_VERSION, fields, { body: text })
    expect((await changed(JSON.stringify(dataVersion))).extFields).toEqual({ changed: 'true' })
    await world.ask(REGISTER_BROKER, fields, { body })
    expect((await changed(JSON.stringify(dataVersion))).extFields).toEqual({ changed: 'false' })
    expect((await changed('{"counter":9}')).extFields).toEqual({ changed: 'true' })
  })

  it('keeps texts of administrators across a restart', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const fields = { namespace: 'ORDER_TOPIC_CONFIG', key: 'orders', value: 'broker-a:4' }
    await world.ask(RequestCode.PUT_KV_CONFIG, fields)
    const { keyValue } = world
    await world.stop()
    world = await createWorld({ roles: ['nameserver'], keyValue })
    expect((await world.ask(RequestCode.GET_KV_CONFIG, fields)).extFields).toEqual({ value: 'broker-a:4' })
    await world.ask(RequestCode.DELETE_KV_CONFIG, fields)
    expect((await world.ask(RequestCode.GET_KV_CONFIG, fields)).code).toBe(ResponseCode.QUERY_NOT_FOUND)
  })

  it('adds the order of a topic to its route when it is asked to', async () => {
    world = await createWorld({ roles: ['nameserver'], nameserver: { orderMessageEnable: true } })
    const { fields, body } = registration({ topics: { orders: 4 } })
    await world.ask(REGISTER_BROKER, fields, { body })
    const order = { namespace: 'ORDER_TOPIC_CONFIG', key: 'orders', value: 'broker-b:4' }
    await world.ask(RequestCode.PUT_KV_CONFIG, order)
    expect(await route('orders')).toMatchObject({ orderTopicConf: 'broker-b:4' })
  })

  it('takes single topics of brokers it knows', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    const { fields, body } = registration({ topics: {} })
    await world.ask(REGISTER_BROKER, fields, { body })
    const queue = { readQueueNums: 3, writeQueueNums: 3, perm: 6, topicSysFlag: 0 }
    const queueDatas = [
      { brokerName: 'broker-b', ...queue },
      { brokerName: 'unknown', ...queue },
    ]
    await world.ask(RequestCode.REGISTER_TOPIC_IN_NAMESRV, { topic: 'late' }, { body: JSON.stringify({ queueDatas }) })
    expect((await route('late')).queueDatas).toEqual([{ brokerName: 'broker-b', ...queue }])
  })

  it('refuses to change its configuration over the network', async () => {
    world = await createWorld({ roles: ['nameserver'] })
    expect((await world.ask(RequestCode.UPDATE_NAMESRV_CONFIG, {}, { body: 'listenPort=1' })).code).toBe(
      ResponseCode.NO_PERMISSION,
    )
    const reply = await world.ask(RequestCode.GET_NAMESRV_CONFIG)
    expect(Buffer.from(reply.body ?? '').toString()).toContain('scanNotActiveBrokerInterval=5000\n')
  })
})

describe('nameserver and broker in one process', () => {
  it('tells each client the address that it used to reach us', async () => {
    world = await createWorld()
    const near = new FakePeer({ host: '127.0.0.1', port: 9876 })
    const far = new FakePeer({ host: '192.168.7.7', port: 9876 })
    const dual = new FakePeer({ host: '::ffff:10.1.2.3', port: 9876 })
    const six = new FakePeer({ host: '::1', port: 9876 })
    const addresses = [near, far, dual, six].map(
      async peer => (await route('TBW102', peer)).brokerDatas[0]?.brokerAddrs['0'],
    )
    expect(await Promise.all(addresses)).toEqual([
      '127.0.0.1:10911',
      '192.168.7.7:10911',
      '10.1.2.3:10911',
      '[::1]:10911',
    ])
    expect(await world.read(GET_BROKER_CLUSTER_INFO, {}, { peer: far })).toMatchObject({
      brokerAddrTable: { 'broker-a': { brokerAddrs: { 0: '192.168.7.7:10911' }, cluster: 'DefaultCluster' } },
      clusterAddrTable: { DefaultCluster: ['broker-a'] },
    })
  })

  it('advertises brokerIP1 when it is set', async () => {
    world = await createWorld({ broker: { brokerIP1: '203.0.113.9' } })
    expect((await route('TBW102')).brokerDatas[0]?.brokerAddrs).toEqual({ 0: '203.0.113.9:10911' })
  })

  it('clears and sets the write permission of all topics of a broker', async () => {
    world = await createWorld()
    const { length } = ((await world.read(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)) as { topicList: string[] })
      .topicList
    const broker = { brokerName: 'broker-a' }
    const wiped = await world.ask(RequestCode.WIPE_WRITE_PERM_OF_BROKER, broker)
    expect(wiped.extFields).toEqual({ wipeTopicCount: String(length) })
    expect((await route('BenchmarkTest')).queueDatas[0]?.perm).toBe(4)
    const added = await world.ask(RequestCode.ADD_WRITE_PERM_OF_BROKER, broker)
    expect(added.extFields).toEqual({ addTopicCount: String(length) })
    expect((await route('BenchmarkTest')).queueDatas[0]?.perm).toBe(6)
  })

  it('keeps its own broker when that also registers over the wire, and refuses others of its name', async () => {
    world = await createWorld()
    const peer = new FakePeer()
    const { fields, body } = registration({ topics: { orders: 4 } })
    const own = { ...fields, brokerName: 'broker-a', brokerAddr: '127.0.0.1:10911' }
    expect(await world.ask(REGISTER_BROKER, own, { body, peer })).toMatchObject({ code: 0 })
    await world.ask(RequestCode.UNREGISTER_BROKER, own)
    peer.close()
    await world.pass(1)
    expect((await route('TBW102')).brokerDatas).toHaveLength(1)
    const other = { ...own, brokerAddr: '10.0.0.2:10999' }
    expect((await world.ask(REGISTER_BROKER, other, { body })).code).toBe(ResponseCode.SYSTEM_ERROR)
  })

  it('forgets the broker when it stops', async () => {
    world = await createWorld()
    await world.simulation.runUntilSettled(world.plane.stop())
    await world.pass(1)
    await expect(route('TBW102')).rejects.toThrow('17')
  })
})
