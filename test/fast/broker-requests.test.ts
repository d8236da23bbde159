import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  decodeFrame,
  decodeMessages,
  type Environment,
  encodeBatch,
  encodeRequest,
  FrameReader,
  formatProperties,
  memoryNet,
  type NetConnection,
  offsetMessageId,
  parseProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type Serialization,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { type Service, startService } from '@millrace/runtime'
import { loadConfig } from '@millrace/runtime/config'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Speaks raw frames to the broker, as a client nobody here wrote would. */
class RawClient {
  private readonly waiting = new Map<number, (answer: RemotingCommand) => void>()
  private readonly reader = new FrameReader()
  private opaque = 0
  isClosed = false

  constructor(readonly net: NetConnection) {
    net.start({
      data: chunk => {
        this.reader.feed(chunk)
        while (this.reader.next()) {
          const { buffer, start, end } = this.reader
          const decoded = decodeFrame(Buffer.from(buffer.subarray(start, end)), 0, end - start)
          if (decoded.ok) this.waiting.get(decoded.command.opaque)?.(decoded.command)
        }
      },
      drain: () => {},
      close: () => {
        this.isClosed = true
      },
    })
  }

  call(
    code: number,
    extFields: Record<string, string>,
    body?: Buffer,
    serialization: Serialization = 'JSON',
  ): Promise<RemotingCommand> {
    const opaque = ++this.opaque
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${code}`)), 8000)
      this.waiting.set(opaque, answer => {
        clearTimeout(timer)
        resolve(answer)
      })
      this.net.write(encodeRequest({ code, opaque, extFields, body, serialization }))
    })
  }

  send(
    topic: string,
    body: Buffer | string,
    options: {
      queueId?: number
      properties?: Record<string, string>
      code?: number
      serialization?: Serialization
      extra?: Record<string, string>
    } = {},
  ): Promise<RemotingCommand> {
    const {
      queueId = 0,
      properties = { UNIQ_KEY: 'U1' },
      code = RequestCode.SEND_MESSAGE_V2,
      serialization,
      extra,
    } = options
    const fields = {
      a: 'producers',
      b: topic,
      c: 'TBW102',
      d: '4',
      e: String(queueId),
      f: '0',
      g: '1700000000000',
      h: '0',
      i: formatProperties(properties),
      j: '0',
      k: 'false',
      m: String(code === RequestCode.SEND_BATCH_MESSAGE),
      ...extra,
    }
    return this.call(code, fields, Buffer.from(body), serialization)
  }

  pull(
    topic: string,
    offset: number,
    options: {
      queueId?: number
      group?: string
      subscription?: string
      suspendMs?: number
      max?: number
      serialization?: Serialization
    } = {},
  ): Promise<RemotingCommand> {
    const { queueId = 0, group = 'readers', subscription = '*', suspendMs = 0, max = 32, serialization } = options
    const fields = {
      consumerGroup: group,
      topic,
      queueId: String(queueId),
      queueOffset: String(offset),
      maxMsgNums: String(max),
      sysFlag: String(4 | (suspendMs > 0 ? 2 : 0)),
      commitOffset: '0',
      suspendTimeoutMillis: String(suspendMs),
      subscription,
      subVersion: '1',
      expressionType: 'TAG',
    }
    return this.call(RequestCode.PULL_MESSAGE, fields, undefined, serialization)
  }
}

function bodies(answer: RemotingCommand): string[] {
  const decoded = decodeMessages(answer.body ?? Buffer.alloc(0))
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.messages.map(message => message.body.toString())
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-requests-'))
let environment: Environment
let service: Service
let client: RawClient

beforeAll(async () => {
  const real = nodeEnvironment()
  environment = { ...real, net: memoryNet(real.scheduler) }
  const config = {
    storePathRootDir: directory,
    'broker.listenPort': 0,
    'nameserver.listenPort': 0,
    flushDiskType: 'ASYNC_FLUSH',
    mapedFileSizeCommitLog: 64 * 1024 * 1024,
  }
  service = await startService(
    loadConfig({ flags: Object.entries(config).map(([key, value]) => ({ key, value, origin: 'test' })) }),
    environment,
  )
  client = await connect()
})
afterAll(async () => {
  await service.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function connect(): Promise<RawClient> {
  const [host, port] = service.addresses.broker!.split(':')
  return new RawClient(await environment.net.connect({ host: host!, port: Number(port) }))
}

describe.each(['JSON', 'ROCKETMQ'] as const)('sends and pulls with %s headers', serialization => {
  const topic = `both-${serialization}`

  it('stores a message, answers with its ids, and gives it back as it was', async () => {
    await client.send(topic, 'make the topic', { serialization })
    const sent = await client.send(topic, 'hello', {
      serialization,
      properties: { UNIQ_KEY: 'KEY-1', TAGS: 'a', color: 'blue é' },
    })
    expect(sent).toMatchObject({
      code: 0,
      serialization,
      extFields: {
        queueId: '0',
        queueOffset: '1',
        transactionId: 'KEY-1',
        MSG_REGION: 'DefaultRegion',
        TRACE_ON: 'true',
      },
    })
    const pulled = await client.pull(topic, 1, { serialization })
    expect(pulled).toMatchObject({
      code: 0,
      remark: 'FOUND',
      serialization,
      extFields: { nextBeginOffset: '2', minOffset: '0', maxOffset: '2', suggestWhichBrokerId: '0' },
    })
    const decoded = decodeMessages(pulled.body!)
    if (!decoded.ok) throw new Error(decoded.reason)
    const [message] = decoded.messages
    expect(message).toMatchObject({ topic, queueId: 0, queueOffset: 1, bornTimestamp: 1_700_000_000_000 })
    expect(parseProperties(message!.properties)).toEqual({
      UNIQ_KEY: 'KEY-1',
      TAGS: 'a',
      color: 'blue é',
      CLUSTER: 'DefaultCluster',
      MSG_REGION: 'DefaultRegion',
      TRACE_ON: 'true',
    })
    expect(sent.extFields['msgId']).toBe(offsetMessageId(message!.storeHost, message!.commitLogOffset))
  })

  it('takes a batch as single messages at consecutive offsets', async () => {
    const batch = encodeBatch(
      ['x', 'y', 'z'].map((body, i) => ({
        flag: i,
        body: Buffer.from(body),
        properties: Buffer.from(formatProperties({ UNIQ_KEY: `B${i}` })),
      })),
    )
    const sent = await client.send(topic, batch, {
      serialization,
      code: RequestCode.SEND_BATCH_MESSAGE,
      properties: {},
    })
    expect(sent).toMatchObject({ code: 0, extFields: { queueOffset: '2', transactionId: 'B0,B1,B2' } })
    expect(sent.extFields['msgId']!.split(',').length).toBe(3)
    expect(bodies(await client.pull(topic, 2, { serialization }))).toEqual(['x', 'y', 'z'])
  })
})

describe('pulls', () => {
  it('answer what RocketMQ answers outside of a queue', async () => {
    await client.send('bounds', 'one')
    expect(await client.pull('bounds', 5)).toMatchObject({
      code: ResponseCode.PULL_OFFSET_MOVED,
      remark: 'OFFSET_OVERFLOW_BADLY',
      extFields: { nextBeginOffset: '1' },
    })
    expect(await client.pull('bounds', 1)).toMatchObject({
      code: ResponseCode.PULL_NOT_FOUND,
      remark: 'OFFSET_OVERFLOW_ONE',
    })
    expect(await client.pull('bounds', 0, { queueId: 1 })).toMatchObject({
      code: ResponseCode.PULL_NOT_FOUND,
      remark: 'NO_MESSAGE_IN_QUEUE',
    })
    expect(await client.pull('bounds', 3, { queueId: 1 })).toMatchObject({
      code: ResponseCode.PULL_OFFSET_MOVED,
      extFields: { nextBeginOffset: '0' },
    })
    expect(await client.pull('bounds', 0, { queueId: 99 })).toMatchObject({ code: ResponseCode.INVALID_PARAMETER })
    expect(await client.pull('nowhere', 0)).toMatchObject({ code: ResponseCode.TOPIC_NOT_EXIST })
  })

  it('give only messages with a tag that was asked for, and go on behind the others', async () => {
    for (const [i, tag] of ['red', 'blue', 'red', 'green', 'blue'].entries())
      await client.send('tags', `${i}`, { properties: { UNIQ_KEY: `T${i}`, TAGS: tag } })
    const answer = await client.pull('tags', 0, { subscription: 'red || green' })
    expect(bodies(answer)).toEqual(['0', '2', '3'])
    expect(answer.extFields['nextBeginOffset']).toBe('5')
    expect(await client.pull('tags', 0, { subscription: 'black' })).toMatchObject({
      code: ResponseCode.PULL_RETRY_IMMEDIATELY,
      extFields: { nextBeginOffset: '5' },
    })
  })

  it('wait for the next message, and only as long as asked', async () => {
    await client.send('waiting', 'first')
    const began = performance.now()
    const held = client.pull('waiting', 1, { suspendMs: 7000 })
    await client.send('waiting', 'second')
    expect(bodies(await held)).toEqual(['second'])
    expect(performance.now() - began).toBeLessThan(6000)
    expect(await client.pull('waiting', 2, { suspendMs: 50 })).toMatchObject({ code: ResponseCode.PULL_NOT_FOUND })
  })

  it('stop at the number and at the bytes they are limited to', async () => {
    for (let i = 0; i < 40; i++) await client.send('many', 'x'.repeat(20_000))
    expect(bodies(await client.pull('many', 0, { max: 7 })).length).toBe(7)
    expect(bodies(await client.pull('many', 0, { max: 100 })).length).toBe(12)
  })
})

describe('bad input', () => {
  it.each([
    ['a name with ../', '../../etc', 'x', {}, ResponseCode.INVALID_PARAMETER],
    ['an empty body', 'empty', '', {}, ResponseCode.MESSAGE_ILLEGAL],
    ['a body over 4 MiB', 'large', Buffer.alloc(4 * 1024 * 1024 + 1), {}, ResponseCode.MESSAGE_ILLEGAL],
    [
      'a template that does not exist',
      'from-nothing',
      'x',
      { extra: { c: 'NO_SUCH_TEMPLATE' } },
      ResponseCode.TOPIC_NOT_EXIST,
    ],
    ['a topic of the broker itself', 'SCHEDULE_TOPIC_XXXX', 'x', {}, ResponseCode.NO_PERMISSION],
    ['a queue that does not exist', 'bounds', 'x', { queueId: 50 }, ResponseCode.INVALID_PARAMETER],
    ['a broken batch', 'bounds', 'no batch', { code: RequestCode.SEND_BATCH_MESSAGE }, ResponseCode.MESSAGE_ILLEGAL],
    [
      'properties over 32 KiB',
      'bounds',
      'x',
      { properties: { big: 'y'.repeat(33_000) } },
      ResponseCode.MESSAGE_ILLEGAL,
    ],
    ['a retry topic of an unknown group name', '%RETRY%../x', 'x', {}, ResponseCode.INVALID_PARAMETER],
  ])('is answered with a code and a reason: %s', async (_what, topic, body, options, code) => {
    const answer = await client.send(topic, body, options)
    expect(answer.code).toBe(code)
    expect(answer.remark!.length).toBeGreaterThan(10)
    expect((await client.send('bounds', 'still here')).code).toBe(0)
  })

  it('is answered when a header field is missing or no number', async () => {
    expect(await client.call(RequestCode.SEND_MESSAGE_V2, { b: 'bounds' }, Buffer.from('x'))).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: expect.stringContaining('missing'),
    })
    expect(await client.send('bounds', 'x', { extra: { e: 'one' } })).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
    expect(await client.call(RequestCode.PULL_MESSAGE, { topic: 'bounds' })).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
    })
    expect(await client.call(RequestCode.HEART_BEAT, {}, Buffer.from('{"clientID":'))).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
    })
  })

  it('is answered "not supported" for a code that nobody serves', async () => {
    expect(await client.call(12_345, {})).toMatchObject({
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: ' request type 12345 not supported',
    })
  })

  it('closes the connection of a broken frame and no other', async () => {
    const bad = await connect()
    bad.net.write(Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]))
    const deadline = performance.now() + 5000
    while (!bad.isClosed && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 5))
    expect(bad.isClosed).toBe(true)
    expect((await client.send('bounds', 'undisturbed')).code).toBe(0)
  })
})

describe('switches', () => {
  it('refuse unknown topics and groups when creation is off', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-switches-'))
    const flags = {
      storePathRootDir: dir,
      'broker.listenPort': 0,
      'nameserver.listenPort': 0,
      autoCreateTopicEnable: false,
      autoCreateSubscriptionGroup: false,
    }
    const strict = await startService(
      loadConfig({ flags: Object.entries(flags).map(([key, value]) => ({ key, value, origin: 'test' })) }),
      environment,
    )
    try {
      const [host, port] = strict.addresses.broker!.split(':')
      const raw = new RawClient(await environment.net.connect({ host: host!, port: Number(port) }))
      expect(await raw.send('unknown', 'x')).toMatchObject({
        code: ResponseCode.TOPIC_NOT_EXIST,
        remark: expect.stringContaining('topic[unknown] not exist'),
      })
      expect(
        await raw.call(RequestCode.UPDATE_AND_CREATE_TOPIC, {
          topic: 'known',
          defaultTopic: 'TBW102',
          readQueueNums: '1',
          writeQueueNums: '1',
          perm: '6',
          topicFilterType: 'SINGLE_TAG',
          order: 'false',
        }),
      ).toMatchObject({ code: 0 })
      expect(await raw.send('known', 'x')).toMatchObject({ code: 0 })
      expect(await raw.pull('known', 0)).toMatchObject({
        code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        remark: expect.stringContaining('readers'),
      })
    } finally {
      await strict.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
