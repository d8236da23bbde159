import { type RemotingCommand, RequestCode, ResponseCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RawBroker, type RawClient, startRawBroker } from '../support/raw-broker.js'
import { bodyOf, topicFields } from './support.js'

let broker: RawBroker
let client: RawClient

beforeAll(async () => {
  broker = await startRawBroker()
  client = await broker.connect()
})
afterAll(() => broker.stop())

const call = (code: number, fields: Record<string, string> = {}, body?: object): Promise<RemotingCommand> =>
  client.call(code, fields, body && Buffer.from(JSON.stringify(body)))
const create = (topic: string, fields: Record<string, string> = {}) =>
  call(RequestCode.UPDATE_AND_CREATE_TOPIC, topicFields(topic, fields))
const topicOf = async (topic: string) => bodyOf(await call(RequestCode.GET_TOPIC_CONFIG, { topic }))

describe('topics', () => {
  it('are created and changed, with attributes by +name=value and -name', async () => {
    expect(await create('a', { attributes: '+message.type=FIFO,+reserve.time=1000' })).toMatchObject({ code: 0 })
    expect(await topicOf('a')).toMatchObject({
      attributes: { 'message.type': 'FIFO', 'reserve.time': '1000' },
      perm: 6,
      readQueueNums: 2,
    })
    expect(await create('a', { perm: '4', attributes: '-reserve.time' })).toMatchObject({ code: 0 })
    expect(await topicOf('a')).toMatchObject({ attributes: { 'message.type': 'FIFO' }, perm: 4 })
  })

  it.each([
    ['a bad name', { topic: 'no spaces!' }, ResponseCode.INVALID_PARAMETER],
    ['no name', { topic: '' }, ResponseCode.INVALID_PARAMETER],
    ['a topic of the broker', { topic: 'TBW102' }, ResponseCode.INVALID_PARAMETER],
    ['an unknown attribute', { attributes: '+colour=red' }, ResponseCode.SYSTEM_ERROR],
    ['a bad value', { attributes: '+message.type=LOUD' }, ResponseCode.SYSTEM_ERROR],
    ['an attribute without sign', { attributes: 'message.type=FIFO' }, ResponseCode.SYSTEM_ERROR],
    ['a removal with a value', { attributes: '-message.type=FIFO' }, ResponseCode.SYSTEM_ERROR],
    ['a number that is none', { readQueueNums: 'many' }, ResponseCode.SYSTEM_ERROR],
    ['too many queues', { writeQueueNums: '100000' }, ResponseCode.INVALID_PARAMETER],
    ['a permission that is none', { perm: '9' }, ResponseCode.INVALID_PARAMETER],
  ])('are refused with a reason: %s', async (_what, fields, code) => {
    const answer = await create('refused', fields)
    expect(answer.code).toBe(code)
    expect(answer.remark).toBeTruthy()
    expect(await call(RequestCode.GET_TOPIC_CONFIG, { topic: 'refused' })).toMatchObject({
      code: ResponseCode.TOPIC_NOT_EXIST,
    })
  })

  it('come in lists', async () => {
    const topicConfigList = [
      { topicName: 'l1', readQueueNums: 3 },
      { topicName: 'l2', attributes: {} },
    ]
    expect(await call(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, { topicConfigList })).toMatchObject({ code: 0 })
    expect(await topicOf('l1')).toMatchObject({ readQueueNums: 3, writeQueueNums: 16 })
    expect(await topicOf('l2')).toMatchObject({ readQueueNums: 16 })
    const bad = { topicConfigList: [{ topicName: 'bad name' }] }
    expect(await call(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, bad)).toMatchObject({ code: 29 })
  })

  it('are listed whole and in pages', async () => {
    const all = bodyOf<{ topicConfigTable: object }>(await call(RequestCode.GET_ALL_TOPIC_CONFIG))
    const names = Object.keys(all.topicConfigTable)
    expect(names).toEqual(expect.arrayContaining(['a', 'l1', 'l2', 'TBW102']))
    const page = await call(RequestCode.GET_ALL_TOPIC_CONFIG, { topicSeq: '1', maxTopicNum: '2', dataVersion: '' })
    expect(page.extFields['totalTopicNum']).toBe(String(names.length))
    expect(Object.keys(bodyOf<{ topicConfigTable: object }>(page).topicConfigTable)).toEqual(
      [...names].sort().slice(1, 3),
    )
    const system = bodyOf<{ topicList: string[] }>(await call(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER))
    expect(system.topicList).toContain('SCHEDULE_TOPIC_XXXX')
    expect(system.topicList).not.toContain('a')
  })

  it('are deleted with their messages, and unused ones are forgotten', async () => {
    await create('gone')
    await client.send('gone', 'one')
    expect(await call(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: 'gone' })).toMatchObject({ code: 0 })
    expect(await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'gone' })).toMatchObject({ code: 17 })
    await create('gone')
    expect((await call(RequestCode.GET_MAX_OFFSET, { topic: 'gone', queueId: '0' })).extFields['offset']).toBe('0')
    expect(await call(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: 'TBW102' })).toMatchObject({ code: 29 })
    expect(await call(RequestCode.DELETE_TOPIC_IN_BROKER)).toMatchObject({ code: 1 })
    await client.send('gone', 'two')
    expect(await call(RequestCode.CLEAN_UNUSED_TOPIC)).toMatchObject({ code: 0 })
    expect((await call(RequestCode.GET_MAX_OFFSET, { topic: 'gone', queueId: '0' })).extFields['offset']).toBe('1')
  })
})

describe('groups', () => {
  const put = (group: object) => call(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, group)
  const groupOf = async (group: string) => bodyOf(await call(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group }))

  it('are created and changed', async () => {
    expect(await put({ groupName: 'g', retryMaxTimes: 3, consumeBroadcastEnable: false })).toMatchObject({ code: 0 })
    expect(await groupOf('g')).toMatchObject({ retryMaxTimes: 3, consumeBroadcastEnable: false, retryQueueNums: 1 })
    expect(await put({ groupName: 'g', retryMaxTimes: 5 })).toMatchObject({ code: 0 })
    expect(await groupOf('g')).toMatchObject({ retryMaxTimes: 5, consumeBroadcastEnable: true })
  })

  it.each([
    ['a bad name', { groupName: 'no spaces!' }],
    ['no name', {}],
    ['a text for a number', { groupName: 'g2', retryMaxTimes: 'many' }],
    ['too many retry queues', { groupName: 'g2', retryQueueNums: 100_000 }],
  ])('are refused with a reason: %s', async (_what, group) => {
    const answer = await put(group)
    expect(answer.code).toBe(ResponseCode.INVALID_PARAMETER)
    expect(answer.remark).toBeTruthy()
  })

  it('have attributes, changed by +name and -name', async () => {
    expect(await put({ groupName: 'g', attributes: { '+priority.factor': '50' } })).toMatchObject({ code: 0 })
    expect(await put({ groupName: 'g', retryMaxTimes: 5 })).toMatchObject({ code: 0 })
    expect(await groupOf('g')).toMatchObject({ attributes: { 'priority.factor': '50' }, retryMaxTimes: 5 })
    for (const attributes of [{ '+priority.factor': '101' }, { '+colour': 'red' }, { '-colour': '' }])
      expect(await put({ groupName: 'g', attributes })).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
    expect(await put({ groupName: 'g', attributes: { '-priority.factor': '' } })).toMatchObject({ code: 0 })
    expect(await groupOf('g')).toMatchObject({ attributes: {} })
  })

  it('come in lists and are listed whole and in pages', async () => {
    const groupConfigList = [{ groupName: 'h1' }, { groupName: 'h2', retryMaxTimes: 2 }]
    expect(await call(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, {}, { groupConfigList })).toMatchObject({
      code: 0,
    })
    const all = bodyOf<{ subscriptionGroupTable: object }>(await call(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG))
    const names = Object.keys(all.subscriptionGroupTable)
    expect(names).toEqual(expect.arrayContaining(['g', 'h1', 'h2', 'TOOLS_CONSUMER']))
    const page = await call(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, { groupSeq: '0', maxGroupNum: '1' })
    expect(page.extFields['totalGroupNum']).toBe(String(names.length))
    expect(Object.keys(bodyOf<{ subscriptionGroupTable: object }>(page).subscriptionGroupTable)).toEqual(
      [...names].sort().slice(0, 1),
    )
  })

  it('may be forbidden to read a topic, also after a restart, until they are allowed or deleted', async () => {
    await create('secret')
    await client.send('secret', 'one')
    const fields = { group: 'g', topic: 'secret' }
    const forbid = RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN
    expect(bodyOf(await call(forbid, fields))).toEqual({ ...fields, readable: true })
    expect(bodyOf(await call(forbid, { ...fields, readable: 'false' }))).toEqual({ ...fields, readable: false })
    await broker.restart()
    client = await broker.connect()
    expect(await client.pull('secret', 0, { group: 'g' })).toMatchObject({
      code: ResponseCode.NO_PERMISSION,
      extFields: { forbiddenType: '5' },
    })
    expect((await client.pull('secret', 0, { group: 'h1' })).code).toBe(0)
    const all = bodyOf<{ forbiddenTable: object }>(await call(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG))
    expect(all.forbiddenTable).toEqual({ g: { secret: 4 } })
    expect(bodyOf(await call(forbid, { ...fields, readable: 'true' }))).toEqual({ ...fields, readable: true })
    expect((await client.pull('secret', 0, { group: 'g' })).code).toBe(0)
    expect(await call(forbid, { group: 'g', topic: 'nowhere' })).toMatchObject({ code: ResponseCode.TOPIC_NOT_EXIST })
    expect(await call(forbid, { group: 'g' })).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
  })

  it('are deleted, with their offsets if asked', async () => {
    const commit = { consumerGroup: 'h2', topic: 'secret', queueId: '0', commitOffset: '1' }
    await call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)
    const query = { consumerGroup: 'h2', topic: 'secret', queueId: '0', setZeroIfNotFound: 'false' }
    await call(RequestCode.DELETE_SUBSCRIPTIONGROUP, { groupName: 'h2' })
    expect((await call(RequestCode.QUERY_CONSUMER_OFFSET, query)).extFields['offset']).toBe('1')
    await call(RequestCode.DELETE_SUBSCRIPTIONGROUP, { groupName: 'h2', cleanOffset: 'true' })
    expect(await call(RequestCode.QUERY_CONSUMER_OFFSET, query)).toMatchObject({ code: ResponseCode.QUERY_NOT_FOUND })
    expect(await call(RequestCode.DELETE_SUBSCRIPTIONGROUP)).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
  })
})
