import { type MessageQueue, RequestCode } from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import { allocateForPop } from '../../src/broker/pop/assignment.js'
import { createWorld, type World } from '../requests/control-world.js'
import { FakePeer } from '../requests/fake-peer.js'

const queues: MessageQueue[] = [0, 1, 2, 3].map(queueId => ({ topic: 't', brokerName: 'b', queueId }))
const ids = (found: readonly MessageQueue[]): number[] => found.map(({ queueId }) => queueId)

describe('queues of clients that pop', () => {
  it('are any queue of each broker when all clients share', () => {
    for (const shareCount of [-1, 0, 2, 9])
      expect(allocateForPop('AVG', 'b', ['a', 'b', 'c'], queues, shareCount)).toEqual([
        { topic: 't', brokerName: 'b', queueId: -1 },
      ])
  })

  it('are those of a client and of the clients after it', () => {
    const clients = ['d', 'c', 'b', 'a']
    expect(ids(allocateForPop('AVG', 'a', clients, queues, 1))).toEqual([0, 1])
    expect(ids(allocateForPop('AVG', 'd', clients, queues, 2))).toEqual([3, 0, 1])
    expect(allocateForPop('AVG', 'stranger', clients, queues, 1)).toEqual([])
  })

  it('are one for each client when there are more clients than queues', () => {
    const clients = ['a', 'b', 'c', 'd', 'e']
    expect(clients.map(client => ids(allocateForPop('AVG', client, clients, queues, 1)))).toEqual([
      [0],
      [1],
      [2],
      [3],
      [0],
    ])
  })
})

describe('a broker that shares out queues', () => {
  let world: World

  afterEach(() => world.stop())

  const json = (value: object) => ({ body: Buffer.from(JSON.stringify(value)) })

  async function prepare(): Promise<void> {
    world = await createWorld()
    await world.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      topic: 'jobs',
      defaultTopic: 'TBW102',
      readQueueNums: '4',
      writeQueueNums: '4',
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      order: 'false',
    })
    for (const clientID of ['a', 'b'])
      await world.ask(
        RequestCode.HEART_BEAT,
        {},
        {
          peer: new FakePeer(),
          ...json({ clientID, consumerDataSet: [{ groupName: 'g', messageModel: 'CLUSTERING' }] }),
        },
      )
  }

  const query = (clientId: string, topic = 'jobs', strategyName = 'AVG', messageModel = 'CLUSTERING') =>
    world.read(
      RequestCode.QUERY_ASSIGNMENT,
      {},
      json({ topic, consumerGroup: 'g', clientId, strategyName, messageModel }),
    ) as Promise<{ messageQueueAssignments?: { messageQueue: MessageQueue; mode: string }[] }>

  it('gives each member its queues to pull, and tells nothing about what it does not know', async () => {
    await prepare()
    const assigned = (await query('b')).messageQueueAssignments!
    expect(assigned.map(({ messageQueue }) => messageQueue.queueId)).toEqual([2, 3])
    expect(assigned[0]).toEqual({ messageQueue: { topic: 'jobs', brokerName: 'broker-a', queueId: 2 }, mode: 'PULL' })
    expect((await query('b', 'jobs', 'AVG', 'BROADCASTING')).messageQueueAssignments).toHaveLength(4)
    expect((await query('stranger')).messageQueueAssignments).toEqual([])
    expect(await query('b', 'nowhere')).toEqual({})
    expect(await query('b', 'jobs', 'NO_SUCH')).toEqual({})
  })

  it('lets them pop when an operator says so', async () => {
    await prepare()
    const set = (mode: object) => world.ask(RequestCode.SET_MESSAGE_REQUEST_MODE, {}, json(mode))
    const mode = { topic: 'jobs', consumerGroup: 'g', mode: 'POP', popShareQueueNum: 0 }
    expect((await set(mode)).code).toBe(0)
    const any = { messageQueue: { topic: 'jobs', brokerName: 'broker-a', queueId: -1 }, mode: 'POP' }
    expect((await query('b')).messageQueueAssignments).toEqual([any])
    expect(await world.read(RequestCode.GET_ALL_MESSAGE_REQUEST_MODE)).toEqual({
      messageRequestModeMap: { jobs: { g: mode } },
    })
    expect((await query('b', '%RETRY%g')).messageQueueAssignments?.[0]?.mode).not.toBe('POP')
    expect((await set({ ...mode, topic: '%RETRY%g' })).code).toBe(16)
    expect((await set({ ...mode, topic: 'nowhere' })).code).toBe(17)
    expect((await set({ ...mode, consumerGroup: 'bad group!' })).code).toBe(26)
    expect((await set({ ...mode, mode: 'PUSH' })).code).toBe(1)
  })
})
