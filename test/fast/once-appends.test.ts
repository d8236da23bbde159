import {
  encodeBatch,
  formatProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  StreamProperty,
} from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bodiesOf, type RawBroker, type RawClient, startRawBroker } from './support/raw-broker.js'

let broker: RawBroker
let client: RawClient

beforeAll(async () => {
  broker = await startRawBroker()
  client = await broker.connect()
})
afterAll(() => broker.stop())

function makeTopic(topic: string, attributes = ''): Promise<RemotingCommand> {
  return client.call(RequestCode.UPDATE_AND_CREATE_TOPIC, {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: '2',
    writeQueueNums: '2',
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
    attributes,
  })
}

async function stored(topic: string): Promise<string[]> {
  const all: string[] = []
  for (let offset = 0; ; ) {
    const answer = await client.pull(topic, offset)
    if (answer.code !== 0) return all
    all.push(...bodiesOf(answer))
    offset = Number(answer.extFields['nextBeginOffset'])
  }
}

describe('messages of a pipeline task', () => {
  interface Output {
    readonly pipeline?: string
    readonly task?: string
    readonly epoch?: number | string
    readonly sequence?: number | undefined
  }
  const tags = ({ pipeline = 'p', task = 't-0', epoch = 1, sequence }: Output) => ({
    [StreamProperty.PIPELINE]: pipeline,
    [StreamProperty.TASK]: task,
    [StreamProperty.EPOCH]: String(epoch),
    ...(sequence !== undefined && { [StreamProperty.SEQUENCE]: String(sequence) }),
  })

  function batch(
    topic: string,
    sequences: readonly (number | undefined)[],
    options: Omit<Output, 'sequence'> & { readonly group?: string; readonly queueId?: string } = {},
  ): Promise<RemotingCommand> {
    const body = encodeBatch(
      sequences.map(sequence => ({
        flag: 0,
        body: Buffer.from(`${options.task ?? 't-0'}:${sequence ?? 'mark'}`),
        properties: Buffer.from(
          formatProperties({ UNIQ_KEY: `K${sequence}`, ...tags({ pipeline: topic, ...options, sequence }) }),
        ),
      })),
    )
    const { group = topic, queueId = '0' } = options
    return client.call(
      RequestCode.SEND_BATCH_MESSAGE,
      {
        a: group,
        b: topic,
        c: 'TBW102',
        d: '4',
        e: queueId,
        f: '0',
        g: '1700000000000',
        h: '0',
        j: '0',
        k: 'false',
        m: 'true',
      },
      body,
    )
  }

  it('are stored once, also when only part of a batch is new', async () => {
    await makeTopic('once')
    expect(await batch('once', [1, 2, 5])).toMatchObject({ code: 0, extFields: { queueOffset: '0' } })
    const repeat = await batch('once', [1, 2, 5])
    expect(repeat.code).toBe(0)
    expect(repeat.extFields['msgId']?.split(',')).toHaveLength(3)
    expect(await batch('once', [5, 7, 9])).toMatchObject({ code: 0 })
    expect(await batch('once', [7])).toMatchObject({ code: 0 })
    // Marks have no number: they may come twice.
    expect(await batch('once', [undefined, 9, undefined, 12])).toMatchObject({ code: 0 })
    expect(await stored('once')).toEqual([
      't-0:1',
      't-0:2',
      't-0:5',
      't-0:7',
      't-0:9',
      't-0:mark',
      't-0:mark',
      't-0:12',
    ])
    // Each task, and each queue, has numbers of its own.
    expect(await batch('once', [1, 2], { task: 't-1' })).toMatchObject({ code: 0 })
    expect(await batch('once', [1], { queueId: '1' })).toMatchObject({ code: 0, extFields: { queueOffset: '0' } })
    expect((await stored('once')).slice(-2)).toEqual(['t-1:1', 't-1:2'])
  })

  it('are refused from a task that was started again, on every queue, also after a restart of the broker', async () => {
    await makeTopic('fenced')
    expect(await batch('fenced', [1, 2], { epoch: 3 })).toMatchObject({ code: 0 })
    expect(await batch('fenced', [2, 3], { epoch: 4 })).toMatchObject({ code: 0 })
    const old = { code: ResponseCode.ILLEGAL_OPERATION, remark: expect.stringContaining('epoch 4 has written') }
    expect(await batch('fenced', [4], { epoch: 3 })).toMatchObject(old)
    expect(await batch('fenced', [4], { epoch: 3, queueId: '1' })).toMatchObject(old)
    await broker.restart()
    client = await broker.connect()
    expect(await batch('fenced', [4], { epoch: 3, queueId: '1' })).toMatchObject(old)
    expect(await batch('fenced', [3, 4], { epoch: 4 })).toMatchObject({ code: 0 })
    expect(await batch('fenced', [3, 4, 5], { epoch: 5 })).toMatchObject({ code: 0 })
    expect(await stored('fenced')).toEqual([1, 2, 3, 4, 5].map(n => `t-0:${n}`))
  })

  it('are stored once when they come one by one or delayed', async () => {
    await makeTopic('single')
    const send = (sequence: number, extra = {}) =>
      client.send('single', String(sequence), { ...tags({ pipeline: 'single', sequence }), ...extra }, { a: 'single' })
    for (const sequence of [1, 2, 2, 1, 3]) expect(await send(sequence)).toMatchObject({ code: 0 })
    expect(await stored('single')).toEqual(['1', '2', '3'])
    for (const sequence of [4, 4, 5]) expect(await send(sequence, { DELAY: '1' })).toMatchObject({ code: 0 })
    await expect.poll(() => stored('single'), { timeout: 5000 }).toEqual(['1', '2', '3', '4', '5'])
  })

  it('are any messages when another group sends them, and refused when their tags make no sense', async () => {
    await makeTopic('foreign')
    for (let i = 0; i < 2; i++) expect(await batch('foreign', [3, 1], { group: 'mirror' })).toMatchObject({ code: 0 })
    expect(await stored('foreign')).toHaveLength(4)
    expect(await batch('foreign', [1], { epoch: 'x' })).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL })
    expect(await batch('foreign', [2, 1])).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL })
    expect(await batch('foreign', [1.5])).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL })
    expect(await batch('foreign', [1], { task: 'x'.repeat(300) })).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL })
    expect(await stored('foreign')).toHaveLength(4)
  })

  it('keep their order when many requests are under way', async () => {
    await makeTopic('many')
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => batch('many', [i * 2 + 1, i * 2 + 2], { task: `t-${i % 4}` })),
    )
    expect(answers.every(answer => answer.code === 0)).toBe(true)
    expect(await stored('many')).toHaveLength(400)
  })
})

describe('a topic with a deduplication window', () => {
  const send = (topic: string, key: string, body: string, properties = {}) =>
    client.send(topic, body, { UNIQ_KEY: key, ...properties })

  it('stores a message once and answers repeats with the first, also after a restart', async () => {
    expect(await makeTopic('window', '+dedup.window.ms=60000')).toMatchObject({ code: 0 })
    const first = await send('window', 'A', 'first')
    expect(await send('window', 'B', 'second')).toMatchObject({ code: 0 })
    const repeat = await send('window', 'A', 'again')
    expect(repeat).toMatchObject({
      code: 0,
      extFields: { msgId: first.extFields['msgId'], queueOffset: '0', transactionId: 'A' },
    })
    const [one, two] = await Promise.all([send('window', 'C', 'x'), send('window', 'C', 'y')])
    expect(one.extFields['msgId']).toBe(two.extFields['msgId'])
    await broker.restart()
    client = await broker.connect()
    expect(await send('window', 'B', 'again')).toMatchObject({ code: 0, extFields: { queueOffset: '1' } })
    expect(await stored('window')).toEqual(['first', 'second', 'x'])
  })

  it('can go by a count and by a property of the application', async () => {
    await makeTopic('count', '+dedup.count=2,+dedup.property=order')
    for (const order of ['1', '2', '1', '3', '2', '4', '1']) await send('count', `K${order}`, order, { order })
    expect(await stored('count')).toEqual(['1', '2', '3', '4', '1'])
    await client.send('count', 'without key', {})
    await client.send('count', 'without key', {})
    expect((await stored('count')).slice(-2)).toEqual(['without key', 'without key'])
    expect(await makeTopic('bad', '+dedup.count=0')).toMatchObject({ code: 1 })
    expect(await makeTopic('bad', '+dedup.window.ms=soon')).toMatchObject({ code: 1 })
  })

  it('begins and ends with the attribute', async () => {
    await makeTopic('switched')
    await send('switched', 'A', '1')
    await send('switched', 'A', '2')
    await makeTopic('switched', '+dedup.window.ms=60000')
    await send('switched', 'A', '3')
    expect(await stored('switched')).toEqual(['1', '2'])
    await makeTopic('switched', '-dedup.window.ms')
    await send('switched', 'A', '4')
    expect(await stored('switched')).toEqual(['1', '2', '4'])
  })
})
