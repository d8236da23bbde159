import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@millrace/client'
import {
  decodeMessages,
  formatProperties,
  parseProperties,
  parseRecallHandle,
  type RemotingCommand,
  RequestCode,
  type Serialization,
  type StoredMessage,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { type Service, startService } from '@millrace/runtime'
import { loadConfig } from '@millrace/runtime/config'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FrameClient } from '../faults/frame-client.js'

const directory = mkdtempSync(join(tmpdir(), 'millrace-timers-'))
let service: Service
let raw: FrameClient
let client: Client

async function start(): Promise<void> {
  const settings = {
    storePathRootDir: directory,
    'broker.listenPort': 0,
    'nameserver.listenPort': 0,
    flushDiskType: 'ASYNC_FLUSH',
    timerMaxDelaySec: 1000,
  }
  const flags = Object.entries(settings).map(([key, value]) => ({ key, value, origin: 'test' }))
  service = await startService(loadConfig({ flags }), nodeEnvironment())
  raw = await FrameClient.connect(service.addresses.broker ?? '')
  client = await Client.connect({ nameservers: service.addresses.nameserver ?? '' })
}

async function stop(): Promise<void> {
  raw.close()
  await client.close()
  await service.stop()
}

beforeAll(start)
afterAll(async () => {
  await stop()
  rmSync(directory, { recursive: true, force: true })
})

let sent = 0
function send(
  topic: string,
  properties: Record<string, string>,
  options: { readonly serialization?: Serialization; readonly body?: string; readonly code?: number } = {},
): Promise<RemotingCommand> {
  const fields = {
    ...{ a: 'p', b: topic, c: 'TBW102', d: '1', e: '0', f: '0', g: '1700000000000', h: '0', j: '0', k: 'false' },
    i: formatProperties({ UNIQ_KEY: `K${++sent}`, ...properties }),
    m: 'false',
  }
  const { body = 'body', code = RequestCode.SEND_MESSAGE_V2, serialization } = options
  return raw.ask({ code, extFields: fields, body: Buffer.from(body), ...(serialization && { serialization }) })
}

async function pull(topic: string): Promise<StoredMessage[]> {
  const answer = await raw.ask({
    code: RequestCode.PULL_MESSAGE,
    extFields: {
      consumerGroup: 'readers',
      topic,
      queueId: '0',
      queueOffset: '0',
      maxMsgNums: '32',
      sysFlag: '4',
      commitOffset: '0',
      suspendTimeoutMillis: '0',
      subscription: '*',
      subVersion: '1',
      expressionType: 'TAG',
    },
  })
  const decoded = decodeMessages(answer.body ?? Buffer.alloc(0))
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.messages
}

async function until<T>(look: () => Promise<T>, isRight: (seen: T) => boolean, deadlineMs = 5000): Promise<T> {
  const end = Date.now() + deadlineMs
  for (;;) {
    const seen = await look()
    if (isRight(seen) || Date.now() > end) return seen
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
const arrived = (topic: string, count: number) =>
  until(
    () => pull(topic),
    messages => messages.length >= count,
  )

describe('timers over the wire', () => {
  // The first message creates the topic on the general path; the second one goes the hot path.
  it.each(['JSON', 'ROCKETMQ'] as const)('come at their time (%s header)', async serialization => {
    const topic = `timed-${serialization}`
    await send(topic, { TIMER_DELAY_MS: '1' })
    const due = Date.now() + 150
    const answer = await send(topic, { TIMER_DELIVER_MS: String(due), UNIQ_KEY: 'U', TAGS: 'red' }, { serialization })
    expect(answer).toMatchObject({ code: 0, extFields: { queueId: '0', transactionId: 'U' } })
    expect(parseRecallHandle(answer.extFields['recallHandle'] ?? '')).toEqual({
      topic,
      brokerName: 'broker-a',
      deliverTime: due,
      uniqueKey: 'U',
    })
    const [, message] = await arrived(topic, 2)
    expect(message?.storeTimestamp).toBeGreaterThanOrEqual(due)
    expect(parseProperties(message?.properties ?? '')).toMatchObject({
      TAGS: 'red',
      TIMER_DELIVER_MS: String(due),
      TIMER_OUT_MS: String(due - 1),
      REAL_TOPIC: topic,
      REAL_QID: '0',
      CLUSTER: 'DefaultCluster',
      MSG_REGION: 'DefaultRegion',
    })
  })

  it('take the delay levels, both ways', async () => {
    for (const [level, isHot] of [
      ['1', false],
      ['1', true],
      ['99', true],
    ] as const) {
      const answer = await send('levels', { DELAY: level })
      expect(answer.code, String(isHot)).toBe(0)
      expect(answer.extFields).not.toHaveProperty('recallHandle')
    }
    const messages = await arrived('levels', 2)
    expect(messages).toHaveLength(2)
    for (const message of messages)
      expect(parseProperties(message.properties)).toMatchObject({ DELAY: '1', REAL_TOPIC: 'levels', REAL_QID: '0' })
  })

  it('are refused beyond the limit, without a number, and in batches', async () => {
    await send('limits', {})
    const far = await send('limits', { TIMER_DELAY_SEC: '1001' })
    expect(far).toMatchObject({ code: 13 })
    expect(far.remark).toContain('timerMaxDelaySec=1000')
    expect(await send('limits', { TIMER_DELIVER_MS: 'tomorrow' })).toMatchObject({ code: 13 })
    expect(await send('limits', { MILLRACE_CRON: '61 * * * *' })).toMatchObject({ code: 13 })
    expect(await send('limits', { MILLRACE_REPEAT_MS: '5' })).toMatchObject({ code: 13 })
    expect(await send('limits', { MILLRACE_TTL_MS: '0' })).toMatchObject({ code: 13 })
    expect(await pull('limits')).toHaveLength(1)
  })

  it('stores a message whose time has passed at once', async () => {
    await send('past', {})
    await send('past', { TIMER_DELIVER_MS: '1000' })
    expect(await pull('past')).toHaveLength(2)
  })

  it('takes no message for its own topic', async () => {
    expect(await send('rmq_sys_wheel_timer', { TIMER_OUT_MS: '1', REAL_TOPIC: 'limits' })).toMatchObject({ code: 16 })
  })
})

describe('our client', () => {
  it('sends for a time, takes back, and survives a restart', async () => {
    const producer = client.producer()
    await producer.send({ topic: 'planned', body: 'now' })
    const queue = (await producer.queues('planned')).find(({ queueId }) => queueId === 0)
    const due = Date.now() + 1500
    await producer.send({ topic: 'planned', body: 'kept', deliverAt: due }, { queue })
    const { recallHandle, messageId } = await producer.send({ topic: 'planned', body: 'not', delayMs: 1500 }, { queue })
    const far = await producer.send({ topic: 'planned', body: 'not either', delayMs: 600_000 }, { queue })
    expect(await producer.recall(recallHandle ?? '')).toBe(messageId)
    await stop()
    await start()
    // The first write waits for the broker's threads, which may take longer than our client's patience.
    await send('planned', {})
    expect(await client.producer().recall(far.recallHandle ?? '')).toBe(far.messageId)
    const messages = await until(
      () => pull('planned'),
      seen => seen.some(({ body }) => body.toString() === 'kept'),
    )
    expect(messages.find(({ body }) => body.toString() === 'kept')?.storeTimestamp).toBeGreaterThanOrEqual(due)
    await new Promise(resolve => setTimeout(resolve, Math.max(0, due + 400 - Date.now())))
    expect((await pull('planned')).map(({ body }) => body.toString())).not.toContain('not')
    await expect(client.producer().recall('nonsense')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(client.producer().recall(recallHandle ?? '')).rejects.toMatchObject({ responseCode: 604 })
  })

  it('lets messages expire, delayed ones from their delivery on', async () => {
    const producer = client.producer()
    await producer.send({ topic: 'fresh', body: 'first' })
    const queue = (await producer.queues('fresh')).find(({ queueId }) => queueId === 0)
    await producer.send({ topic: 'fresh', body: 'short', ttlMs: 200 }, { queue })
    await producer.send({ topic: 'fresh', body: 'long', ttlMs: 60_000 }, { queue })
    await producer.send({ topic: 'fresh', body: 'delayed', ttlMs: 60_000, delayMs: 300 }, { queue })
    const bodies = async () => (await pull('fresh')).map(({ body }) => body.toString()).filter(body => body !== 'first')
    expect(await bodies()).toEqual(['short', 'long'])
    expect(await until(bodies, seen => seen.includes('delayed'))).toEqual(['long', 'delayed'])
  })

  it('repeats until it is told to stop', async () => {
    const producer = client.producer()
    await producer.send({ topic: 'again', body: 'first' })
    const queue = (await producer.queues('again')).find(({ queueId }) => queueId === 0)
    const { recallHandle } = await producer.send(
      { topic: 'again', body: 'tick', repeat: { everyMs: 1000 }, delayMs: 10 },
      { queue },
    )
    const ticks = async () => (await pull('again')).filter(({ body }) => body.toString() === 'tick')
    const seen = await until(ticks, messages => messages.length >= 2)
    expect(seen).toHaveLength(2)
    const keys = seen.map(({ properties }) => parseProperties(properties)['UNIQ_KEY'])
    expect(new Set(keys).size).toBe(2)
    await producer.recall(recallHandle ?? '')
    await new Promise(resolve => setTimeout(resolve, 1200))
    expect(await ticks()).toHaveLength(2)
  })
})
