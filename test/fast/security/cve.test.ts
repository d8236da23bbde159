import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { encodeRequest, RequestCode, ResponseCode } from '@millrace/core'
import { brokerConfig } from '@millrace/runtime/config'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { brokerSettings } from '../../../packages/runtime/src/config/broker-settings.js'
import { nameserverSettings } from '../../../packages/runtime/src/config/nameserver-settings.js'
import { ADMIN, createUser, type RawClient, SECURED, sendFields, startWith, type TestService } from './support.js'

vi.setConfig({ hookTimeout: 60_000 })

/** What went wrong in other brokers, asked of this one. */

const root = join(import.meta.dirname, '../../..')

function sources(): [string, string][] {
  return readdirSync(join(root, 'packages'), { recursive: true, encoding: 'utf8' })
    .filter(path => /^[a-z]+\/src\/.*\.ts$/.test(path))
    .map(path => [path, readFileSync(join(root, 'packages', path), 'utf8')])
}

describe('code', () => {
  it('starts no other program (CVE-2023-33246)', () => {
    expect(
      sources()
        .filter(([, text]) => /child_process|node:cluster/.test(text))
        .map(([path]) => path),
    ).toEqual([])
  })

  it('runs no code that is named or brought by data (CVE-2023-46604, CVE-2023-25194)', () => {
    const risky = /\beval\(|new Function\b|\bvm\b.*node:vm|import\((?!['"])|require\((?!['"])/
    const found = sources().filter(([, text]) => risky.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')))
    // The configuration file that the command line names: read before anything listens.
    expect(found.map(([path]) => path)).toEqual(['runtime/src/config/node-config-file.ts'])
  })

  it('does not trust claimed access keys (apache/rocketmq#11178)', () => {
    expect(() => brokerConfig({ authorizationEnabled: true })).toThrow('would believe any access key')
  })
})

describe('a broker that anybody may reach', () => {
  let world: TestService
  let client: RawClient
  beforeAll(async () => {
    world = await startWith({ autoCreateTopicEnable: true })
    client = await world.client()
  })
  afterAll(() => world.stop())

  const SAFE_TO_CHANGE = 'autoCreateTopicEnable'
  const forbidden =
    /path|dir|file|ip\d|addr|port|host|bind|tls|auth|acl|insecure|metrics|credential|bytesMax|connectionsMax/i

  it('changes no path, listener or security setting by request (CVE-2023-33246, CVE-2023-37582)', async () => {
    const broker = Object.keys(brokerSettings).filter(name => forbidden.test(name) && !/^(file|disk)/.test(name))
    const strange = ['rocketmqHome', 'filterServerNums', 'kvConfigPath', 'configStorePath', '__proto__', 'constructor']
    for (const [code, names] of [
      [RequestCode.UPDATE_BROKER_CONFIG, [...broker, ...strange]],
      [
        RequestCode.UPDATE_NAMESRV_CONFIG,
        [...Object.keys(nameserverSettings).filter(name => forbidden.test(name)), ...strange],
      ],
    ] as const) {
      expect(names.length).toBeGreaterThan(20)
      for (const name of names) {
        const answer = await client.call(code, {}, { body: `${SAFE_TO_CHANGE}=true\n${name}=/tmp/owned\n` })
        expect([code, name, answer.code === ResponseCode.SUCCESS]).toEqual([code, name, false])
      }
    }
    const config = await client.call(RequestCode.GET_BROKER_CONFIG)
    expect(String(config.body)).not.toContain('owned')
  })

  it('takes no topic or group for a path (CVE-2019-17572)', async () => {
    for (const topic of [
      '../../../escaped',
      '/tmp/escaped',
      'a/escaped',
      '..',
      'C:\\escaped',
      'escaped\0',
      'x'.repeat(300),
    ]) {
      expect((await client.send(topic)).code).not.toBe(ResponseCode.SUCCESS)
      const made = await client.call(RequestCode.UPDATE_AND_CREATE_TOPIC, {
        topic,
        defaultTopic: 'TBW102',
        readQueueNums: '1',
        writeQueueNums: '1',
        perm: '6',
        topicFilterType: 'SINGLE_TAG',
        topicSysFlag: '0',
        order: 'false',
      })
      expect([topic, made.code === ResponseCode.SUCCESS]).toEqual([topic, false])
    }
    const names = readdirSync(world.directory, { recursive: true, encoding: 'utf8' })
    expect(names.filter(name => name.includes('escaped'))).toEqual([])
  })

  it('closes what claims too much before it takes memory for it (CVE-2025-27533, CVE-2022-34917)', async () => {
    const before = process.memoryUsage().arrayBuffers
    // 352,518,912 is what a TLS alert looks like as a length.
    for (const head of ['15030100020228', '7fffffff', 'ffffffff', '80000000', '00000003', '0000000800ffffff']) {
      const liar = await world.client()
      liar.net.write(Buffer.from(head, 'hex'))
      liar.net.write(Buffer.from('0000000000', 'hex'))
      await until(() => liar.isClosed)
    }
    // Lengths within the limit, of which only the beginning comes.
    const waiting = await Promise.all(Array.from({ length: 50 }, () => world.client()))
    for (const each of waiting) each.net.write(Buffer.from('00fffff000000040aaaa', 'hex'))
    expect((await client.send('still-served')).code).toBe(0)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20)
    for (const each of waiting) each.net.destroy()
  })

  it('serves no request that only brokers send each other (CVE-2018-1288)', async () => {
    const codes = [902, 903, 905, 906, 908, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014]
    for (const code of codes) {
      const { code: answered } = await client.call(code, { brokerId: '0', brokerName: 'broker-a', clusterName: 'x' })
      expect([code, answered === ResponseCode.SUCCESS]).toEqual([code, false])
    }
  })

  it('unfolds compressed bodies only up to a limit (CVE-2026-27571)', async () => {
    const bomb = deflateSync(Buffer.alloc(96 * 2 ** 20), { level: 9 })
    expect(bomb.length).toBeLessThan(2 ** 18)
    const fields = {
      brokerName: 'bomber',
      brokerAddr: '127.0.0.1:1',
      clusterName: 'c',
      haServerAddr: '',
      brokerId: '0',
      compressed: 'true',
      bodyCrc32: '0',
    }
    const opaque = 77_000
    const frame = encodeRequest({ code: RequestCode.REGISTER_BROKER, opaque, extFields: fields, body: bomb })
    expect((await client.exchange(opaque, frame)).code).not.toBe(ResponseCode.SUCCESS)
  })

  it('survives whatever bytes come (CVE-2026-27889)', async () => {
    const valid = [
      encodeRequest({
        code: RequestCode.SEND_MESSAGE_V2,
        opaque: 1,
        extFields: sendFields('fuzzed'),
        body: Buffer.from('x'),
      }),
      encodeRequest({
        code: RequestCode.PULL_MESSAGE,
        opaque: 2,
        extFields: { topic: 'fuzzed' },
        serialization: 'ROCKETMQ',
      }),
      encodeRequest({
        code: RequestCode.HEART_BEAT,
        opaque: 3,
        body: Buffer.from('{"clientID":"x","consumerDataSet":[{}]}'),
      }),
      encodeRequest({
        code: RequestCode.LOCK_BATCH_MQ,
        opaque: 4,
        body: Buffer.from('{"mqSet":[1,null,{"queueId":[]}]}'),
      }),
    ]
    const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.integer({ min: 0, max: 255 }) })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...valid), fc.array(edit, { maxLength: 6 }), async (frame, edits) => {
        const bytes = Buffer.from(frame)
        for (const { at, byte } of edits) bytes[4 + Math.floor(at * (bytes.length - 5))] = byte
        const fuzzer = await world.client()
        fuzzer.net.write(bytes)
        await new Promise(resolve => setImmediate(resolve))
        fuzzer.net.destroy()
      }),
      { numRuns: 200 },
    )
    expect((await client.send('after-the-storm')).code).toBe(0)
  })

  it('keeps every body whole when requests and answers are many and the reader is slow (CVE-2026-35554)', async () => {
    const bodies = Array.from({ length: 300 }, (_, i) =>
      `${i}:`.padEnd(1 + ((i * 7919) % 3000), String.fromCharCode(97 + (i % 26))),
    )
    const sent = bodies.map(body => client.call(RequestCode.SEND_MESSAGE_V2, sendFields('whole'), { body }))
    for (const { code } of await Promise.all(sent)) expect(code).toBe(0)
    client.net.pause()
    const pulls = bodies.map((_, i) =>
      client.call(RequestCode.PULL_MESSAGE, {
        consumerGroup: 'whole',
        topic: 'whole',
        queueId: '0',
        queueOffset: String(i),
        maxMsgNums: '1',
        sysFlag: '4',
        commitOffset: '0',
        suspendTimeoutMillis: '0',
        subscription: '*',
        subVersion: '1',
        expressionType: 'TAG',
      }),
    )
    client.net.resume()
    const answers = await Promise.all(pulls)
    for (const [i, answer] of answers.entries()) expect(answer.body?.includes(bodies[i]!)).toBe(true)
  })
})

describe('a broker that asks who it is', () => {
  let world: TestService
  let client: RawClient
  beforeAll(async () => {
    world = await startWith({
      ...SECURED,
      innerClientAuthenticationCredentials: '{"accessKey":"inner","secretKey":"secret-of-inner"}',
    })
    client = await world.client()
  })
  afterAll(() => world.stop())

  it('shows no secret and no configuration to those who may not see it (CVE-2024-23321)', async () => {
    const user = await createUser(client, 'curious', { 'Topic:*': 'All', 'Group:*': 'All' })
    for (const code of [RequestCode.GET_BROKER_CONFIG, RequestCode.GET_NAMESRV_CONFIG, RequestCode.AUTH_LIST_USER])
      for (const as of [undefined, user])
        expect((await client.call(code, {}, { as })).code).toBe(ResponseCode.NO_PERMISSION)
    const config = String((await client.call(RequestCode.GET_BROKER_CONFIG, {}, { as: ADMIN })).body)
    const users = String((await client.call(RequestCode.AUTH_LIST_USER, {}, { as: ADMIN })).body)
    expect(config).toContain('initAuthenticationUser=***')
    for (const secret of [ADMIN.secretKey, 'secret-of-inner']) expect(config + users).not.toContain(secret)
  })

  it('asks about the topic a message is in, not the one a request names (CVE-2026-33222)', async () => {
    const user = await createUser(client, 'reader', { 'Topic:public': 'All', 'Group:readers': 'All' })
    const secret = await client.send('secret', ADMIN)
    const open = await client.send('public', ADMIN)
    const positionOf = (id: string): string => String(Number.parseInt(id.slice(16), 16))
    const view = (id: string, extra: object) =>
      client.call(RequestCode.VIEW_MESSAGE_BY_ID, { offset: positionOf(id), ...extra }, { as: user })
    expect((await view(open.extFields['msgId']!, {})).code).toBe(0)
    for (const extra of [{}, { topic: 'public' }])
      expect((await view(secret.extFields['msgId']!, extra)).code).toBe(ResponseCode.NO_PERMISSION)
    const back = (id: string) =>
      client.call(
        RequestCode.CONSUMER_SEND_MSG_BACK,
        { group: 'readers', originTopic: 'public', offset: positionOf(id), delayLevel: '0' },
        { as: user },
      )
    expect((await back(secret.extFields['msgId']!)).code).toBe(ResponseCode.NO_PERMISSION)
    expect((await back(open.extFields['msgId']!)).code).not.toBe(ResponseCode.NO_PERMISSION)
  })
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
