import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeEnvironment } from '@millrace/core/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KeyValueStore } from '../../src/kv/key-value-store.js'
import { MetadataStore } from '../../src/metadata/metadata-store.js'
import { lockDirectory } from '../../src/metadata/node-directory-lock.js'

const environment = nodeEnvironment()
let directory: string
const opened: MetadataStore[] = []

async function open(): Promise<MetadataStore> {
  const store = await MetadataStore.open(directory, { environment })
  opened.push(store)
  return store
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-metadata-'))
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map(store => store.close()))
  rmSync(directory, { recursive: true, force: true })
})

interface TopicRecord {
  readonly queues: number
}

describe('metadata tables', () => {
  it('serve records from memory at once and keep them, with their version, across a restart', async () => {
    const first = await open()
    const topics = first.table<TopicRecord>('topics')
    const written = topics.put('orders', { queues: 4 })
    expect(topics.get('orders')).toEqual({ queues: 4 })
    await written
    await topics.put('orders', { queues: 8 })
    await topics.put('gone', { queues: 1 })
    await topics.remove('gone')
    const { version } = topics
    expect(version).toMatchObject({ counter: 4, stateVersion: 0 })
    await first.close()

    const second = await open()
    expect([...second.table<TopicRecord>('topics').entries()]).toEqual([['orders', { queues: 8 }]])
    expect(second.table('topics').version).toEqual(version)
    expect(second.table('groups').size).toBe(0)
  })

  it('hold ten thousand topics and as many groups and open again with them', async () => {
    const first = await open()
    const writes: Promise<void>[] = []
    for (let i = 0; i < 10_000; i++) {
      writes.push(first.table('topics').put(`topic-${i}`, { queues: 8, permissions: 6 }))
      writes.push(first.table('groups').put(`group-${i}`, { retries: 16 }))
      first.offsets.set(`group-${i}`, `topic-${i}`, 0, i)
    }
    await Promise.all(writes)
    await first.close()
    const second = await open()
    expect(second.table('topics').size).toBe(10_000)
    expect(second.table('groups').get('group-9999')).toEqual({ retries: 16 })
    expect(second.offsets.get('group-9999', 'topic-9999', 0)).toBe(9999)
  })
})

describe('consumer offsets', () => {
  it('are durable when flush resolves, whatever was set before it, also by calls during a flush', async () => {
    const first = await open()
    const { offsets } = first
    offsets.set('g', 'orders', 0, 10)
    offsets.set('g', 'orders', 3, 7)
    const one = offsets.flush()
    offsets.set('g', 'orders', 0, 11)
    offsets.set('h', 'orders', 0, 1)
    const two = offsets.flush()
    expect(offsets.flush()).toBe(two)
    await Promise.all([one, two])
    offsets.set('h', 'other', 1, 5)
    offsets.remove('h', 'orders')
    expect(offsets.version.counter).toBe(2)
    // The third change is stored by close.
    await first.close()

    const second = await open()
    expect(second.offsets.get('g', 'orders', 0)).toBe(11)
    expect([...second.offsets.queues('g', 'orders')]).toEqual([
      [0, 11],
      [3, 7],
    ])
    expect(second.offsets.groupsOf('orders')).toEqual(['g'])
    expect(second.offsets.topicsOf('h')).toEqual(['other'])
    expect(second.offsets.version.counter).toBe(3)
    second.offsets.removeTopic('orders')
    expect([...second.offsets.groups()]).toEqual(['h'])
  })

  it('write nothing when nothing changed', async () => {
    const { offsets } = await open()
    offsets.set('g', 't', 0, 1)
    await offsets.flush()
    offsets.set('g', 't', 0, 1)
    await offsets.flush()
    expect(offsets.version.counter).toBe(1)
  })
})

describe('a data directory', () => {
  it('is refused when a newer version wrote it, and unlocked again', async () => {
    const first = await open()
    await first.close()
    const raw = await KeyValueStore.open(join(directory, 'metadata'), { environment, durability: 'flushed' })
    await raw.table('format').put('store', { format: 99 })
    await raw.close()
    await expect(open()).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining('format 99'),
    })
    lockDirectory(directory).release()
  })

  it('is taken by one process only, and the refusal names the pid', async () => {
    await open()
    await expect(open()).rejects.toMatchObject({ code: 'STORE_LOCKED', detail: { pid: process.pid } })
  })

  it('held by another live process is refused, and taken over when that process is dead', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    const status = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
    const startTicks = status.slice(status.lastIndexOf(')') + 2).split(' ')[19]
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const file = join(directory, 'millrace.lock')
    try {
      writeFileSync(file, `${child.pid} ${startTicks} ${boot}\n`)
      expect(() => lockDirectory(directory)).toThrow(expect.objectContaining({ detail: { pid: child.pid } }))
      // Same pid, other start: the pid was given to a new process after the owner died.
      writeFileSync(file, `${child.pid} 1 ${boot}\n`)
      lockDirectory(directory).release()
      writeFileSync(file, `${child.pid} ${startTicks} ${boot}\n`)
    } finally {
      const gone = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    lockDirectory(directory).release()
    expect(() => readFileSync(file)).toThrow()
  })

  it('left with our own pid by an earlier process is taken over', () => {
    writeFileSync(join(directory, 'millrace.lock'), `${process.pid} 1 x\n`)
    lockDirectory(directory).release()
    writeFileSync(join(directory, 'millrace.lock'), 'not a lock')
    lockDirectory(directory).release()
  })
})
