import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@millrace/client'
import {
  count,
  type Environment,
  json,
  memoryNet,
  pipeline,
  StreamProperty,
  sum,
  topic,
  tumbling,
  type Windowed,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/index.js'
import { runPipeline } from '../../src/pipeline/run-pipeline.js'
import { startService } from '../../src/service/service.js'

interface Order {
  readonly id: number
  readonly country: string
  readonly amount: number
  readonly at: number
}

const orders = topic('orders', { value: json<Order>(), eventTime: order => order.at, outOfOrder: 20, idle: '1 h' })
const totals = topic('totals', { value: json<Windowed<string, { readonly n: number; readonly sum: number }>>() })
const byCountry = pipeline('by-country', source =>
  source(orders)
    .keyBy(order => order.country)
    .window(tumbling(100))
    .aggregate({ n: count(), sum: sum(order => order.amount) })
    .to(totals),
)

let directory: string
let environment: Environment
let client: Client
let cleanups: (() => Promise<void> | void)[]

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-run-'))
  cleanups = [() => rmSync(directory, { recursive: true, force: true })]
  const real = nodeEnvironment()
  environment = { ...real, net: memoryNet(real.scheduler) }
  const origin = 'test'
  const config = loadConfig({
    flags: [
      { key: 'storePathRootDir', value: join(directory, 'broker'), origin },
      { key: 'broker.flushDiskType', value: 'ASYNC_FLUSH', origin },
      { key: 'broker.listenPort', value: 0, origin },
      { key: 'nameserver.listenPort', value: 0, origin },
    ],
  })
  const service = await startService(config, environment)
  cleanups.push(() => service.stop())
  client = await Client.connect({ nameservers: service.addresses.nameserver!, environment })
  cleanups.push(() => client.close())
})

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

async function until(fact: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await fact())) {
    if (Date.now() > deadline) throw new Error('waited 10 s in vain')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Sends each order to the queue of its id. */
async function send(all: readonly Order[]): Promise<void> {
  const producer = client.producer()
  const queues = await producer.queues('orders')
  for (let i = 0; i < queues.length; i++) {
    const messages = all
      .filter(order => order.id % queues.length === i)
      .map(order => ({ topic: 'orders', body: orders.value.serialize(order) }))
    if (messages.length > 0) await producer.sendBatch(messages, { queue: queues[i] })
  }
}

/** Everything in a topic. */
async function read(name: string): Promise<{ body: Buffer; properties: Readonly<Record<string, string>> }[]> {
  const assignments = await client.assignments(
    { group: 'reader', topics: [name], from: 'first' },
    { assigned: () => {}, revoked: () => {} },
  )
  const found = []
  for (const { queue, maxOffset } of await client.admin.describeTopic(name))
    for (let offset = 0; offset < maxOffset; ) {
      const { messages, nextOffset } = await assignments.pull(queue, offset, { suspendMs: 0 })
      found.push(...messages)
      offset = nextOffset
    }
  await assignments.close()
  return found
}

describe('a pipeline on a broker', () => {
  it('repartitions, aggregates, stops, and goes on where it stopped', async () => {
    const all = Array.from({ length: 600 }, (_, id): Order => {
      const at = id * 3 - (id % 7)
      return { id, country: ['nl', 'de', 'fr', 'be'][(id * 7) % 4]!, amount: id % 11, at }
    })
    const expected = new Map<string, { n: number; sum: number }>()
    for (const { country, amount, at } of all) {
      const name = `${country} ${Math.floor(at / 100) * 100}`
      const total = expected.get(name) ?? { n: 0, sum: 0 }
      expected.set(name, { n: total.n + 1, sum: total.sum + amount })
    }
    const stateDir = join(directory, 'state')
    const options = { client, stateDir, environment, commitInterval: '10 ms' } as const
    const errors: Error[] = []

    const first = await runPipeline(byCountry, options)
    first.errors.subscribe(error => errors.push(error))
    await expect(runPipeline(byCountry, options)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await send(all.slice(0, 300))
    await until(() => first.metrics().recordsOut > 300)
    await first.stop()

    const second = await runPipeline(byCountry, options)
    second.errors.subscribe(error => errors.push(error))
    await send(all.slice(300))
    await send([0, 1, 2, 3].map(id => ({ id, country: 'end', amount: 0, at: 1_000_000 })))
    await until(async () => (await read('totals')).length >= expected.size)
    await until(() => second.metrics().lag === 0)
    const { late, skipped, tasks } = second.metrics()
    expect({ late, skipped, tasks: tasks.length }).toEqual({ late: 0, skipped: 0, tasks: 8 })
    await second.stop()

    const received = await read('totals')
    const seen = received.map(({ body }) => {
      const { key, window, value } = totals.value.deserialize(body)
      return `${key} ${window.start} ${value.n} ${value.sum}`
    })
    expect(seen.sort()).toEqual([...expected].map(([name, { n, sum }]) => `${name} ${n} ${sum}`).sort())
    expect(received[0]?.properties).toMatchObject({
      KEYS: expect.any(String),
      [StreamProperty.PIPELINE]: 'by-country',
      [StreamProperty.TASK]: expect.stringMatching(/^key-by-1-[0-3]$/),
      [StreamProperty.SEQUENCE]: expect.any(String),
    })
    expect(errors).toEqual([])
    const group = await client.admin.describeGroup('by-country')
    expect(group.queues.filter(({ queue }) => queue.topic === 'orders').every(({ lag }) => lag === 0)).toBe(true)
  })

  it('refuses limits that are none', async () => {
    const options = { client, stateDir: join(directory, 'state'), environment, inFlightMax: 0 }
    await expect(runPipeline(byCountry, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
