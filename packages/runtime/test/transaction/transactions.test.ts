import {
  decodeMessage,
  encodeHeartbeat,
  formatProperties,
  offsetMessageId,
  parseProperties,
  RequestCode,
  ResponseCode,
  type StoredMessage,
} from '@millrace/core'
import type { Appended } from '@millrace/storage'
import { afterEach, describe, expect, it } from 'vitest'
import { halfOf } from '../../src/broker/transaction/half-message.js'
import type { OutgoingRequest, Reply } from '../../src/listener/peer.js'
import { createWorld, type World } from '../requests/control-world.js'
import { command, FakePeer } from '../requests/fake-peer.js'
import { message } from '../requests/memory-message-store.js'

let world: World
afterEach(() => world.stop())

const HALF = 'RMQ_SYS_TRANS_HALF_TOPIC'
const OP = 'RMQ_SYS_TRANS_OP_HALF_TOPIC'
const GIVEN_UP = 'TRANS_CHECK_MAX_TIME_TOPIC'
const COMMIT = 8
const ROLLBACK = 12
const SECOND = 1_000

async function start(options: Parameters<typeof createWorld>[0] = {}): Promise<void> {
  world = await createWorld(options)
}

/** The same broker on what the other left behind; `isKilled`: it had no time to say good-bye. */
async function restart(isKilled = true): Promise<void> {
  const { keyValue, simulation, store, system } = world
  if (isKilled) await simulation.runUntilSettled(system.stop())
  else await world.stop()
  await start({ simulation, keyValue, store })
}

let lastKey = 0
/** Stores a half message the way the send path does. */
async function half(properties: Record<string, string> = {}, queueId = 0): Promise<Appended & { key: string }> {
  const key = `KEY${++lastKey}`
  const text = formatProperties({ UNIQ_KEY: key, TRAN_MSG: 'true', PGROUP: 'shop', ...properties })
  const appended = await world.store.append(
    halfOf(message('orders', { queueId, body: Buffer.from(key), text }), 'shop'),
  )
  return { ...appended, key }
}

function fields(at: Appended, commitOrRollback: number, more: Record<string, string> = {}): Record<string, string> {
  return {
    producerGroup: 'shop',
    tranStateTableOffset: String(at.queueOffset),
    commitLogOffset: String(at.position),
    commitOrRollback: String(commitOrRollback),
    fromTransactionCheck: 'false',
    msgId: 'unused',
    ...more,
  }
}

function end(at: Appended, commitOrRollback: number, more: Record<string, string> = {}): Promise<Reply> {
  return world.ask(RequestCode.END_TRANSACTION, fields(at, commitOrRollback, more))
}

/** A producer of a group, online from now on. */
async function producer(group = 'shop'): Promise<FakePeer> {
  const peer = new FakePeer()
  const heartbeat = {
    clientID: `client-${peer.id}`,
    producerDataSet: [{ groupName: group }],
    consumerDataSet: [],
    heartbeatFingerprint: 0,
    withoutSub: false,
  }
  const reply = await world.ask(RequestCode.HEART_BEAT, {}, { body: encodeHeartbeat(heartbeat), peer })
  expect(reply.code).toBe(0)
  peer.notified.length = 0
  return peer
}

const delivered = (queueId = 0) => world.store.messages('orders', queueId)
const keys = (messages: readonly StoredMessage[]) => messages.map(({ body }) => body.toString())
const checksOf = (peer: FakePeer): OutgoingRequest[] =>
  peer.notified.filter(({ code }) => code === RequestCode.CHECK_TRANSACTION_STATE)
/** Halves that an op record marks. */
const marked = () =>
  world.store
    .messages(OP, 0)
    .flatMap(({ body }) => body.toString().split(',').filter(Boolean).map(Number))
    .sort((a, b) => a - b)

describe('a half message', () => {
  it('is stored for later, as RocketMQ stores it', async () => {
    await start()
    await half({ TAGS: 'a' }, 3)
    const [stored] = world.store.messages(HALF, 0)
    expect(parseProperties(stored!.properties)).toMatchObject({
      REAL_TOPIC: 'orders',
      REAL_QID: '3',
      PGROUP: 'shop',
      TRAN_MSG: 'true',
      TAGS: 'a',
    })
    expect(stored!.sysFlag & 12).toBe(0)
  })
})

describe('ending a transaction', () => {
  it('by a commit delivers the message and marks the half message', async () => {
    await start()
    await half()
    const at = await half({ TAGS: 'a' }, 2)
    expect(await end(at, COMMIT)).toEqual({ code: 0 })
    await world.pass(10)
    const [message] = delivered(2)
    expect(message).toMatchObject({ topic: 'orders', queueId: 2, preparedTransactionOffset: at.position, sysFlag: 8 })
    expect(message!.body.toString()).toBe(at.key)
    const properties = parseProperties(message!.properties)
    expect(properties).toMatchObject({ UNIQ_KEY: at.key, TRAN_MSG: 'true', TAGS: 'a' })
    expect(properties).not.toHaveProperty('REAL_TOPIC')
    const [op] = world.store.messages(OP, 0)
    expect(op!.body.toString()).toBe('1')
    expect(parseProperties(op!.properties)).toEqual({ TAGS: 'd' })
  })

  it('by a rollback delivers nothing', async () => {
    await start()
    expect(await end(await half(), ROLLBACK)).toEqual({ code: 0 })
    await world.pass(10)
    expect(delivered()).toEqual([])
    expect(marked()).toEqual([0])
  })

  it('is not answered while the producer does not know', async () => {
    await start()
    const at = await half()
    let isAnswered = false
    const handler = world.plane.handlers.get(RequestCode.END_TRANSACTION)!
    void world.peer.ask(handler, command(RequestCode.END_TRANSACTION, fields(at, 0))).then(() => {
      isAnswered = true
    })
    await world.pass(100)
    expect(isAnswered).toBe(false)
    expect(await end(at, COMMIT)).toEqual({ code: 0 })
  })

  it('happens once, however often it is asked for', async () => {
    await start()
    const [committed, rolledBack] = [await half(), await half()]
    const answers = await Promise.all([
      end(committed, COMMIT),
      end(committed, COMMIT, { fromTransactionCheck: 'true' }),
      end(committed, ROLLBACK),
      end(rolledBack, ROLLBACK),
      end(rolledBack, COMMIT),
      end(rolledBack, ROLLBACK),
    ])
    expect(answers.map(({ code }) => code)).toEqual([0, 0, ResponseCode.ILLEGAL_OPERATION, 0, 604, 0])
    expect(answers[2]?.remark).toContain('a transaction ends once')
    await world.pass(10)
    expect((await end(committed, COMMIT)).code).toBe(0)
    expect((await end(committed, ROLLBACK)).remark).toContain('has been committed')
    await restart()
    expect((await end(committed, COMMIT)).code).toBe(0)
    expect((await end(committed, ROLLBACK)).code).toBe(604)
    expect((await end(rolledBack, COMMIT)).code).toBe(604)
    expect((await end(rolledBack, ROLLBACK)).code).toBe(0)
    await world.pass(10)
    expect(keys(delivered())).toEqual([committed.key])
    expect(marked()).toEqual([0, 1])
  })

  it('of many in one go marks them together', async () => {
    await start()
    const all = []
    for (let i = 0; i < 2000; i++) all.push(await half())
    await Promise.all(all.map(at => end(at, COMMIT)))
    await world.pass(10)
    expect(delivered().length).toBe(2000)
    expect(marked()).toEqual(all.map(({ queueOffset }) => queueOffset))
    const ops = world.store.messages(OP, 0)
    expect(Math.max(...ops.map(({ body }) => body.length))).toBeLessThanOrEqual(4096)
  })

  it('is refused for another group, another offset, or no half message at all', async () => {
    await start()
    const at = await half()
    const plain = await world.store.append(message('orders', { text: 'UNIQ_KEY\u0001x\u0002' }))
    const wrong = [
      await end(at, COMMIT, { producerGroup: 'thief' }),
      await end(at, COMMIT, { tranStateTableOffset: '5' }),
      await end(plain, COMMIT),
      await end({ ...at, position: 9_999_999 }, COMMIT),
      await end(at, COMMIT, { commitLogOffset: '-1' }),
      await end(at, COMMIT, { commitLogOffset: 'x' }),
      await end(at, COMMIT, { producerGroup: '' }),
    ]
    expect(wrong.map(({ code }) => code)).toEqual(Array(7).fill(ResponseCode.SYSTEM_ERROR))
    expect(wrong.map(({ remark }) => remark).slice(0, 4)).toEqual([
      'The producer group wrong',
      'The transaction state table offset wrong',
      'Find prepared transaction message failed',
      'Find prepared transaction message failed',
    ])
    expect(delivered().length).toBe(1)
  })

  it('is refused after the time that the producer set itself, unless a check asks', async () => {
    await start()
    const at = await half({ CHECK_IMMUNITY_TIME_IN_SECONDS: '20' })
    await world.pass(21 * SECOND)
    expect((await end(at, COMMIT)).code).toBe(ResponseCode.ILLEGAL_OPERATION)
    expect((await end(at, COMMIT, { fromTransactionCheck: 'true' })).code).toBe(0)
  })

  it('can be tried again when the disk was full', async () => {
    await start()
    const [committed, rolledBack] = [await half(), await half()]
    world.store.isFull = true
    expect((await end(committed, COMMIT)).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
    expect((await end(rolledBack, ROLLBACK)).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
    world.store.isFull = false
    await world.pass(2 * SECOND)
    expect((await end(committed, COMMIT)).code).toBe(0)
    expect((await end(rolledBack, COMMIT)).code).toBe(0)
    await world.pass(10)
    expect(keys(delivered())).toEqual([committed.key, rolledBack.key])
  })

  it('of a delayed message begins its delay', async () => {
    await start()
    const at = await half({ DELAY: '2' })
    await end(at, COMMIT)
    await world.pass(4_900)
    expect(delivered()).toEqual([])
    await world.pass(200)
    expect(keys(delivered())).toEqual([at.key])
  })
})

describe('check-backs', () => {
  it('come at each round after the time-out, with the message as it was sent', async () => {
    await start()
    const peer = await producer()
    await world.pass(25 * SECOND)
    const young = await half({}, 1)
    await world.pass(5 * SECOND + 5)
    expect(checksOf(peer)).toEqual([])
    await world.pass(30 * SECOND)
    const [check, ...more] = checksOf(peer)
    expect(more).toEqual([])
    expect(check!.extFields).toMatchObject({
      topic: 'orders',
      tranStateTableOffset: String(young.queueOffset),
      commitLogOffset: String(young.position),
      msgId: young.key,
      transactionId: young.key,
      offsetMsgId: offsetMessageId({ host: '127.0.0.1', port: 10911 }, young.position),
    })
    const body = Buffer.from(check!.body!)
    const decoded = decodeMessage(body, 0, body.length)
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(decoded.message).toMatchObject({ topic: 'orders', queueId: 1, queueOffset: 0 })
    expect(parseProperties(decoded.message.properties)).toMatchObject({ TRANSACTION_CHECK_TIMES: '1', PGROUP: 'shop' })
    await world.pass(30 * SECOND)
    expect(checksOf(peer).length).toBe(2)
    await end(young, COMMIT, { fromTransactionCheck: 'true' })
    await world.pass(90 * SECOND)
    expect(checksOf(peer).length).toBe(2)
    expect(keys(delivered(1))).toEqual([young.key])
  })

  it('wait for the time that the producer asked for, and do not hold back others', async () => {
    await start()
    const peer = await producer()
    const patient = await half({ CHECK_IMMUNITY_TIME_IN_SECONDS: '70' })
    const plain = await half()
    await world.pass(61 * SECOND)
    const asked = () => checksOf(peer).map(({ extFields }) => extFields!['msgId'])
    expect(asked()).toEqual([plain.key, plain.key])
    await world.pass(30 * SECOND)
    expect(asked()).toEqual([plain.key, plain.key, patient.key, plain.key])
  })

  it('go to the members of the group in turn', async () => {
    await start()
    const peers = [await producer(), await producer(), await producer('other')]
    for (let i = 0; i < 10; i++) await half()
    await world.pass(31 * SECOND)
    expect(peers.map(peer => checksOf(peer).length)).toEqual([5, 5, 0])
    peers[0]!.close()
    await world.pass(30 * SECOND)
    expect(peers.map(peer => checksOf(peer).length)).toEqual([5, 15, 0])
  })

  it('count when they reach a producer; then the message is given up, and kept where it can be found', async () => {
    await start({ broker: { transactionCheckMax: 3 } })
    const at = await half()
    await world.pass(300 * SECOND)
    expect(world.store.messages(GIVEN_UP, 0)).toEqual([])
    const peer = await producer()
    await world.pass(95 * SECOND)
    expect(checksOf(peer).length).toBe(3)
    await world.pass(31 * SECOND)
    expect(checksOf(peer).length).toBe(3)
    const [givenUp] = world.store.messages(GIVEN_UP, 0)
    expect(givenUp!.body.toString()).toBe(at.key)
    expect(parseProperties(givenUp!.properties)).toMatchObject({ TRANSACTION_CHECK_TIMES: '3', REAL_TOPIC: 'orders' })
    expect(world.plane.broker!.topics.find(GIVEN_UP)).toMatchObject({ writeQueueNums: 1, perm: 6 })
    expect(marked()).toEqual([0])
    expect((await end(at, COMMIT)).remark).toContain('given up')
    expect(delivered()).toEqual([])
  })

  it('keep their count over a restart', async () => {
    await start({ broker: { transactionCheckMax: 3 } })
    await half()
    let peer = await producer()
    await world.pass(70 * SECOND)
    expect(checksOf(peer).length).toBe(2)
    const { keyValue, simulation, store, system } = world
    await simulation.runUntilSettled(system.stop())
    await start({ broker: { transactionCheckMax: 3 }, keyValue, simulation, store })
    peer = await producer()
    await world.pass(61 * SECOND)
    expect(checksOf(peer).length).toBe(1)
    expect(world.store.messages(GIVEN_UP, 0).length).toBe(1)
  })

  it('end for messages older than the log is kept, without anybody to ask', async () => {
    await start({ broker: { fileReservedTime: 1 } })
    await half()
    await world.pass(3_599 * SECOND)
    expect(world.store.messages(GIVEN_UP, 0)).toEqual([])
    await world.pass(60 * SECOND)
    expect(world.store.messages(GIVEN_UP, 0).length).toBe(1)
  })

  it('of very many come in slices, one each', async () => {
    await start()
    const peer = await producer()
    for (let i = 0; i < 1000; i++) await half()
    await world.pass(59 * SECOND)
    expect(new Set(checksOf(peer).map(({ extFields }) => extFields!['msgId'])).size).toBe(1000)
    expect(checksOf(peer).length).toBe(1000)
  })
})

describe('after a crash', () => {
  it('what was delivered without its op record is marked, not delivered again', async () => {
    await start()
    const all = [await half(), await half(), await half()]
    await end(all[0]!, COMMIT)
    await world.pass(10)
    // Killed between the message and its op record.
    const [committed] = delivered()
    const record = world.store.record(all[2]!.position)!
    const decoded = decodeMessage(record, 0, record.length)
    if (!decoded.ok) throw new Error(decoded.reason)
    await world.store.append({
      ...committed!,
      body: decoded.message.body,
      properties: Buffer.from(formatProperties({ UNIQ_KEY: all[2]!.key })),
      preparedTransactionOffset: all[2]!.position,
    })
    await restart()
    await world.pass(10)
    expect(marked()).toEqual([0, 2])
    expect((await end(all[2]!, COMMIT)).code).toBe(0)
    expect((await end(all[2]!, ROLLBACK)).code).toBe(604)
    expect((await end(all[1]!, COMMIT)).code).toBe(0)
    await world.pass(10)
    expect(keys(delivered())).toEqual([all[0]!.key, all[2]!.key, all[1]!.key])
  })

  it.each([true, false])('ended ones stay ended, from checkpoints and without (%s)', async hasCheckpoints => {
    await start()
    const all = []
    for (let i = 0; i < 300; i++) all.push(await half())
    const peer = await producer()
    for (const [i, at] of all.entries()) {
      if (i % 3 < 2) await end(at, i % 3 === 0 ? COMMIT : ROLLBACK)
      if (hasCheckpoints && i === 150) await world.pass(6 * SECOND)
    }
    await world.pass(10)
    await restart()
    expect(world.plane.broker!.transactions.pending()).toBe(100)
    for (const at of all) await end(at, COMMIT)
    await world.pass(10)
    expect(new Set(keys(delivered())).size).toBe(200)
    expect(delivered().length).toBe(200)
    expect(marked().length).toBe(300)
    expect(checksOf(peer)).toEqual([])
  })

  it('states that are ahead of a log without its tail are not believed', async () => {
    await start()
    const first = await half()
    await end(first, COMMIT)
    await world.pass(6 * SECOND)
    const { keyValue, simulation, store, system } = world
    await simulation.runUntilSettled(system.stop())
    const shorter = new (store.constructor as new (clock: typeof simulation.clock) => typeof store)(simulation.clock)
    await start({ keyValue, simulation, store: shorter })
    const again = await half()
    expect(again.queueOffset).toBe(0)
    expect((await end(again, COMMIT)).code).toBe(0)
    await world.pass(10)
    expect(keys(delivered())).toEqual([again.key])
  })

  it('of an Apache broker, only the last copy of a half message counts', async () => {
    await start()
    const copies = async (key: string, checks: readonly number[]): Promise<Appended> => {
      const properties = (times: number) => (times > 0 ? { TRANSACTION_CHECK_TIMES: String(times) } : {})
      let last: Appended | undefined
      for (const times of checks) last = await half({ UNIQ_KEY: key, ...properties(times) })
      return last!
    }
    const open = await copies('open', [0, 1, 2])
    const ended = await copies('ended', [0, 1])
    const op = { text: 'TAGS\u0001d\u0002', body: Buffer.from(`${ended.queueOffset},`) }
    await world.store.append(message(OP, op))
    const { simulation, store, system } = world
    await simulation.runUntilSettled(system.stop())
    await start({ simulation, store })
    await world.pass(10)
    expect(world.plane.broker!.transactions.pending()).toBe(1)
    expect((await end({ ...open, position: 0, queueOffset: 0 }, COMMIT)).code).toBe(604)
    expect((await end(open, COMMIT)).code).toBe(0)
    await world.pass(10)
    expect(delivered().length).toBe(1)
    expect(marked()).toEqual([0, 1, 2, 3, 4])
  })

  it('a stop in between leaves nothing behind', async () => {
    await start()
    const all = [await half(), await half()]
    await end(all[0]!, COMMIT)
    await restart(false)
    expect(marked()).toEqual([0])
    expect((await end(all[1]!, COMMIT)).code).toBe(0)
    await world.pass(10)
    expect(keys(delivered())).toEqual([all[0]!.key, all[1]!.key])
  })
})

describe('resuming a given-up half message', () => {
  it('makes it a half message again, once', async () => {
    await start({ broker: { transactionCheckMax: 1 } })
    await half()
    const peer = await producer()
    await world.pass(70 * SECOND)
    const [givenUp] = world.store.messages(GIVEN_UP, 0)
    const msgId = offsetMessageId(givenUp!.storeHost, givenUp!.commitLogOffset)
    expect((await world.ask(RequestCode.RESUME_CHECK_HALF_MESSAGE, { topic: GIVEN_UP, msgId })).code).toBe(0)
    expect((await world.ask(RequestCode.RESUME_CHECK_HALF_MESSAGE, { topic: GIVEN_UP, msgId })).code).toBe(1)
    peer.notified.length = 0
    await world.pass(31 * SECOND)
    const [check] = checksOf(peer)
    expect(check!.extFields!['tranStateTableOffset']).toBe('1')
    const reply = await world.ask(
      RequestCode.END_TRANSACTION,
      { ...check!.extFields, producerGroup: 'shop', commitOrRollback: '8', fromTransactionCheck: 'true' },
      {},
    )
    expect(reply.code).toBe(0)
    await world.pass(10)
    expect(delivered().length).toBe(1)
    await restart()
    expect((await world.ask(RequestCode.RESUME_CHECK_HALF_MESSAGE, { topic: GIVEN_UP, msgId })).code).toBe(1)
  })

  it('gives an undecided one its checks anew, and refuses what is none', async () => {
    await start({ broker: { transactionCheckMax: 2 } })
    const at = await half()
    const peer = await producer()
    await world.pass(61 * SECOND)
    const id = (position: number) => offsetMessageId({ host: '127.0.0.1', port: 1 }, position)
    const resume = (msgId: string) => world.ask(RequestCode.RESUME_CHECK_HALF_MESSAGE, { topic: HALF, msgId })
    expect((await resume(id(at.position))).code).toBe(0)
    await world.pass(30 * SECOND)
    expect(checksOf(peer).length).toBe(3)
    await end(at, COMMIT)
    await world.pass(10)
    expect((await resume(id(at.position))).remark).toContain('not undecided')
    expect((await resume(id(5))).code).toBe(1)
    expect((await resume('nonsense')).code).toBe(1)
  })
})
