import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Millrace } from '../../src/index.js'
import { run } from './harness.js'

vi.setConfig({ hookTimeout: 60_000, testTimeout: 60_000 })

const credentials = { accessKey: 'admin', secretKey: 'the-secret-of-admin' }
const tls = { isChecked: false }
let directory: string
let service: Millrace

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-secured-'))
  service = await Millrace.start({
    listen: {},
    config: {
      flushDiskType: 'ASYNC_FLUSH',
      tlsServerMode: 'enforcing',
      authenticationEnabled: true,
      authorizationEnabled: true,
      initAuthenticationUser: JSON.stringify({ username: credentials.accessKey, password: credentials.secretKey }),
      nameserver: { tlsServerMode: 'enforcing' },
    },
  })
})
afterAll(async () => {
  await service.close()
  await rm(directory, { recursive: true, force: true })
})

it('reaches its own broker, which asks for TLS and signatures', async () => {
  await expect(service.producer().send({ topic: 'secured', body: 'embedded' })).resolves.toMatchObject({
    queueOffset: 0,
  })
})

it('serves a client that signs over TLS, and no other', async () => {
  const nameserver = service.nameserver!
  await using client = await Millrace.connect(nameserver, { credentials, tls })
  await expect(client.producer().send({ topic: 'secured', body: 'attached' })).resolves.toBeDefined()
  await using stranger = await Millrace.connect(nameserver, { credentials: { ...credentials, secretKey: 'x' }, tls })
  await expect(stranger.admin.topicList()).rejects.toThrow('check signature failed')
  await expect(Millrace.connect(nameserver, { tls: true })).rejects.toThrow(/self.signed/i)
})

it.each([
  ['JSON', JSON.stringify(credentials)],
  ['the lines of tools.yml', 'accessKey: admin\nsecretKey: the-secret-of-admin\n'],
])('lets commands sign with a file of %s', async (_name, content) => {
  const file = join(directory, 'credentials')
  await writeFile(file, content)
  const options = ['--nameserver', service.nameserver!, '--tls-unchecked', '--json']
  const listed = await run(['topic', 'list', ...options, '--credentials', file])
  expect([listed.talk, listed.exitCode]).toEqual(['', 0])
  expect(listed.out).toContain('secured')
  const refused = await run(['topic', 'list', ...options])
  expect(refused.exitCode).toBe(1)
  expect(refused.talk).toContain('username cannot be null')
})

it('says what is wrong with a credentials file', async () => {
  const file = join(directory, 'empty')
  await writeFile(file, '{}')
  const base = ['topic', 'list', '--nameserver', service.nameserver!]
  expect((await run([...base, '--credentials', file])).talk).toContain('has no accessKey and secretKey')
  expect((await run([...base, '--credentials', join(directory, 'none')])).talk).toContain('cannot be read')
})
