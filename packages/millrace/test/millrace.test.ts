import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filter } from 'rxjs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  createTestBroker,
  json,
  Millrace,
  mean,
  messageOf,
  pipeline,
  topic,
  tumbling,
  type Windowed,
} from '../src/index.js'

// Each test starts a broker with its workers, which takes long on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-doors-'))
  // A place of our own for temporary directories, so that those of other tests are not counted.
  await mkdir(join(directory, 'tmp'))
  vi.stubEnv('TMPDIR', join(directory, 'tmp'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(directory, { recursive: true, force: true })
})

interface Flight {
  readonly origin: string
  readonly at: number
  readonly delay: number
}

const flights = topic('flights', {
  value: json<Flight>(),
  key: (flight: Flight) => flight.origin,
  eventTime: (flight: Flight) => flight.at,
})
const delays = topic('delays', { value: json<Windowed<string, { delay: number }>>() })
const board = pipeline('board', source =>
  source(flights)
    .pipe(filter(flight => flight.delay >= 0))
    .keyBy(flight => flight.origin)
    .window(tumbling('1 h'))
    .aggregate({ delay: mean(flight => flight.delay) })
    .to(delays),
)

const HOUR = 3_600_000

async function received(millrace: Millrace, name: string, count: number): Promise<string[]> {
  const bodies: string[] = []
  for await (const message of millrace.consumer({ group: 'reader', topics: [name], from: 'first' })) {
    bodies.push(message.body.toString())
    if (bodies.length === count) break
  }
  return bodies
}

describe('Millrace.start', () => {
  it('runs a broker without sockets, in a temporary directory that is gone afterwards', async () => {
    const millrace = await Millrace.start()
    expect(millrace.nameserver).toBeUndefined()
    await millrace.producer().send({ topic: 'hello', body: 'x' })
    expect(await received(millrace, 'hello', 1)).toEqual(['x'])
    await millrace.close()
    expect(await readdir(tmpdir())).toEqual([])
  })

  it('keeps what was sent in dataDir', async () => {
    {
      await using millrace = await Millrace.start({ dataDir: directory })
      await millrace.producer().send({ topic: 'hello', body: 'kept' })
    }
    await using again = await Millrace.start({ dataDir: directory })
    expect(await received(again, 'hello', 1)).toEqual(['kept'])
  })

  it('lets other processes in when asked to listen', async () => {
    await using millrace = await Millrace.start({ dataDir: directory, listen: {} })
    expect(millrace.nameserver).toMatch(/^127\.0\.0\.1:\d+$/)
    await using attached = await Millrace.connect(millrace.nameserver!)
    await attached.producer({ timeoutMs: 30_000 }).send({ topic: 'hello', body: 'over TCP' })
    expect(await received(millrace, 'hello', 1)).toEqual(['over TCP'])
  })

  it('refuses a configuration that is wrong, and leaves nothing behind', async () => {
    const config = { listenPrt: 1 } as object
    await expect(Millrace.start({ config })).rejects.toThrow('did you mean "listenPort"?')
    await expect(Millrace.start({ listen: { host: '0.0.0.0' } })).rejects.toThrow('--insecure')
    expect(await readdir(tmpdir())).toEqual([])
  })

  it('runs a pipeline, and goes on where it stopped', async () => {
    const flight = (origin: string, hour: number, delay: number): Flight => ({ origin, at: hour * HOUR, delay })
    const seen: string[] = []
    for (const batch of [
      [flight('SFO', 1, 10), flight('SFO', 1, 20)],
      [flight('SFO', 1, 60), flight('SFO', 9, 0)],
    ]) {
      await using millrace = await Millrace.start({ dataDir: directory })
      await millrace.admin.createTopic('flights', { queues: 1 })
      await millrace.admin.createTopic('delays', { queues: 1 })
      await millrace.run(board)
      for (const value of batch) await millrace.send(flights, value)
      if (batch[1].at === 9 * HOUR) seen.push(...(await received(millrace, 'delays', 1)))
    }
    expect(seen.map(body => JSON.parse(body))).toEqual([
      { key: 'SFO', window: { start: HOUR, end: 2 * HOUR }, value: { delay: 30 } },
    ])
  })
})

describe('createTestBroker', () => {
  it('gives each test its own', async () => {
    await using one = await createTestBroker()
    await using other = await createTestBroker()
    await one.producer().send({ topic: 'a', body: 'x' })
    expect(await one.admin.topicList()).toContain('a')
    expect(await other.admin.topicList()).not.toContain('a')
  })
})

describe('messageOf', () => {
  it('carries key and event time of a typed value', () => {
    const message = messageOf(flights, { origin: 'SFO', at: 5, delay: 1 })
    expect(message).toMatchObject({ topic: 'flights', keys: 'SFO', shardingKey: 'SFO', properties: { 'mr.time': '5' } })
    expect(JSON.parse(Buffer.from(message.body).toString())).toEqual({ origin: 'SFO', at: 5, delay: 1 })
  })
})
