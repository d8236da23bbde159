import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { run } from './harness.js'

// Processes are started here, which takes long on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const BIN = join(import.meta.dirname, '../../bin/millrace')

interface Ready {
  readonly ready: true
  readonly pid: number
  readonly nameserver: string
  readonly broker: string
  readonly data: string
}

let directory: string
let service: ChildProcess
let ready: Ready

function spawnStart(...args: string[]): ChildProcess {
  const ports = ['--nameserver-port', '0', '--broker-port', '0']
  return spawn(process.execPath, [BIN, 'start', '--json', '--data', directory, ...ports, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function firstLine(child: ChildProcess): Promise<Ready> {
  let line = ''
  for await (const chunk of child.stdout!) {
    line += String(chunk)
    if (line.includes('\n')) return JSON.parse(line) as Ready
  }
  throw new Error(`the service ended without a line: ${String(child.stderr?.read())}`)
}

async function stopped(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal)
  if (child.exitCode === null) await once(child, 'exit')
  return child.exitCode
}

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1)
const millrace = (...args: string[]) => run(args, { environment: {} })
const at = () => ['--nameserver', ready.nameserver]

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-service-'))
  service = spawnStart('--flush', 'async')
  ready = await firstLine(service)
}, 60_000)

afterAll(async () => {
  if (service.exitCode === null) await stopped(service, 'SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

describe('a service started by the command line', () => {
  it('says in one line where it is', () => {
    expect(ready).toEqual({
      ready: true,
      pid: service.pid,
      nameserver: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      broker: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      data: directory,
    })
  })

  it('creates, lists and describes a topic', async () => {
    expect(await millrace('topic', 'create', 'orders', '--queues', '2', ...at())).toMatchObject({ exitCode: 0 })
    const names = await millrace('topic', 'list', '--json', ...at())
    expect(JSON.parse(names.out)).toEqual(['orders'])
    const { out } = await millrace('topic', 'describe', 'orders', '--json', ...at())
    expect(JSON.parse(out)).toMatchObject({ topic: 'orders', messages: 0, queues: [{ queueId: 0 }, { queueId: 1 }] })
  })

  it('sends a message with key, tag and properties, and prints it', async () => {
    const properties = ['--key', 'k1', '--key', 'k2', '--tag', 'red', '--property', 'shop=a b']
    const sent = await millrace('send', 'orders', 'first', ...properties, '--json', ...at())
    const { messageId } = JSON.parse(sent.out)
    const { out, exitCode } = await millrace('tail', 'orders', '--from', 'first', '--no-follow', '--json', ...at())
    expect(exitCode).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      messageId,
      body: 'first',
      tag: 'red',
      keys: 'k1 k2',
      properties: { shop: 'a b' },
    })
  })

  it('sends each line of its input, as often as asked', async () => {
    const input = 'one\n\ntwo\n'
    const { out } = await run(['send', 'lines', '--count', '2', ...at()], { input })
    expect(out).toBe('sent 4 to lines\n')
    const read = await millrace('tail', 'lines', '--from', 'first', '--no-follow', ...at())
    expect(read.out.trim().split('\n').toSorted()).toEqual(['one', 'one', 'two', 'two'])
  })

  it('exports topics, groups and offsets, and imports them again', async () => {
    await millrace('topic', 'create', 'kept', '--queues', '3', ...at())
    await millrace('send', 'kept', 'x', ...at())
    await millrace('tail', 'kept', '--from', 'first', '--no-follow', '--group', 'keepers', ...at())
    const exported = await millrace('metadata', 'export', ...at())
    expect(exported.exitCode).toBe(0)
    const { brokers } = JSON.parse(exported.out)
    expect(brokers).toMatchObject([
      { brokerName: 'broker-a', topicConfigTable: { kept: { readQueueNums: 3 } }, subscriptionGroupTable: {} },
    ])
    expect(brokers[0].topicConfigTable).not.toHaveProperty('TBW102')
    expect(brokers[0].topicConfigTable).not.toHaveProperty('DefaultCluster')
    await millrace('topic', 'delete', 'kept', '--yes', ...at())
    const wanted = {
      ...brokers[0],
      brokerName: 'of-another-name',
      subscriptionGroupTable: { keepers: { groupName: 'keepers', retryMaxTimes: 3 } },
      consumerOffsets: { 'kept@keepers': { 0: 7, 2: 9 } },
    }
    const input = JSON.stringify({ exportTime: 1, brokers: [wanted] })
    const imported = await run(['metadata', 'import', '--offsets', '--json', ...at()], { input })
    expect(JSON.parse(imported.out)).toMatchObject({ groups: 1, offsets: 2 })
    const again = JSON.parse((await millrace('metadata', 'export', '--json', ...at())).out).brokers[0]
    expect(again.topicConfigTable.kept).toMatchObject({ readQueueNums: 3 })
    expect(again.subscriptionGroupTable.keepers).toMatchObject({ retryMaxTimes: 3 })
    expect(again.consumerOffsets['kept@keepers']).toEqual({ 0: 7, 2: 9 })
  })

  it('imports what mqadmin exported, and refuses what is no export', async () => {
    const input = JSON.stringify({ topicConfigTable: { 'by-mqadmin': { topicName: 'by-mqadmin', readQueueNums: 2 } } })
    expect(await run(['metadata', 'import', ...at()], { input })).toMatchObject({ exitCode: 0 })
    expect((await millrace('topic', 'list', ...at())).out).toContain('by-mqadmin\n')
    for (const bad of ['', 'no JSON', '[]', '{}']) {
      const refused = await run(['metadata', 'import', ...at()], { input: bad })
      expect(refused.exitCode).toBe(2)
      expect(refused.talk).toContain('this is not exported metadata')
    }
  })

  it('follows a topic until it is stopped', async () => {
    const stop = new AbortController()
    let seen = ''
    const tail = run(['tail', 'orders', '--from', 'first', '--tag', 'blue', ...at()], {
      stopSignal: stop.signal,
      onOut: text => {
        seen += text
      },
    })
    await millrace('send', 'orders', 'x', '--tag', 'red', ...at())
    await millrace('send', 'orders', 'second', '--tag', 'blue', ...at())
    await expect.poll(() => seen, { timeout: 10_000 }).toBe('second\n')
    stop.abort()
    expect((await tail).exitCode).toBe(0)
  })

  it('goes on where a group was, and shows its offsets', async () => {
    const args = ['--group', 'audit', '--from', 'first', ...at()]
    expect((await millrace('tail', 'lines', '--count', '3', ...args)).out.trim().split('\n')).toHaveLength(3)
    expect((await millrace('tail', 'lines', '--count', '1', ...args)).out.trim().split('\n')).toHaveLength(1)
    const { out } = await millrace('group', 'describe', 'audit', '--json', ...at())
    expect(JSON.parse(out)).toMatchObject({ group: 'audit', lag: 0 })
    expect((await millrace('group', 'list', ...at())).out).toContain('audit\n')
  })

  it('suggests the topic or group that was meant', async () => {
    const topic = await millrace('tail', 'oders', ...at())
    expect(topic.exitCode).toBe(1)
    expect(topic.talk).toContain('there is no topic "oders"; did you mean "orders"?')
    expect((await millrace('group', 'describe', 'aduit', ...at())).talk).toContain('did you mean "audit"?')
  })

  it('deletes a topic only when told to', async () => {
    await millrace('topic', 'create', 'gone', ...at())
    expect((await millrace('topic', 'delete', 'gone', '--dry-run', ...at())).out).toContain('would delete gone')
    expect(await run(['topic', 'delete', 'gone', ...at()], { input: '' })).toMatchObject({ exitCode: 2, out: '' })
    expect((await millrace('topic', 'delete', 'gone', '--yes', ...at())).out).toContain('deleted gone')
    const names = await millrace('topic', 'list', ...at())
    expect(names.out.split('\n')).not.toContain('gone')
  })

  it.each(['send', 'pull', 'e2e'])('measures %s', async mode => {
    const short = ['--duration', '1', '--warmup', '0.2', '--connections', '1', '--in-flight', '4', '--size', '100']
    const { out, exitCode, talk } = await millrace('bench', mode, ...short, '--json', ...at())
    expect(exitCode, talk).toBe(0)
    const result = JSON.parse(out)
    expect(result).toMatchObject({ settings: { mode, sizeBytes: 100 }, failed: 0 })
    expect(result.messages).toBeGreaterThan(0)
    expect(result.latencyMs.p50).toBeGreaterThan(0)
  })

  it('runs nameserver and broker apart', async () => {
    const lonely = await millrace('start', '--role', 'broker')
    expect(lonely).toMatchObject({ exitCode: 2, out: '' })
    const nameserver = spawnStart('--role', 'nameserver', '--data', join(directory, 'nameserver'))
    const { nameserver: address, broker: none } = await firstLine(nameserver)
    expect(none).toBeUndefined()
    const broker = spawnStart('--role', 'broker', '--data', join(directory, 'broker'), '--nameserver', address)
    expect(await firstLine(broker)).not.toHaveProperty('nameserver')
    // The broker is ready before the other process knows of it.
    const sent = () => millrace('send', 'apart', 'x', '--nameserver', address)
    try {
      const arrived = async () => expect((await sent()).out).toMatch(/^sent 1 to apart/)
      await vi.waitFor(arrived, { timeout: 20_000, interval: 100 })
    } finally {
      for (const child of [broker, nameserver]) expect(await stopped(child, 'SIGTERM')).toBe(0)
    }
  })

  it('takes a TypeScript configuration', async () => {
    const file = join(directory, 'millrace.config.ts')
    await writeFile(file, "export default { regionId: 'north' as string }\n")
    const { stdout } = await promisify(execFile)(process.execPath, [BIN, 'config', 'show', '-c', file, '--json'])
    const rows = JSON.parse(stdout) as readonly { readonly key: string; readonly value: string }[]
    expect(rows.find(({ key }) => key === 'regionId')?.value).toBe('north')
  })

  it('refuses a second service on the same data or port', async () => {
    const attempts = [
      { child: spawnStart(), code: 'STORE_LOCKED' },
      {
        child: spawnStart('--data', join(directory, 'other'), '--broker-port', portOf(ready.broker)),
        code: 'ADDRESS_IN_USE',
      },
    ]
    for (const { child, code } of attempts) {
      const [talk, [exitCode]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
      expect(JSON.parse(talk)).toEqual({ error: expect.objectContaining({ code, fix: expect.any(String) }) })
      expect(exitCode).toBe(1)
    }
  })

  it('stops cleanly on a signal, and has everything when it is back', async () => {
    // Twice, as npm does.
    service.kill('SIGINT')
    expect(await stopped(service, 'SIGINT')).toBe(0)
    service = spawnStart()
    ready = await firstLine(service)
    const { out } = await millrace('tail', 'orders', '--from', 'first', '--no-follow', ...at())
    expect(out.trim().split('\n').toSorted()).toEqual(['first', 'second', 'x'])
  })
})
