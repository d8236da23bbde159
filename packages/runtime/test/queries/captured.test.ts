import { readFileSync } from 'node:fs'
import { parseLenientJson, RequestCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Reply } from '../../src/listener/peer.js'
import { createWorld, type World } from '../requests/control-world.js'
import { FakePeer } from '../requests/fake-peer.js'
import { message } from '../requests/memory-message-store.js'

/** One request and what an official name server or broker answered. */
interface Captured {
  readonly name: string
  readonly requestCode: number
  readonly requestExtFields: Readonly<Record<string, string>>
  readonly requestBodyText: string | null
  readonly responseCode: number
  readonly remark: string | null
  readonly responseExtFields: Readonly<Record<string, string>> | null
  readonly bodyText: string | null
}

const vectors = new URL('../../../core/test/vectors/bodies.json', import.meta.url)
const captured = (JSON.parse(readFileSync(vectors, 'utf8')) as { readonly cases: readonly Captured[] }).cases

/** Sends and pulls have tests of their own; the rest belongs to features that answer "not supported" so far. */
const ELSEWHERE = new Set<string>([
  ...captured.filter(({ name }) => /^(SEND|PULL|POP|UNSUPPORTED)/.test(name)).map(({ name }) => name),
  'RUNNING_INFO none',
  'CONSUME_DIRECT',
  'POLLING_INFO',
  'NOTIFICATION',
  'PEEK',
  'ACK bad',
  'QASSIGN',
  'SETMODE',
  'QASSIGN pop',
  'ALLMODE',
  'SETMODE pull',
  // Property filters are off and not implemented: refused with 1, not compiled.
  'CHECK_CLIENT',
  'RECALL',
  'RECALL bad',
  'CONS_STATUS',
  'CLONE',
  // Served by retention, which is with the data path.
  'CLEAN_CQ',
  'DEL_EXPIRED',
  'TIMER_METRICS',
])

/** Objects whose members are data, not structure: only one member's shape is compared. */
const TABLES = new Set([
  'brokerAddrTable',
  'clusterAddrTable',
  'brokerAddrs',
  'topicConfigTable',
  'subscriptionGroupTable',
  'subscriptionTable',
  'offsetTable',
  'groupTopicMap',
  'data',
  'correctionOffsets',
  'consumeStatsList',
])

/** What a JSON value looks like without its data; a number is `1`, a text is ``. */
function shape(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0], name)]
  if (value instanceof Map)
    return [...value]
      .slice(0, 1)
      .map(([key, member]) => ({ key: typeof key === 'object' ? shape(key) : '', value: shape(member) }))
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    if (TABLES.has(name))
      return entries
        .slice(0, 1)
        .map(([, member]) => ({ key: '', value: shape(member, name === 'offsetTable' ? name : '') }))
    return Object.fromEntries(
      entries.map(([key, member]) => [key, key === 'attributes' ? {} : shape(member, key)]).sort(),
    )
  }
  return typeof value === 'number' ? 1 : typeof value === 'string' ? '' : value === null ? null : true
}

function parsed(text: string): unknown {
  const result = parseLenientJson(text)
  return result.ok ? result.value : { unreadable: text }
}

let world: World

beforeAll(async () => {
  world = await createWorld()
  const create = (topic: string) =>
    world.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: '4',
      writeQueueNums: '4',
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      order: 'false',
    })
  await create('TopicTest')
  const uniqueKey = 'FD0000000000000000000000000000026A405FFD2B276FFF8ACB0000'
  const text = `KEYS\u0001key0\u0002UNIQ_KEY\u0001${uniqueKey}\u0002`
  for (let i = 0; i < 5; i++) await world.store.append(message('TopicTest', i === 0 ? { text } : {}))
  for (const level of ['2', '3'])
    await world.store.append(
      world.plane.broker?.delay.schedule(message('TopicTest', { text: `DELAY\u0001${level}\u0002` })) ?? message(''),
    )
  const topic = world.plane.broker?.topicTable.find('TopicTest')
  if (topic) world.counters.put(topic, 5, 500)
  await world.pass(12_000)
  await world.ask(RequestCode.HEART_BEAT, {}, { peer: new FakePeer(), body: JSON.stringify(HEARTBEAT) })
  const commit = { consumerGroup: 'cg', topic: 'TopicTest', queueId: '0', commitOffset: '5' }
  await world.ask(RequestCode.UPDATE_CONSUMER_OFFSET, commit)
})
afterAll(() => world.stop())

const HEARTBEAT = {
  clientID: '192.0.2.2@27200#1578372416256',
  producerDataSet: [{ groupName: 'pg' }, { groupName: 'CLIENT_INNER_PRODUCER' }],
  consumerDataSet: [
    {
      groupName: 'cg',
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      subscriptionDataSet: [
        {
          topic: 'TopicTest',
          subString: '*',
          tagsSet: [],
          codeSet: [],
          subVersion: 1795370222789,
          expressionType: 'TAG',
        },
      ],
    },
  ],
}

describe('answers of an official name server and broker', () => {
  it.each(captured.filter(({ name }) => !ELSEWHERE.has(name)))('$requestCode $name', async expected => {
    const reply = await world.ask(expected.requestCode, expected.requestExtFields, {
      body: expected.requestBodyText ?? undefined,
    })
    expect(reply).toMatchObject({ code: expected.responseCode })
    // The official broker leaves the text of its default in some successful answers.
    if (expected.responseCode !== 0) expect(reply.remark).toBe(expected.remark)
    expect(Object.keys(reply.extFields ?? {}).sort()).toEqual(Object.keys(expected.responseExtFields ?? {}).sort())
    expectSameBody(reply, expected)
  })

  it('leaves no captured request aside by accident', () => {
    const unserved = captured
      .filter(({ requestCode }) => !world.plane.handlers.has(requestCode))
      .map(({ name }) => name)
    expect(unserved.filter(name => !ELSEWHERE.has(name))).toEqual([])
  })
})

function expectSameBody(reply: Reply, { bodyText, name }: Captured): void {
  if (bodyText === null) return
  const text = Buffer.from(reply.body ?? '').toString()
  if (name === 'RUNTIME') {
    const { table } = JSON.parse(text) as { readonly table: Readonly<Record<string, unknown>> }
    for (const value of Object.values(table)) expect(value).toBeTypeOf('string')
    return
  }
  expect(shape(parsed(text))).toEqual(shape(parsed(bodyText)))
}
