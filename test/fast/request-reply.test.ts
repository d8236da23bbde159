import { formatProperties, parseProperties, RequestCode } from '@millrace/core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { messagesOf, type RawBroker, type RawClient, startRawBroker } from './support/raw-broker.js'

const REPLY_TOPIC = 'DefaultCluster_REPLY_TOPIC'

let broker: RawBroker
let requester: RawClient
let replier: RawClient

beforeAll(async () => {
  broker = await startRawBroker()
  requester = await broker.connect()
  replier = await broker.connect()
  await requester.ask(RequestCode.HEART_BEAT, {
    clientID: 'asker',
    producerDataSet: [{ groupName: 'askers' }, { groupName: 'CLIENT_INNER_PRODUCER' }],
    consumerDataSet: [],
  })
})
afterAll(() => broker.stop())

function reply(to: string | undefined, code: number = RequestCode.SEND_REPLY_MESSAGE_V2) {
  const properties = formatProperties({
    MSG_TYPE: 'reply',
    CORRELATION_ID: 'C-1',
    REPLY_TO_CLIENT: to,
    TTL: '3000',
    UNIQ_KEY: 'K-1',
  })
  const v1 = {
    producerGroup: 'repliers',
    topic: REPLY_TOPIC,
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: '4',
    queueId: '0',
    sysFlag: '0',
    bornTimestamp: '1700000000000',
    flag: '7',
    properties,
    reconsumeTimes: '0',
    unitMode: 'false',
  }
  const v2 = Object.fromEntries(Object.values(v1).map((value, i) => ['abcdefghijk'[i]!, value]))
  return replier.call(code, code === RequestCode.SEND_REPLY_MESSAGE ? v1 : v2, Buffer.from('the answer'))
}

it.each([RequestCode.SEND_REPLY_MESSAGE, RequestCode.SEND_REPLY_MESSAGE_V2])(
  'a reply [%i] is passed on to the client that asked, and stored',
  async code => {
    requester.asked.length = 0
    requester.serve = () => ({ code: 0 })
    const answer = await reply('asker', code)
    expect(answer).toMatchObject({
      code: 0,
      extFields: { queueId: '0', MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' },
    })
    expect(requester.asked).toHaveLength(1)
    const [pushed] = requester.asked
    expect(pushed).toMatchObject({
      code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT,
      flag: 0,
      extFields: {
        producerGroup: 'repliers',
        topic: REPLY_TOPIC,
        flag: '7',
        bornTimestamp: '1700000000000',
        bornHost: expect.stringMatching(/:\d+$/),
        storeHost: expect.stringMatching(/:\d+$/),
      },
    })
    expect(pushed?.body?.toString()).toBe('the answer')
    expect(parseProperties(pushed?.extFields['properties'] ?? '')).toMatchObject({
      CORRELATION_ID: 'C-1',
      PUSH_REPLY_TIME: expect.stringMatching(/^\d+$/),
    })
    const stored = await replier.pull(REPLY_TOPIC, Number(answer.extFields['queueOffset']))
    expect(messagesOf(stored)[0]?.body.toString()).toBe('the answer')
    expect(answer.extFields['msgId']).toMatch(/^[0-9A-F]{32}$/)
  },
)

it('tells the replier when the client does not take it, is not there, or is not named', async () => {
  requester.serve = () => ({ code: 1, remark: 'nobody waits' })
  expect(await reply('asker')).toMatchObject({ code: 1, remark: expect.stringContaining('nobody waits') })
  expect(await reply('stranger')).toMatchObject({
    code: 1,
    remark: 'push reply message fail, channel of <stranger> not found.',
  })
  expect(await reply(undefined)).toMatchObject({ code: 1, remark: expect.stringContaining('REPLY_TO_CLIENT') })
  const leaver = await broker.connect()
  await leaver.ask(RequestCode.HEART_BEAT, {
    clientID: 'leaver',
    producerDataSet: [{ groupName: 'askers' }],
    consumerDataSet: [],
  })
  leaver.serve = () => {
    leaver.close()
    return undefined
  }
  expect(await reply('leaver')).toMatchObject({ code: 1, remark: expect.stringContaining('closed its connection') })
  expect(await reply('leaver')).toMatchObject({ code: 1, remark: expect.stringContaining('not found') })
})

it('is not stored where that is switched off', async () => {
  const other = await startRawBroker({ storeReplyMessageEnable: false })
  const peer = await other.connect()
  const before = replier
  replier = peer
  expect(await reply('asker')).toMatchObject({ code: 1, extFields: { msgId: '0', queueId: '0', queueOffset: '0' } })
  expect(messagesOf(await peer.pull(REPLY_TOPIC, 0))).toEqual([])
  replier = before
  await other.stop()
})
