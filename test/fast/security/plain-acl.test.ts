import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RequestCode } from '@millrace/core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ADMIN, type RawClient, startWith, type TestService } from './support.js'

const FILE = `
globalWhiteRemoteAddresses:
  - 10.10.103.*
accounts:
  - accessKey: RocketMQ
    secretKey: 12345678
    whiteRemoteAddress:
    admin: false
    defaultTopicPerm: DENY
    defaultGroupPerm: SUB
    topicPerms:
      - topicA=DENY
      - topicB=PUB|SUB
      - topicC=SUB
    groupPerms:
      - groupA=DENY
      - groupB=PUB|SUB
  - accessKey: rocketmq2
    secretKey: 12345678
    whiteRemoteAddress: 192.168.1.*
    admin: true
`

const PLAIN = { accessKey: 'RocketMQ', secretKey: '12345678' }
const BOSS = { accessKey: 'rocketmq2', secretKey: '12345678' }
const directory = mkdtempSync(join(tmpdir(), 'millrace-plain-acl-'))
const file = join(directory, 'conf', 'plain_acl.yml')

let world: TestService
let client: RawClient

beforeAll(async () => {
  mkdirSync(join(directory, 'conf'))
  writeFileSync(file, FILE)
  world = await startWith({ aclEnable: true }, { directory })
  client = await world.client()
})
afterAll(() => world.stop())

const codeOf = async (answer: Promise<{ readonly code: number }>): Promise<number> => (await answer).code

it('refuses who is not in the file and who does not know the secret', async () => {
  expect(await codeOf(client.send('topicB'))).toBe(16)
  expect(await codeOf(client.send('topicB', ADMIN))).toBe(16)
  expect(await codeOf(client.send('topicB', { ...PLAIN, secretKey: '87654321' }))).toBe(16)
})

it('lets an account do what its permissions say, and its defaults where they say nothing', async () => {
  expect(await codeOf(client.send('topicB', PLAIN))).toBe(0)
  expect(await codeOf(client.send('topicA', PLAIN))).toBe(16)
  expect(await codeOf(client.send('topicC', PLAIN))).toBe(16)
  expect(await codeOf(client.send('another', PLAIN))).toBe(16)
  expect(await codeOf(client.pull('topicB', 'groupB', PLAIN))).toBe(0)
  expect(await codeOf(client.pull('topicB', 'by-default', PLAIN))).toBe(0)
  expect(await codeOf(client.pull('topicB', 'groupA', PLAIN))).toBe(16)
  expect(await codeOf(client.pull('topicA', 'groupB', PLAIN))).toBe(16)
  const offset = { topic: 'topicB', queueId: '0' }
  expect(await codeOf(client.call(RequestCode.GET_MAX_OFFSET, offset, { as: PLAIN }))).toBe(0)
})

it('keeps administration to admin accounts', async () => {
  expect(await codeOf(client.call(RequestCode.GET_BROKER_CONFIG, {}, { as: PLAIN }))).toBe(16)
  expect(await codeOf(client.call(RequestCode.GET_BROKER_CONFIG, {}, { as: BOSS }))).toBe(0)
  expect(await codeOf(client.send('topicA', BOSS))).toBe(0)
})

it('has no users of ACL 2.0 to administer', async () => {
  expect(await codeOf(client.call(RequestCode.AUTH_LIST_USER, {}, { as: BOSS }))).toBe(1)
})

it('takes over a changed file without a restart, and goes on with the old one when it is broken', async () => {
  const problems: Error[] = []
  await world.service.stop()
  world = await startWith({ aclEnable: true }, { directory, onSecurity: error => problems.push(error) })
  client = await world.client()
  writeFileSync(file, 'accounts: [')
  await eventually(() => problems.length > 0)
  expect(problems[0]?.message).toContain('is not YAML')
  expect(await codeOf(client.send('topicB', PLAIN))).toBe(0)
  writeFileSync(file, FILE.replace('topicB=PUB|SUB', 'topicB=SUB'))
  await eventually(async () => (await codeOf(client.send('topicB', PLAIN))) === 16)
})

it.each([
  ['accounts:\n  - accessKey: short\n    secretKey: 12345678', 'longer than 6 characters'],
  ['accounts:\n  - accessKey: long-enough\n    secretKey: 12345678\n    topicPerms: [a=ALL]', 'is not DENY, PUB, SUB'],
  ['globalWhiteRemoteAddresses: [nowhere]', 'is no address'],
])('does not start with %j', async (content, sentence) => {
  const place = mkdtempSync(join(tmpdir(), 'millrace-bad-acl-'))
  writeFileSync(join(place, 'acl.yml'), content)
  const started = startWith({ aclEnable: true, aclFile: join(place, 'acl.yml') }, { directory: place })
  await expect(started).rejects.toThrow(sentence)
})

it('turns the accounts into users when asked to', async () => {
  await world.service.stop()
  writeFileSync(file, FILE)
  world = await startWith(
    { authenticationEnabled: true, authorizationEnabled: true, migrateAuthFromV1Enabled: true },
    { directory },
  )
  client = await world.client()
  expect(await codeOf(client.send('topicB', PLAIN))).toBe(0)
  expect(await codeOf(client.send('topicA', PLAIN))).toBe(16)
  const users = await client.call(RequestCode.AUTH_LIST_USER, {}, { as: BOSS })
  expect(JSON.parse(String(users.body))).toMatchObject([
    { username: 'RocketMQ', userType: 'Normal' },
    { username: 'rocketmq2', userType: 'Super' },
  ])
})

async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
