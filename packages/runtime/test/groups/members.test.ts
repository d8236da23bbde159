import { RequestCode, ResponseCode } from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { Reply } from '../../src/listener/peer.js'
import { createWorld, type World, type WorldOptions } from '../requests/control-world.js'
import { FakePeer } from '../requests/fake-peer.js'

let world: World
afterEach(() => world.stop())

async function start(options: WorldOptions = {}): Promise<void> {
  world = await createWorld(options)
}

const groups = () => world.plane.broker?.groups ?? expect.fail('no broker')

interface HeartbeatOptions {
  readonly group?: string
  readonly topics?: readonly string[]
  readonly subVersion?: number | string
  readonly messageModel?: string | number
  readonly fingerprint?: number
  readonly withoutSub?: boolean
}

function heartbeat(peer: FakePeer, clientID: string, options: HeartbeatOptions = {}): Promise<Reply> {
  const { group = 'g', topics = ['orders'], subVersion = 1, messageModel = 'CLUSTERING' } = options
  const body = {
    clientID,
    producerDataSet: [{ groupName: 'CLIENT_INNER_PRODUCER' }],
    consumerDataSet: [
      {
        groupName: group,
        consumeType: 'CONSUME_PASSIVELY',
        messageModel,
        consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
        subscriptionDataSet: topics.map(topic => ({ topic, subString: '*', subVersion, tagsSet: [], codeSet: [] })),
      },
    ],
    heartbeatFingerprint: options.fingerprint ?? 0,
    withoutSub: options.withoutSub ?? false,
  }
  return world.ask(RequestCode.HEART_BEAT, {}, { peer, body: JSON.stringify(body) })
}

async function members(group = 'g'): Promise<string[]> {
  const reply = await world.ask(RequestCode.GET_CONSUMER_LIST_BY_GROUP, { consumerGroup: group })
  if (reply.code !== 0) return []
  return (JSON.parse(Buffer.from(reply.body ?? '').toString()) as { consumerIdList: string[] }).consumerIdList.sort()
}

const notices = (peer: FakePeer) => peer.notified.filter(({ code }) => code === RequestCode.NOTIFY_CONSUMER_IDS_CHANGED)

describe('heartbeats', () => {
  it('make the member visible before they are answered, with its retry topic routed', async () => {
    await start()
    const reply = await heartbeat(new FakePeer(), 'a')
    expect(reply).toMatchObject({ code: 0, extFields: { IS_SUB_CHANGE: 'true', IS_SUPPORT_HEART_BEAT_V2: 'true' } })
    expect(await members()).toEqual(['a'])
    expect(await world.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: '%RETRY%g' })).toMatchObject({ code: 0 })
  })

  it('tell every member, the new one too, when the group changes, and nobody when it does not', async () => {
    await start()
    const [a, b] = [new FakePeer(), new FakePeer()]
    await heartbeat(a, 'a')
    expect(notices(a)).toHaveLength(1)
    expect(notices(a)[0]?.extFields).toEqual({ consumerGroup: 'g' })
    await heartbeat(b, 'b')
    expect([notices(a).length, notices(b).length]).toEqual([2, 1])
    await heartbeat(a, 'a')
    expect([notices(a).length, notices(b).length]).toEqual([2, 1])
    await heartbeat(a, 'a', { topics: ['orders', 'returns'], subVersion: 2 })
    expect([notices(a).length, notices(b).length]).toEqual([3, 2])
  })

  it('do not tell broadcasting groups, nor groups that do not want it', async () => {
    await start()
    const peer = new FakePeer()
    await heartbeat(peer, 'a', { messageModel: 'BROADCASTING' })
    await world.ask(
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      {},
      {
        body: JSON.stringify({ groupName: 'quiet', notifyConsumerIdsChangedEnable: false }),
      },
    )
    await heartbeat(peer, 'a', { group: 'quiet' })
    expect(notices(peer)).toEqual([])
  })

  it('replace subscriptions by newer ones, keep newer ones, and drop what is no longer listed', async () => {
    await start()
    const peer = new FakePeer()
    const versions = () =>
      Object.fromEntries(
        [...(groups().pull.view('g')?.subscriptions ?? [])].map(([topic, data]) => [topic, data.subVersion]),
      )
    await heartbeat(peer, 'a', { topics: ['orders', 'returns'], subVersion: 5 })
    await heartbeat(peer, 'a', { topics: ['orders', 'returns'], subVersion: 4 })
    expect(versions()).toEqual({ orders: 5, returns: 5 })
    await heartbeat(peer, 'a', { topics: ['orders'], subVersion: 6 })
    expect(versions()).toEqual({ orders: 6 })
    expect(groups().pull.subscription('g', 'returns')).toBeUndefined()
  })

  it('are understood with the ordinals and texts that C++ clients send', async () => {
    await start()
    await heartbeat(new FakePeer(), 'a', { messageModel: 1, subVersion: '7' })
    expect(groups().pull.view('g')?.messageModel).toBe('CLUSTERING')
    expect(groups().pull.subscription('g', 'orders')).toMatchObject({ subVersion: 7, expressionType: 'TAG' })
  })

  it('of V2 clients ask for the full form when the mark is not the last one seen', async () => {
    await start()
    const peer = new FakePeer()
    const changed = async (options: HeartbeatOptions) =>
      (await heartbeat(peer, 'a', options)).extFields?.['IS_SUB_CHANGE']
    const short = { topics: [], withoutSub: true }
    expect(await changed({ ...short, fingerprint: 11 })).toBe('true')
    expect(await changed({ fingerprint: 11 })).toBe('false')
    expect(await changed({ ...short, fingerprint: 11 })).toBe('false')
    expect(groups().pull.subscription('g', 'orders')).toBeDefined()
    expect(await changed({ ...short, fingerprint: 12 })).toBe('true')
  })

  it('do not create groups when that is switched off', async () => {
    await start({ broker: { autoCreateSubscriptionGroup: false } })
    expect(await heartbeat(new FakePeer(), 'a')).toMatchObject({ code: 0 })
    expect(await members()).toEqual([])
    expect(groups().pull.find('g')).toBeUndefined()
    await world.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { body: '{"groupName":"g"}' })
    await heartbeat(new FakePeer(), 'a')
    expect(await members()).toEqual(['a'])
  })

  it('keep consumers going when the retry topic cannot be created', async () => {
    await start()
    const { topicTable } = world.plane.broker ?? expect.fail('no broker')
    topicTable.put = () => Promise.reject(new Error('disk full'))
    expect(await heartbeat(new FakePeer(), 'a')).toMatchObject({ code: 0 })
    expect(await members()).toEqual(['a'])
  })

  it.each(['', 'not json', '[]', '{}', '{"clientID":"a","consumerDataSet":[{"groupName":"a/b"}]}'])(
    'that make no sense are refused: %s',
    async body => {
      await start()
      expect((await world.ask(RequestCode.HEART_BEAT, {}, { body })).code).not.toBe(0)
      expect(groups().registry.all().next().done).toBe(true)
    },
  )
})

describe('leaving a group', () => {
  it('happens with the connection, and the rest is told', async () => {
    await start()
    const [a, b] = [new FakePeer(), new FakePeer()]
    await heartbeat(a, 'a')
    await heartbeat(b, 'b')
    const before = notices(b).length
    a.close()
    await world.pass(1)
    expect(await members()).toEqual(['b'])
    expect(notices(b)).toHaveLength(before + 1)
    b.close()
    await world.pass(1)
    expect(groups().pull.view('g')).toBeUndefined()
    expect(
      (await world.ask(RequestCode.GET_PRODUCER_CONNECTION_LIST, { producerGroup: 'CLIENT_INNER_PRODUCER' })).code,
    ).toBe(ResponseCode.SYSTEM_ERROR)
  })

  it('happens on request, for that client on that connection only', async () => {
    await start()
    const [a, b] = [new FakePeer(), new FakePeer()]
    await heartbeat(a, 'a')
    await heartbeat(b, 'b')
    const leave = (clientID: string, peer: FakePeer) =>
      world.ask(RequestCode.UNREGISTER_CLIENT, { clientID, consumerGroup: 'g', producerGroup: 'p' }, { peer })
    await leave('b', a)
    expect(await members()).toEqual(['a', 'b'])
    await leave('a', a)
    expect(await members()).toEqual(['b'])
    expect(notices(b)).toHaveLength(2)
  })

  it('happens after two minutes of silence, also when the actor was put away meanwhile', async () => {
    await start()
    const [a, b] = [new FakePeer(), new FakePeer()]
    await heartbeat(a, 'a')
    await heartbeat(b, 'b')
    await world.pass(100_000)
    await heartbeat(b, 'b')
    await world.pass(40_000)
    expect(await members()).toEqual(['b'])
    await world.pass(200_000)
    expect(await members()).toEqual([])
  })

  it('is undone by the next heartbeat', async () => {
    await start()
    const peer = new FakePeer()
    await heartbeat(peer, 'a')
    await world.pass(200_000)
    expect(await members()).toEqual([])
    await heartbeat(peer, 'a')
    expect(await members()).toEqual(['a'])
  })
})

describe('locks of orderly consumers', () => {
  const queue = (queueId: number) => ({ brokerName: 'broker-a', queueId, topic: 'orders' })
  const body = (clientId: string, queueIds: number[]) =>
    JSON.stringify({ clientId, consumerGroup: 'og', mqSet: queueIds.map(queue) })
  async function lock(clientId: string, queueIds: number[]): Promise<number[]> {
    const read = (await world.read(RequestCode.LOCK_BATCH_MQ, {}, { body: body(clientId, queueIds) })) as {
      lockOKMQSet: { queueId: number }[]
    }
    return read.lockOKMQSet.map(({ queueId }) => queueId)
  }

  it('are granted to one client at a time, and end by unlocking or after a minute', async () => {
    await start()
    expect(await lock('a', [0, 1])).toEqual([0, 1])
    expect(await lock('b', [1, 2])).toEqual([2])
    expect(await lock('a', [0, 1, 2])).toEqual([0, 1])
    await world.ask(RequestCode.UNLOCK_BATCH_MQ, {}, { body: body('b', [0]) })
    expect(await lock('b', [0])).toEqual([])
    await world.ask(RequestCode.UNLOCK_BATCH_MQ, {}, { body: body('a', [0]) })
    expect(await lock('b', [0])).toEqual([0])
    await world.pass(59_000)
    expect(await lock('b', [1])).toEqual([])
    await world.pass(2_000)
    expect(await lock('b', [1])).toEqual([1])
  })

  it('show that a group consumes in order, until they expire', async () => {
    await start()
    await lock('a', [0])
    const { locks } = groups()
    expect(locks.isHeld('og', world.simulation.clock.now())).toBe(true)
    await world.pass(71_000)
    expect(locks.isHeld('og', world.simulation.clock.now())).toBe(false)
  })
})
