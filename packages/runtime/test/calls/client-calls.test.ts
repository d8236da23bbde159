import {
  decodeMessage,
  decodeQueueOffsets,
  encodeQueueOffsets,
  MillraceError,
  offsetMessageId,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { BrokerConfig } from '../../src/config/index.js'
import { createWorld, type World } from '../requests/control-world.js'
import { FakePeer } from '../requests/fake-peer.js'
import { message } from '../requests/memory-message-store.js'

let world: World
afterEach(() => world.stop())

async function start(broker: Partial<BrokerConfig> = {}): Promise<void> {
  world = await createWorld({ broker })
  await world.simulation.runUntilSettled(
    Promise.resolve(world.plane.broker?.topics.ensureForSend('orders', 'TBW102', 2)),
  )
}

async function join(
  clientId: string,
  { version = 493, language = 'JAVA' } = {},
  peer = new FakePeer(),
): Promise<FakePeer> {
  const consumer = { groupName: 'g', subscriptionDataSet: [{ topic: 'orders', subString: '*', subVersion: 1 }] }
  const body = JSON.stringify({ clientID: clientId, consumerDataSet: [consumer] })
  await world.ask(RequestCode.HEART_BEAT, {}, { body, peer, version, language })
  return peer
}

const timedOut = () => Promise.reject(new MillraceError('TIMEOUT', 'no answer'))

describe('running info [307]', () => {
  const ask = (clientId: string, fields = {}) =>
    world.ask(RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: 'g', clientId, jstackEnable: 'true', ...fields })

  it('is what the named client answers, to the byte', async () => {
    await start()
    const [one, two] = [await join('a'), await join('b')]
    one.answerCall = () => Promise.reject(new Error('the wrong client'))
    two.answerCall = request => {
      expect(request).toMatchObject({ code: 307, extFields: { clientId: 'b', jstackEnable: 'true' } })
      return Promise.resolve({ code: 0, body: Buffer.from('{{"queueId":0}:1}') })
    }
    const reply = await ask('b')
    expect(reply.code).toBe(0)
    expect(String(reply.body)).toBe('{{"queueId":0}:1}')
  })

  it('is refused for clients that are away, too old, silent or gone', async () => {
    await start()
    expect(await ask('x')).toMatchObject({ code: 1, remark: 'The Consumer <g> <x> not online' })
    const peer = await join('a')
    peer.answerCall = timedOut
    expect(await ask('a')).toMatchObject({ code: ResponseCode.CONSUME_MSG_TIMEOUT })
    peer.answerCall = () => Promise.reject(new MillraceError('CONNECTION_LOST', 'gone'))
    expect(await ask('a')).toMatchObject({ code: 1, remark: 'invoke consumer <g> <a> Exception: gone' })
    await join('old', { version: 61 })
    expect(await ask('old')).toMatchObject({ code: 1, remark: expect.stringContaining('Version <61> too low') })
    peer.answerCall = () => Promise.resolve({ code: 1, remark: 'its own failure' })
    expect(await ask('a')).toMatchObject({ code: 1, remark: 'its own failure' })
  })
})

describe('direct consumption [309]', () => {
  it('hands the stored message to the client, by either id', async () => {
    await start()
    const peer = await join('a')
    const stored = message('orders', { queueId: 1, text: 'UNIQ_KEY\u0001ID-1\u0002' })
    const { position } = await world.store.append(stored)
    peer.answerCall = request => {
      const decoded = decodeMessage(Buffer.from(request.body!), 0, request.body!.length)
      expect(decoded).toMatchObject({ ok: true, message: { topic: 'orders', queueId: 1, commitLogOffset: position } })
      expect(request.extFields).toMatchObject({ brokerName: 'broker-a', topicSysFlag: '0', groupSysFlag: '0' })
      return Promise.resolve({ code: 0, body: Buffer.from('{"consumeResult":"CR_SUCCESS"}') })
    }
    const ask = (fields: Record<string, string>) =>
      world.ask(RequestCode.CONSUME_MESSAGE_DIRECTLY, { consumerGroup: 'g', clientId: 'a', ...fields })
    const msgId = offsetMessageId({ host: '127.0.0.1', port: 10911 }, position)
    expect(await ask({ msgId })).toMatchObject({ code: 0 })
    expect(await ask({ msgId: 'ID-1', topic: 'orders' })).toMatchObject({ code: 0 })
    expect(await ask({ msgId: 'ID-2', topic: 'orders' })).toMatchObject({ code: 1 })
    expect(await ask({ msgId, clientId: 'x' })).toMatchObject({
      code: 1,
      remark: expect.stringContaining('not online'),
    })
  })
})

describe('the state of consumers [223]', () => {
  it('is gathered from the members, without those that do not answer', async () => {
    await start()
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 1 }
    const [a, b] = [await join('a'), await join('b')]
    a.answerCall = request => {
      expect(request).toMatchObject({ code: 221, extFields: { group: 'g', topic: 'orders' } })
      return Promise.resolve({ code: 0, body: encodeQueueOffsets('messageQueueTable', new Map([[queue, 5]])) })
    }
    b.answerCall = timedOut
    const ask = (fields = {}) =>
      world.ask(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, { group: 'g', topic: 'orders', ...fields })
    const all =
      '{"consumerTable":{"a":{{"brokerName":"broker-a","queueId":1,"topic":"orders"}:5}},"messageQueueTable":{}}'
    expect(String((await ask()).body)).toBe(all)
    expect(String((await ask({ clientAddr: 'b' })).body)).toBe('{"consumerTable":{},"messageQueueTable":{}}')
    await join('old', { version: 27 })
    expect(await ask()).toMatchObject({ code: 1, remark: expect.stringContaining('version=27') })
    expect(await ask({ group: 'nobody' })).toMatchObject({ code: 1 })
  })
})

describe('a reset that the members carry out [222, 220]', () => {
  it('tells each in the form it reads, and moves no queue forward unless forced', async () => {
    await start({ useServerSideResetOffset: false })
    const reset = (fields: Record<string, string> = {}) =>
      world.ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, {
        group: 'g',
        topic: 'orders',
        timestamp: '-1',
        isForce: 'false',
        ...fields,
      })
    expect(await reset()).toMatchObject({ code: 1 })
    for (let i = 0; i < 4; i++) await world.store.append(message('orders'))
    const { offsets } = world.plane.broker ? { offsets: world.plane.broker.groups.pull } : expect.fail('no broker')
    offsets.commitOffset('g', 'orders', 0, 3)
    offsets.commitOffset('g', 'orders', 1, 2)
    expect(await reset()).toMatchObject({ code: ResponseCode.CONSUMER_NOT_ONLINE })
    const [java, cpp] = [await join('a'), await join('b', { language: 'CPP' })]
    const told = (peer: FakePeer) => peer.notified.filter(({ code }) => code === 220)
    const targets = async (fields = {}) => {
      const reply = await reset(fields)
      const decoded = decodeQueueOffsets(reply.body as Buffer, 'offsetTable')
      return decoded.ok ? [...decoded.value].map(([{ queueId }, at]) => [queueId, at]) : reply
    }
    expect(await targets()).toEqual([
      [0, 3],
      [1, 0],
    ])
    expect(told(java)).toHaveLength(1)
    expect(told(java)[0]).toMatchObject({
      extFields: { group: 'g', topic: 'orders', timestamp: '-1', isForce: 'false' },
    })
    expect(JSON.parse(String(told(cpp)[0]?.body))).toMatchObject({
      offsetTable: [{ queueId: 0, offset: 3 }, { offset: 0 }],
    })
    expect(await targets({ isForce: 'true' })).toEqual([
      [0, 4],
      [1, 0],
    ])
    expect(await reset({ topic: 'none' })).toMatchObject({ code: 1 })
    await join('old', { version: 27 })
    expect(await reset()).toMatchObject({ code: 1 })
    expect(told(java)).toHaveLength(2)
  })
})

describe('cloning offsets [314]', () => {
  it('takes one topic or all, and leaves out what the source has given up', async () => {
    await start()
    await world.simulation.runUntilSettled(
      Promise.resolve(world.plane.broker?.topics.ensureForSend('returns', 'TBW102', 2)),
    )
    const { pull } = world.plane.broker?.groups ?? expect.fail('no broker')
    pull.commitOffset('g', 'orders', 1, 5)
    pull.commitOffset('g', 'returns', 0, 6)
    pull.commitOffset('g', 'deleted', 0, 7)
    const clone = (destGroup: string, fields = {}) =>
      world.ask(RequestCode.CLONE_GROUP_OFFSET, { srcGroup: 'g', destGroup, ...fields })
    const offsets = async (consumerGroup: string) => {
      const of = async (topic: string, queueId: string) =>
        (
          await world.ask(RequestCode.QUERY_CONSUMER_OFFSET, {
            consumerGroup,
            topic,
            queueId,
            setZeroIfNotFound: 'false',
          })
        ).extFields?.['offset']
      return [await of('orders', '1'), await of('returns', '0'), await of('deleted', '0')]
    }
    await clone('one', { topic: 'returns' })
    expect(await offsets('one')).toEqual([undefined, '6', undefined])
    await join('a')
    await clone('online')
    expect(await offsets('online')).toEqual(['5', undefined, undefined])
    await clone('all', { offline: 'true' })
    expect(await offsets('all')).toEqual(['5', '6', undefined])
    expect(await clone('')).toMatchObject({ code: 1 })
  })
})
