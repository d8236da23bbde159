import { type RemotingCommand, RequestCode, ResponseCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RawBroker, type RawClient, startRawBroker } from '../support/raw-broker.js'
import { bodyOf, byQueue, topicFields } from './support.js'

const TOPIC = 'orders'
const GROUP = 'billing'
let broker: RawBroker
let client: RawClient

beforeAll(async () => {
  broker = await startRawBroker()
  client = await broker.connect()
  await call(RequestCode.UPDATE_AND_CREATE_TOPIC, topicFields(TOPIC))
  await Promise.all([0, 1, 2, 3, 4].map(i => client.send(TOPIC, `body ${i}`, { UNIQ_KEY: `U${i}`, TAGS: 'a' })))
  await client.join(GROUP, [{ topic: TOPIC, subString: 'a' }])
  await client.ask(RequestCode.HEART_BEAT, { clientID: 'p1', producerDataSet: [{ groupName: 'shop' }] })
  await client.pull(TOPIC, 0, { group: GROUP, max: 3 })
  await commit(GROUP, 3)
})
afterAll(() => broker.stop())

const call = (code: number, fields: Record<string, string> = {}): Promise<RemotingCommand> => client.call(code, fields)
const commit = (consumerGroup: string, offset: number) =>
  call(RequestCode.UPDATE_CONSUMER_OFFSET, { consumerGroup, topic: TOPIC, queueId: '0', commitOffset: String(offset) })

interface Progress {
  readonly brokerOffset: number
  readonly consumerOffset: number
  readonly lastTimestamp: number
  readonly pullOffset: number
}

describe('topics and queues', () => {
  it('show their offsets and rates', async () => {
    const stats = bodyOf(await call(RequestCode.GET_TOPIC_STATS_INFO, { topic: TOPIC }))
    const queues = byQueue<Record<string, number>>(stats['offsetTable'])
    expect(queues[0]).toMatchObject({ minOffset: 0, maxOffset: 5 })
    expect(Date.now() - queues[0]['lastUpdateTimestamp']).toBeLessThan(60_000)
    expect(queues[1]).toEqual({ minOffset: 0, maxOffset: 0, lastUpdateTimestamp: 0 })
    expect(stats['topicPutTps']).toBeGreaterThan(0)
    expect(await call(RequestCode.GET_TOPIC_STATS_INFO, { topic: 'nowhere' })).toMatchObject({ code: 17 })
  })

  it('show the entries of a queue', async () => {
    const fields = { topic: TOPIC, queueId: '0', index: '1', count: '2', consumerGroup: GROUP }
    const queue = bodyOf<{ queueData: Record<string, number>[] }>(await call(RequestCode.QUERY_CONSUME_QUEUE, fields))
    expect(queue).toMatchObject({ minQueueIndex: 0, maxQueueIndex: 5, subscriptionData: { subString: 'a' } })
    expect(queue.queueData.length).toBe(2)
    const view = await call(RequestCode.VIEW_MESSAGE_BY_ID, { offset: String(queue.queueData[0]['physicOffset']) })
    expect(view.body?.length).toBe(queue.queueData[0]['physicSize'])
    for (const bad of [{ queueId: '9' }, { queueId: '-1' }, { index: '5' }, { index: '-1' }, { index: 'x' }])
      expect(await call(RequestCode.QUERY_CONSUME_QUEUE, { ...fields, ...bad })).toMatchObject({ code: 1 })
    expect(await call(RequestCode.QUERY_CONSUME_QUEUE, { ...fields, topic: 'nowhere' })).toMatchObject({ code: 17 })
  })

  it('show who consumes them', async () => {
    const groups = bodyOf(await call(RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, { topic: TOPIC }))
    expect(groups).toEqual({ groupList: [GROUP] })
    expect(bodyOf(await call(RequestCode.QUERY_TOPICS_BY_CONSUMER, { group: GROUP }))).toMatchObject({
      topicList: [TOPIC],
    })
    const subscription = { group: GROUP, topic: TOPIC }
    expect(bodyOf(await call(RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, subscription))).toMatchObject({
      ...subscription,
      subscriptionData: { subString: 'a' },
    })
  })
})

describe('groups', () => {
  it('show their progress, lag and rates', async () => {
    const stats = bodyOf(await call(RequestCode.GET_CONSUME_STATS, { consumerGroup: GROUP }))
    const progress = byQueue<Progress>(stats['offsetTable'])[0]
    expect(progress).toMatchObject({ brokerOffset: 5, consumerOffset: 3, pullOffset: 3 })
    expect(Date.now() - progress.lastTimestamp).toBeLessThan(60_000)
    expect(stats['consumeTps']).toBeGreaterThan(0)
    const named = bodyOf(await call(RequestCode.GET_CONSUME_STATS, { consumerGroup: GROUP, topicList: `x;${TOPIC}` }))
    expect(Object.keys(byQueue(named['offsetTable']))).toEqual(['0', '1'])
    expect(await call(RequestCode.GET_CONSUME_STATS)).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
  })

  it('leave out topics that they do not subscribe to any more', async () => {
    await call(RequestCode.UPDATE_AND_CREATE_TOPIC, topicFields('former'))
    await call(RequestCode.UPDATE_CONSUMER_OFFSET, {
      consumerGroup: GROUP,
      topic: 'former',
      queueId: '0',
      commitOffset: '0',
    })
    const stats = bodyOf(await call(RequestCode.GET_CONSUME_STATS, { consumerGroup: GROUP }))
    expect([...(stats['offsetTable'] as Map<{ topic: string }, unknown>).keys()].map(queue => queue.topic)).toEqual([
      TOPIC,
      TOPIC,
    ])
  })

  it('show all of them at once, ordered topics alone if asked', async () => {
    const all = bodyOf(await call(RequestCode.GET_BROKER_CONSUME_STATS, { isOrder: 'false' }))
    expect(all).toMatchObject({ totalDiff: 2, totalInflightDiff: 0 })
    const stats = (all['consumeStatsList'] as Record<string, { offsetTable: unknown }[]>[]).find(each => GROUP in each)
    expect(byQueue<Progress>(stats?.[GROUP]?.[0]?.offsetTable)[0]).toMatchObject({ brokerOffset: 5, consumerOffset: 3 })
    expect(bodyOf(await call(RequestCode.GET_BROKER_CONSUME_STATS, { isOrder: 'true' }))['totalDiff']).toBe(0)
  })

  it('show between which times they are', async () => {
    const span = bodyOf<{ consumeTimeSpanSet: Record<string, unknown>[] }>(
      await call(RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: TOPIC, group: GROUP }),
    ).consumeTimeSpanSet
    expect(span.length).toBe(2)
    expect(span[0]['consumeTimeStampStr']).toMatch(/^\d{4}-\d\d-\d\d#\d\d:\d\d:\d\d:\d{3}$/)
    expect(span[0]['minTimeStamp']).toBeLessThanOrEqual(span[0]['consumeTimeStamp'] as number)
    expect(span[0]['consumeTimeStamp']).toBeLessThanOrEqual(span[0]['maxTimeStamp'] as number)
    expect(span[0]['delayTime']).toBeGreaterThanOrEqual(0)
    expect(span[1]).toMatchObject({ minTimeStamp: -1, maxTimeStamp: -1, delayTime: 0 })
    expect(await call(RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: 'nowhere', group: GROUP })).toMatchObject({
      code: ResponseCode.TOPIC_NOT_EXIST,
    })
  })

  it('show how far the others are', async () => {
    await commit('second', 2)
    await commit('third', 1)
    const correction = async (compareGroup: string, filterGroups = '') =>
      bodyOf<{ correctionOffsets: Record<string, number> }>(
        await call(RequestCode.QUERY_CORRECTION_OFFSET, { compareGroup, topic: TOPIC, filterGroups }),
      ).correctionOffsets[0]
    expect(await correction(GROUP)).toBe(1)
    expect(await correction(GROUP, 'third')).toBe(2)
    expect(await correction('third', 'third')).toBe(Number.MAX_SAFE_INTEGER)
    expect(await call(RequestCode.QUERY_CORRECTION_OFFSET, { topic: TOPIC })).toMatchObject({ code: 1 })
  })

  it('show who is connected', async () => {
    const consumers = bodyOf(await call(RequestCode.GET_CONSUMER_CONNECTION_LIST, { consumerGroup: GROUP }))
    expect(consumers).toMatchObject({ connectionSet: [{ clientId: 'client-1' }], messageModel: 'CLUSTERING' })
    const producers = bodyOf(await call(RequestCode.GET_PRODUCER_CONNECTION_LIST, { producerGroup: 'shop' }))
    expect(producers).toMatchObject({ connectionSet: [{ clientId: 'p1' }] })
    expect(bodyOf(await call(RequestCode.GET_ALL_PRODUCER_INFO))).toMatchObject({
      data: { shop: [{ clientId: 'p1' }] },
    })
    expect(await call(RequestCode.GET_CONSUMER_CONNECTION_LIST, { consumerGroup: 'nobody' })).toMatchObject({
      code: ResponseCode.CONSUMER_NOT_ONLINE,
    })
    expect(await call(RequestCode.GET_PRODUCER_CONNECTION_LIST, { producerGroup: 'nobody' })).toMatchObject({ code: 1 })
  })
})

describe('the broker', () => {
  it('shows what it counted', async () => {
    const view = async (statsName: string, statsKey: string) =>
      bodyOf<{ statsMinute: { sum: number } }>(await call(RequestCode.VIEW_BROKER_STATS_DATA, { statsName, statsKey }))
        .statsMinute.sum
    expect(await view('TOPIC_PUT_NUMS', TOPIC)).toBe(5)
    expect(await view('TOPIC_PUT_SIZE', TOPIC)).toBeGreaterThan(500)
    expect(await view('GROUP_GET_NUMS', `${TOPIC}@${GROUP}`)).toBe(3)
    expect(await view('BROKER_PUT_NUMS', 'DefaultCluster')).toBe(5)
    await client.send(TOPIC, 'later', { UNIQ_KEY: 'D', DELAY: '5' })
    expect(await view('TOPIC_PUT_NUMS', 'SCHEDULE_TOPIC_XXXX')).toBe(1)
    for (const fields of [{ statsName: 'TOPIC_PUT_NUMS', statsKey: 'zz' }, { statsName: 'X', statsKey: TOPIC }, {}])
      expect(await call(RequestCode.VIEW_BROKER_STATS_DATA, fields)).toMatchObject({ code: 1 })
  })

  it('shows how it runs, with every key that tools read', async () => {
    const { table } = bodyOf<{ table: Record<string, string> }>(await call(RequestCode.GET_BROKER_RUNTIME_INFO))
    const read = `brokerVersionDesc putTps getTransferredTps getTransferedTps sendThreadPoolQueueSize
      pullThreadPoolQueueSize sendThreadPoolQueueHeadWaitTimeMills pullThreadPoolQueueHeadWaitTimeMills
      pageCacheLockTimeMills earliestMessageTimeStamp commitLogDiskRatio timerReadBehind timerOffsetBehind
      timerCongestNum timerEnqueueTps timerDequeueTps brokerActive msgPutTotalTodayNow msgPutTotalTodayMorning
      msgPutTotalYesterdayMorning msgGetTotalTodayNow msgGetTotalTodayMorning msgGetTotalYesterdayMorning
      commitLogDirCapacity putMessageAverageSize consumeQueueDiskRatio`
    for (const key of read.split(/\s+/)) expect(table, key).toHaveProperty(key)
    for (const value of Object.values(table)) expect(value).toBeTypeOf('string')
    expect(Number.parseFloat(table['putTps'])).toBeGreaterThan(0)
    expect(Number(table['commitLogDiskRatio'])).toBeLessThanOrEqual(1)
    expect(Date.now() - Number(table['earliestMessageTimeStamp'])).toBeLessThan(60_000)
  })

  it('answers about parts that it has not, and cleans up when asked', async () => {
    expect(bodyOf(await call(RequestCode.GET_BROKER_HA_STATUS))).toMatchObject({ master: true, haConnectionInfo: [] })
    expect(bodyOf(await call(RequestCode.GET_COLD_DATA_FLOW_CTR_INFO))).toMatchObject({ runtimeTable: {} })
    expect(await call(RequestCode.RESET_MASTER_FLUSH_OFFSET, { masterFlushOffset: '0' })).toMatchObject({ code: 0 })
    expect(await call(RequestCode.RESET_MASTER_FLUSH_OFFSET)).toMatchObject({ code: 1 })
    expect(await call(RequestCode.GET_BROKER_EPOCH_CACHE)).toMatchObject({ code: 1 })
    expect(await call(RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE)).toMatchObject({ code: 0 })
    expect(await call(RequestCode.DELETE_EXPIRED_COMMITLOG)).toMatchObject({ code: 0 })
    expect((await client.pull(TOPIC, 0, { group: GROUP })).code).toBe(0)
  })

  it('shows and changes its configuration', async () => {
    const shown = async () => (await call(RequestCode.GET_BROKER_CONFIG)).body?.toString() ?? ''
    expect(await client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, Buffer.from('fileReservedTime=5\n'))).toMatchObject({
      code: 0,
    })
    expect(await shown()).toContain('fileReservedTime=5\n')
    expect(
      await client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, Buffer.from('storePathRootDir=/tmp/x')),
    ).toMatchObject({ code: ResponseCode.NO_PERMISSION, remark: expect.stringContaining('storePathRootDir') as string })
    expect(await shown()).not.toContain('/tmp/x')
  })
})
