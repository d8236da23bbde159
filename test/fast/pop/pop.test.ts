import { formatExtraInfo, parseExtraInfo, RequestCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { handleFields, readPopped, texts } from '../../faults/popped.js'
import { PopBroker } from './pop-broker.js'

let broker: PopBroker

beforeAll(async () => {
  broker = await PopBroker.start()
})
afterAll(() => broker.stop())

describe.each(['JSON', 'ROCKETMQ'] as const)('a pop with %s headers', serialization => {
  const topic = `headers-${serialization}`

  it('hands messages out once, with all that a client needs for their handles', async () => {
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    const answer = await broker.popRaw('g', topic, { serialization, max: 2 })
    expect(answer).toMatchObject({ code: 0, remark: 'FOUND', serialization })
    expect(answer.extFields).toMatchObject({
      invisibleTime: '60000',
      reviveQid: '0',
      restNum: '1',
      startOffsetInfo: '0 0 0',
      msgOffsetInfo: '0 0 0,1',
    })
    expect(answer.extFields['popTime']).toBe(String(broker.now))
    expect(texts(readPopped(answer))).toEqual(['a', 'b'])
    expect(texts(await broker.pop('g', topic, { serialization }))).toEqual(['c'])
    expect((await broker.popRaw('g', topic, { serialization })).code).toBe(210)
    // Another group has its own.
    expect(texts(await broker.pop('g2', topic, { serialization }))).toEqual(['a', 'b', 'c'])
  })
})

describe('what was popped', () => {
  it('stays away when acknowledged, and the offset of the group is behind it', async () => {
    const topic = 'acked'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    const found = await broker.pop('g', topic, { invisibleMs: 1_000 })
    for (const each of found) expect((await broker.ack('g', each)).code).toBe(0)
    expect(await broker.committed('g', topic)).toBe(3)
    broker.pass(60_000)
    expect(await broker.pop('g', topic, { pollMs: 250 })).toEqual([])
  })

  it('comes again through the retry topic when it is not, counting up, under its own topic', async () => {
    const topic = 'revived'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text, { TAGS: 't', color: 'blue' })
    const [, b] = await broker.pop('g', topic, { invisibleMs: 1_000 })
    await broker.ack('g', b!)
    broker.pass(1_500)
    const again = await broker.popSoon('g', topic, { invisibleMs: 1_000, max: 1 })
    again.push(...(await broker.popSoon('g', topic, { invisibleMs: 1_000, max: 1 })))
    expect(texts(again).sort()).toEqual(['a', 'c'])
    expect(again[0]!.message).toMatchObject({ topic, reconsumeTimes: 1, queueId: 0 })
    expect(again[0]!.properties).toMatchObject({ TAGS: 't', color: 'blue', '1ST_POP_TIME': expect.any(String) })
    expect(parseExtraInfo(again[0]!.handle)).toMatchObject({ retryFlag: '1', brokerName: 'broker-a' })
    for (const each of again) expect((await broker.ack('g', each)).code).toBe(0)
    broker.pass(60_000)
    expect(await broker.pop('g', topic, { pollMs: 250 })).toEqual([])
  })

  it('goes to the dead letters when its group tried as often as it may', async () => {
    const topic = 'given-up'
    await broker.createTopic(topic)
    await broker.createTopic('%DLQ%few')
    await broker.ask(
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      {},
      Buffer.from(JSON.stringify({ groupName: 'few', retryMaxTimes: 1 })),
    )
    await broker.send(topic, 'poison')
    await broker.pop('few', topic, { invisibleMs: 1_000 })
    broker.pass(1_100)
    expect((await broker.popSoon('few', topic, { invisibleMs: 1_000 }))[0]!.message.reconsumeTimes).toBe(1)
    broker.pass(1_100)
    const [dead] = await broker.popSoon('undertaker', '%DLQ%few')
    expect(dead).toMatchObject({ text: 'poison', properties: { DLQ_ORIGIN_TOPIC: '%RETRY%few_given-up' } })
  })

  it('comes back earlier or later when its consumer says so, and the old handle is void', async () => {
    const topic = 'changed'
    await broker.createTopic(topic)
    await broker.send(topic, 'a')
    const [a] = await broker.pop('g', topic, { invisibleMs: 1_000 })
    const changed = await broker.change('g', a!, 30_000)
    expect(changed).toMatchObject({ code: 0, extFields: { invisibleTime: '30000', reviveQid: '0' } })
    await broker.ack('g', a!)
    broker.pass(20_000)
    expect(await broker.pop('g', topic, { pollMs: 250 })).toEqual([])
    broker.pass(15_000)
    expect(texts(await broker.popSoon('g', topic))).toEqual(['a'])
  })

  it('is acknowledged with the handle of the change', async () => {
    const topic = 'changed-then-acked'
    await broker.createTopic(topic)
    await broker.send(topic, 'a')
    const [a] = await broker.pop('g', topic, { invisibleMs: 1_000 })
    const { extFields } = await broker.change('g', a!, 5_000)
    const info = parseExtraInfo(a!.handle)!
    const handle = formatExtraInfo({
      ...info,
      checkpointOffset: a!.message.queueOffset,
      popTime: Number(extFields['popTime']),
      invisibleTime: Number(extFields['invisibleTime']),
    })
    expect((await broker.ack('g', { ...a!, handle })).code).toBe(0)
    broker.pass(10_000)
    expect(await broker.pop('g', topic, { pollMs: 250 })).toEqual([])
  })

  it('survives a restart: what is acknowledged stays away, the rest comes again, handles go on working', async () => {
    const topic = 'restarted'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c', 'd']) await broker.send(topic, text)
    const [a, b] = await broker.pop('g', topic, { invisibleMs: 5_000 })
    await broker.ack('g', a!)
    await broker.restart()
    expect(await broker.pop('g', topic)).toEqual([])
    expect((await broker.ack('g', b!)).code).toBe(0)
    broker.pass(6_000)
    const again = [...(await broker.popSoon('g', topic, { max: 1 })), ...(await broker.popSoon('g', topic, { max: 1 }))]
    expect(texts(again).sort()).toEqual(['c', 'd'])
  })

  it('is gone with its topic, and so is the retry topic', async () => {
    const topic = 'deleted'
    await broker.createTopic(topic)
    for (const text of ['a', 'b']) await broker.send(topic, text)
    const [a] = await broker.pop('g', topic, { max: 1, invisibleMs: 1_000 })
    await broker.pop('g', topic, { max: 1, invisibleMs: 30_000 })
    broker.pass(2_000)
    await broker.popSoon('g', topic, { invisibleMs: 30_000 })
    const retryTopic = { topic: '%RETRY%g_deleted' }
    expect((await broker.ask(RequestCode.GET_TOPIC_CONFIG, retryTopic)).code).toBe(0)
    expect((await broker.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { topic })).code).toBe(0)
    expect((await broker.ask(RequestCode.GET_TOPIC_CONFIG, retryTopic)).code).toBe(17)
    expect((await broker.ack('g', a!)).code).toBe(17)
    await broker.createTopic(topic)
    await broker.send(topic, 'new')
    broker.pass(60_000)
    expect(texts(await broker.pop('g', topic))).toEqual(['new'])
    expect(await broker.pop('g', topic, { pollMs: 250 })).toEqual([])
  })

  it('is acknowledged in batches', async () => {
    const topic = 'batch-acked'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    const [a] = await broker.pop('g', topic, { invisibleMs: 1_000 })
    const { invisibleTime, popTime } = parseExtraInfo(a!.handle)!
    const acks = [{ c: 'g', t: topic, r: '0', so: 0, q: 0, rq: 0, pt: popTime, it: invisibleTime, b: 'BQ==' }]
    const body = Buffer.from(JSON.stringify({ brokerName: 'broker-a', acks }))
    expect((await broker.ask(RequestCode.BATCH_ACK_MESSAGE, {}, body)).code).toBe(0)
    broker.pass(2_000)
    expect(texts(await broker.popSoon('g', topic))).toEqual(['b'])
    expect((await broker.ask(RequestCode.BATCH_ACK_MESSAGE, {}, Buffer.from('{}'))).code).toBe(208)
  })
})

describe('a pop that finds nothing', () => {
  it('waits for a message of any queue', async () => {
    const topic = 'awaited'
    await broker.createTopic(topic, 4)
    const polls = [1, 2].map(() => broker.pop('g', topic, { pollMs: 5_000 }))
    const polling = async (): Promise<string | undefined> =>
      (await broker.ask(RequestCode.POLLING_INFO, { consumerGroup: 'g', topic, queueId: -1 })).extFields['pollingNum']
    while ((await polling()) !== '2');
    await broker.send(topic, 'x', {}, 2)
    await broker.send(topic, 'y', {}, 3)
    expect((await Promise.all(polls)).flatMap(texts).sort()).toEqual(['x', 'y'])
    expect(await polling()).toBe('0')
  })

  it('waits for a message that comes again', async () => {
    const topic = 'awaited-again'
    await broker.createTopic(topic)
    await broker.send(topic, 'x')
    await broker.pop('g', topic, { invisibleMs: 300 })
    const waiting = broker.pop('g', topic, { pollMs: 5_000 })
    broker.pass(400)
    expect(texts(await waiting)).toEqual(['x'])
  })

  it('is answered 210 with a header at the end of its time, or when it came too late', async () => {
    const topic = 'in-vain'
    await broker.createTopic(topic)
    const answer = await broker.popRaw('g', topic, { pollMs: 200 })
    expect(answer).toMatchObject({ code: 210, extFields: { restNum: '0', popTime: expect.any(String) } })
    const late = await broker.popRaw('g', topic, { pollMs: 200, bornTime: broker.now - 1_000 })
    expect(late.code).toBe(210)
  })

  it('is told of by a notification', async () => {
    const topic = 'notified'
    await broker.createTopic(topic)
    const fields = { consumerGroup: 'g', topic, queueId: -1, pollTime: 5_000, bornTime: broker.now }
    const waiting = broker.ask(RequestCode.NOTIFICATION, fields)
    await broker.send(topic, 'x')
    expect(await waiting).toMatchObject({ code: 0, extFields: { hasMsg: 'true', pollingFull: 'false' } })
    const empty = { consumerGroup: 'g', topic, queueId: -1, pollTime: 0, bornTime: broker.now }
    expect((await broker.ask(RequestCode.NOTIFICATION, empty)).extFields['hasMsg']).toBe('true')
    await broker.pop('g', topic)
    expect((await broker.ask(RequestCode.NOTIFICATION, empty)).extFields['hasMsg']).toBe('false')
  })
})

describe('which messages a pop gives', () => {
  it('is chosen by tags and by SQL92, and the rest is behind the group', async () => {
    const topic = 'filtered'
    await broker.createTopic(topic)
    for (const [text, TAGS, size] of [
      ['a', 'x', '1'],
      ['b', 'y', '2'],
      ['c', 'x', '3'],
      ['d', 'y', '4'],
    ] as const)
      await broker.send(topic, text, { TAGS, size })
    expect(texts(await broker.pop('tags', topic, { exp: 'y', expType: 'TAG' }))).toEqual(['b', 'd'])
    expect(texts(await broker.pop('sql', topic, { exp: 'size > 2', expType: 'SQL92' }))).toEqual(['c', 'd'])
    expect(await broker.committed('tags', topic)).toBe(4)
    expect((await broker.popRaw('bad', topic, { exp: 'size >', expType: 'SQL92' })).code).toBe(23)
  })

  it('begins at the first or the last message of an old queue', async () => {
    const topic = 'begun'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    expect(texts(await broker.pop('first', topic, { initMode: 0 }))).toEqual(['a', 'b', 'c'])
    // A young queue is read from its start, as official brokers do.
    expect(texts(await broker.pop('last', topic, { initMode: 1 }))).toEqual(['a', 'b', 'c'])
  })

  it('follows an operator who resets the group', async () => {
    const topic = 'reset'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    await broker.pop('g', topic)
    await broker.ask(RequestCode.UPDATE_CONSUMER_OFFSET, { consumerGroup: 'g', topic, queueId: 0, commitOffset: 1 })
    expect(texts(await broker.pop('g', topic))).toEqual(['b', 'c'])
  })

  it('can be looked at without taking it', async () => {
    const topic = 'peeked'
    await broker.createTopic(topic)
    await broker.send(topic, 'a')
    const fields = { consumerGroup: 'g', topic, queueId: -1, maxMsgNums: 8 }
    const peeked = await broker.ask(RequestCode.PEEK_MESSAGE, fields)
    expect(peeked).toMatchObject({ code: 0, extFields: { popTime: '0', invisibleTime: '0', restNum: '1' } })
    expect(texts(await broker.pop('g', topic))).toEqual(['a'])
    expect((await broker.ask(RequestCode.PEEK_MESSAGE, fields)).code).toBe(19)
  })
})

describe('a pop in order', () => {
  const order = true

  it('keeps the queue to itself until all is acknowledged, and goes on where it was', async () => {
    const topic = 'ordered'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    const [a, b] = await broker.pop('g', topic, { order, max: 2 })
    expect(parseExtraInfo(a!.handle)?.reviveQueueId).toBe(999)
    expect(await broker.pop('g', topic, { order })).toEqual([])
    await broker.ack('g', a!)
    expect(await broker.committed('g', topic)).toBe(1)
    expect(await broker.pop('g', topic, { order })).toEqual([])
    const waiting = broker.pop('g', topic, { order, pollMs: 5_000 })
    await broker.ack('g', b!)
    expect(texts(await waiting)).toEqual(['c'])
    expect(await broker.committed('g', topic)).toBe(2)
  })

  it('gives the same messages again when their time is over, counting up, but none that is acknowledged', async () => {
    const topic = 'ordered-again'
    await broker.createTopic(topic)
    for (const text of ['a', 'b', 'c']) await broker.send(topic, text)
    const first = await broker.pop('g', topic, { order, invisibleMs: 1_000 })
    await broker.ack('g', first[1]!)
    await broker.restart()
    expect(await broker.pop('g', topic, { order })).toEqual([])
    broker.pass(1_500)
    const answer = await broker.popRaw('g', topic, { order, invisibleMs: 1_000 })
    expect(texts(readPopped(answer))).toEqual(['a', 'c'])
    expect(answer.extFields['orderCountInfo']).toBe('0 qo0%0 1;0 qo0%2 1;0 0 1')
    for (const each of readPopped(answer)) await broker.ack('g', each)
    expect(await broker.committed('g', topic)).toBe(3)
  })

  it('gives the same messages to the same attempt', async () => {
    const topic = 'ordered-attempt'
    await broker.createTopic(topic)
    for (const text of ['a', 'b']) await broker.send(topic, text)
    expect(texts(await broker.pop('g', topic, { order, attemptId: 'one' }))).toEqual(['a', 'b'])
    expect(texts(await broker.pop('g', topic, { order, attemptId: 'one' }))).toEqual(['a', 'b'])
    expect(await broker.pop('g', topic, { order, attemptId: 'two' })).toEqual([])
  })

  it('is blocked as long as its consumer says', async () => {
    const topic = 'ordered-changed'
    await broker.createTopic(topic)
    await broker.send(topic, 'a')
    const [a] = await broker.pop('g', topic, { order, invisibleMs: 1_000 })
    const changed = await broker.change('g', a!, 20_000)
    expect(changed).toMatchObject({ code: 0, extFields: { reviveQid: '999' } })
    broker.pass(10_000)
    expect(await broker.pop('g', topic, { order })).toEqual([])
    const sooner = await broker.change('g', a!, 100)
    expect(sooner.code).toBe(0)
    const waiting = broker.pop('g', topic, { order, pollMs: 5_000 })
    broker.pass(100)
    expect(texts(await waiting)).toEqual(['a'])
  })
})

describe('requests that make no sense', () => {
  it('are answered with the codes of official brokers', async () => {
    const topic = 'senseless'
    await broker.createTopic(topic)
    await broker.send(topic, 'a')
    expect((await broker.popRaw('g', 'nowhere')).code).toBe(17)
    expect((await broker.popRaw('g', topic, { max: 33 })).code).toBe(29)
    expect((await broker.popRaw('g', topic, { queueId: 1 })).code).toBe(29)
    expect((await broker.popRaw('bad group!', topic)).code).toBe(26)
    const [a] = await broker.pop('g', topic)
    const named = handleFields('g', a!)
    const ack = (fields: Record<string, string | number>) =>
      broker.ask(RequestCode.ACK_MESSAGE, { ...named, ...fields })
    expect((await ack({ topic: 'nowhere' })).code).toBe(17)
    expect((await ack({ queueId: 5 })).code).toBe(13)
    expect((await ack({ offset: 9 })).code).toBe(208)
    expect((await ack({ extraInfo: 'nonsense' })).code).toBe(1)
    // Seven fields are a handle too, and one of another pop is void.
    const seven = a!.handle.split(' ').slice(0, 7)
    expect((await ack({ extraInfo: [seven[0], '1', ...seven.slice(2)].join(' ') })).code).toBe(0)
    expect((await ack({ extraInfo: seven.join(' ') })).code).toBe(0)
    const change = { ...named, offset: 1, invisibleTime: 1_000 }
    expect((await broker.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, change)).code).toBe(208)
  })
})
