import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, answerOf, expectedAnswers, standingRows } from '../../examples/nexmark/answers.js'
import { BASE_TIME, shuffledOrder } from '../../examples/nexmark/events.js'
import { nexmarkBodies } from '../../examples/nexmark/run-query.js'
import { nexmark, type Row, rowsTopic, type Standing, standingTopic } from '../../examples/nexmark/topics.js'
import { Millrace, type Topic } from '../../packages/millrace/dist/index.js'

const PROCESS = fileURLToPath(new URL('../faults/pipeline-process.mjs', import.meta.url))
const EVENTS = 10_000
const BATCH = 100
const QUEUES = 2

let directory: string
let millrace: Millrace
let child: ChildProcess | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-kill-'))
  millrace = await Millrace.start({ dataDir: join(directory, 'broker'), listen: {} })
})
afterEach(async () => {
  await kill()
  await millrace.close()
  await rm(directory, { recursive: true, force: true })
})

async function start(query: string): Promise<void> {
  const started = spawn(process.execPath, [PROCESS, millrace.nameserver!, directory, query], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child = started
  await new Promise<void>((resolve, reject) => {
    started.stdout!.once('data', () => resolve())
    started.once('exit', code => reject(new Error(`the pipeline ended with ${code} before it ran`)))
  })
}

async function kill(): Promise<void> {
  const running = child
  child = undefined
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
  const ended = new Promise(resolve => running.once('exit', resolve))
  running.kill('SIGKILL')
  await ended
}

/** Everything in an output topic, once `isComplete` says so or nothing more comes. */
async function readAll<T>(topic: Topic<T>, isComplete: (read: T[]) => boolean): Promise<T[]> {
  const read: T[] = []
  const consumer = millrace.consumer({ group: `reader-${topic.name}`, topics: [topic.name], from: 'first' })
  await consumer.run(message => {
    read.push(topic.value.deserialize(message.body))
  })
  let quietSince = Date.now()
  for (let count = 0; Date.now() - quietSince < (isComplete(read) ? 3_000 : 60_000); await pause(50)) {
    if (read.length !== count) quietSince = Date.now()
    count = read.length
  }
  await consumer.close()
  return read
}

describe('a pipeline that is killed again and again', () => {
  it.each(['q0', 'q4', 'q5', 'q7', 'q8', 'q11'])('gives the right answer to %s, and no output twice', async query => {
    const { count, digest } = expectedAnswers(EVENTS)[query] as Answer
    await millrace.admin.createTopic(nexmark.name, { queues: QUEUES })
    const { readQueues } = await millrace.admin.route(nexmark.name)
    const producer = millrace.producer()
    const bodies = nexmarkBodies(EVENTS)
    const order = shuffledOrder(EVENTS)
    await start(query)
    for (let at = 0; at < EVENTS; at += BATCH) {
      const messages = [...order.subarray(at, at + BATCH)].map(n => ({ topic: nexmark.name, body: bodies[n]! }))
      await producer.sendBatch(messages, { queue: readQueues[(at / BATCH) % QUEUES]! })
      await pause(5)
      if (at % 2_000 !== 1_900) continue
      await pause(at % 300)
      await kill()
      await start(query)
    }
    // Somebody who comes much later: event time goes beyond every window.
    const last = { ...nobody, dateTime: BASE_TIME + 86_400_000 }
    for (const queue of readQueues)
      await producer.send({ topic: nexmark.name, body: Buffer.from(JSON.stringify(last)) }, { queue })
    const isRefined = query === 'q4'
    let rows: readonly Row[]
    if (isRefined) {
      const right = (read: Standing[]): boolean => answerOf(standingRows(read)).digest === digest
      rows = standingRows(await readAll(standingTopic, right))
    } else rows = await readAll(rowsTopic, read => read.length >= count)
    expect(answerOf(rows)).toEqual({ count, digest })
  })
})

const nobody = { id: 0, name: 'X', emailAddress: '', creditCard: '', city: '', state: 'ZZ', extra: '' }
