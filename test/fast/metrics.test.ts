import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RequestCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ADMIN, createUser, type RawClient, SECURED, startWith, type TestService } from './security/support.js'

vi.setConfig({ hookTimeout: 60_000 })

/** Samples of a page by name and labels as they are written, without those that all have. */
function samplesOf(page: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const line of page.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (!match) continue
    const labels = (match[2] ?? '')
      .replace(/(cluster|node_id|node_type|otel_scope_name)="[^"]*",?/g, '')
      .replace(/,$/, '')
    found.set(labels === '' ? match[1]! : `${match[1]}{${labels}}`, Number(match[3]))
  }
  return found
}

describe('a broker without security', () => {
  let world: TestService
  let client: RawClient
  const notices: string[] = []
  const page = async (): Promise<string> => (await fetch(`http://${world.service.addresses.broker}/metrics`)).text()

  beforeAll(async () => {
    world = await startWith(
      { metricsLabel: 'zone:a', metricsExporterType: 'PROM', metricsPromExporterPort: 0 },
      { sockets: true, onBrokenFrame: sentence => notices.push(sentence) },
    )
    client = await world.client()
  })
  afterAll(() => world.stop())

  it('shows what was sent, read and left, under the official names', async () => {
    for (let i = 0; i < 3; i++) expect((await client.send('measured')).code).toBe(0)
    expect((await client.pull('measured', 'readers')).code).toBe(0)
    const commit = { consumerGroup: 'readers', topic: 'measured', queueId: '0', commitOffset: '1' }
    await client.call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)
    const text = await page()
    expect(text).toContain(
      'rocketmq_topic_number{zone="a",cluster="DefaultCluster",node_id="broker-a",node_type="broker",otel_scope_name="broker-meter"}',
    )
    const samples = samplesOf(text.replaceAll('zone="a",', ''))
    const into = '{topic="measured",message_type="normal",is_system="false"}'
    const reader = '{consumer_group="readers",topic="measured",is_retry="false",is_system="false"}'
    expect(samples.get(`rocketmq_messages_in_total${into}`)).toBe(3)
    expect(samples.get(`rocketmq_throughput_in_total${into}`)).toBeGreaterThan(15)
    expect(samples.get(`rocketmq_messages_out_total${reader}`)).toBe(3)
    expect(samples.get(`rocketmq_consumer_lag_messages${reader}`)).toBe(2)
    expect(samples.get(`rocketmq_consumer_lag_latency_milliseconds${reader}`)).toBeGreaterThan(0)
    expect(samples.get(`millrace_consumer_lag_seconds${reader}`)).toBeGreaterThan(0)
    expect(samples.get('rocketmq_storage_size_bytes{storage_type="local",storage_medium="disk"}')).toBeGreaterThan(0)
    expect(samples.get('rocketmq_broker_permission')).toBe(6)
    expect(samples.get('millrace_store_writable')).toBe(1)
    expect(samples.get('millrace_connections')).toBe(2)
    expect([...samples.keys()].some(name => name.startsWith('millrace_actor_mailbox_depth{actor="topics"'))).toBe(true)
  })

  it('answers HTTP on the port of the nameserver too, whole or in pieces, and nothing but /metrics', async () => {
    const base = `http://${world.service.addresses.nameserver}`
    expect((await fetch(`${base}/metrics?x=1`)).status).toBe(200)
    expect((await fetch(`${base}/other`)).status).toBe(404)
    expect(await (await fetch(`${base}/metrics`, { method: 'HEAD' })).text()).toBe('')
    await expect(fetch(`${base}/metrics`, { method: 'POST', body: 'x' })).rejects.toThrow()
    const slow = await world.client()
    slow.net.write(Buffer.from('GET /metrics HT'))
    await new Promise(resolve => setTimeout(resolve, 20))
    slow.net.write(Buffer.from('TP/1.1\r\nHost: x\r\n\r\n'))
    await until(() => slow.isClosed)
  })

  it('counts connections that send rubbish, and tells of them without flooding', async () => {
    const before = samplesOf(await page()).get('millrace_broken_frames_total{zone="a"}') ?? 0
    for (const rubbish of ['POST / HTTP/1.1\r\n\r\n', '\x00\x00\x00\x01????', 'GET / HTTP/9\r\n\r\n']) {
      const broken = await world.client()
      broken.net.write(Buffer.from(rubbish, 'latin1'))
      await until(() => broken.isClosed)
    }
    expect(samplesOf(await page()).get('millrace_broken_frames_total{zone="a"}')).toBe(before + 3)
    expect(notices).toHaveLength(1)
    expect(notices[0]).toMatch(/^a connection from 127\.0\.0\.1:\d+ was closed: /)
  })
})

it('asks for a user where security is on', async () => {
  const world = await startWith(SECURED, { sockets: true })
  try {
    const client = await world.client()
    const plain = await createUser(client, 'plain', { 'Topic:*': 'All' })
    const watcher = await createUser(client, 'watcher', { 'Cluster:*': 'Get' })
    const get = async (user?: { accessKey: string; secretKey: string }): Promise<number> => {
      const token = user && Buffer.from(`${user.accessKey}:${user.secretKey}`).toString('base64')
      const headers = token === undefined ? undefined : { authorization: `Basic ${token}` }
      return (await fetch(`http://${world.service.addresses.broker}/metrics`, { headers })).status
    }
    expect(await get()).toBe(401)
    expect(await get({ ...ADMIN, secretKey: 'wrong' })).toBe(401)
    expect(await get({ accessKey: 'nobody', secretKey: '' })).toBe(401)
    expect(await get(plain)).toBe(403)
    expect(await get(watcher)).toBe(200)
    expect(await get(ADMIN)).toBe(200)
  } finally {
    await world.stop()
  }
})

it('sends metrics to a collector of OpenTelemetry', async () => {
  const received: { path: string | undefined; headers: unknown; body: string }[] = []
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk as Buffer))
    request.on('end', () => {
      received.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString('latin1') })
      response.end()
    })
  })
  await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve))
  const { port } = collector.address() as AddressInfo
  const world = await startWith({
    metricsExporterType: 'OTLP_HTTP',
    metricsGrpcExporterTarget: `http://127.0.0.1:${port}`,
    metricsGrpcExporterHeader: 'x-tenant:seven',
    metricGrpcExporterIntervalInMills: 100,
    metricGrpcExporterTimeOutInMills: 100,
  })
  try {
    const client = await world.client()
    expect((await client.send('exported')).code).toBe(0)
    await until(() => received.some(({ body }) => body.includes('exported')))
    expect(received[0]).toMatchObject({ path: '/v1/metrics', headers: { 'x-tenant': 'seven' } })
    const last = received.at(-1)!.body
    for (const name of ['rocketmq_messages_in_total', 'rocketmq_topic_number', 'broker-meter', 'DefaultCluster'])
      expect([name, last.includes(name)]).toEqual([name, true])
  } finally {
    await world.stop()
    collector.close()
  }
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
