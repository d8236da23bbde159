// Speed of the stream engine in this process, over Nexmark's events: node bench/stream/engine.mjs [events]
// `engine` events are objects in memory and results are counted; `codec` bodies are decoded and results encoded; `commit` also writes state
// and outputs to LMDB every 100 ms. A figure counts only when its digest or its number of results is right.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, MemoryState, msgpack, pipeline, planPipeline, TaskProgram, topic, tumbling } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { testPipeline } from '@millrace/core/testkit'
import { openTaskState } from '@millrace/storage'
import { filter, map, Subject } from 'rxjs'
import { Generator, shuffledOrder } from '../../examples/dist/nexmark/events.js'

const EVENTS = Number(process.argv[2] ?? 300_000)
const ONLY = process.argv[3]
const ROUNDS = 7
const BATCH = 512

const generator = new Generator()
const events = [...shuffledOrder(EVENTS)].map(n => generator.event(n))
const bids = events.filter(event => event.bid !== undefined).length
const times = events.map(event => (event.bid ?? event.auction ?? event.person).dateTime)

/** The value is in memory already: its place travels as the record. */
const objects = { name: 'objects', serialize: value => value, deserialize: body => body }
const discard = { name: 'counted', serialize: value => value, deserialize: body => body }

const timeOf = event => (event.bid ?? event.auction ?? event.person).dateTime
const source = serde => topic('nexmark', { value: serde, eventTime: timeOf, outOfOrder: '4 s' })
const q0 = (serde, out) => {
  const input = source(serde)
  return pipeline('q0', from =>
    from(input)
      .filter(event => event.bid !== undefined)
      .map(({ bid: { auction, bidder, price, dateTime, extra } }) => ({ auction, bidder, price, dateTime, extra }))
      .to(topic('out', { value: out })),
  )
}
const tumble = (serde, out) => {
  const input = source(serde)
  return pipeline('tumble', from =>
    from(input)
      .filter(event => event.bid !== undefined)
      .keyBy(event => event.bid.auction)
      .window(tumbling('10 s'))
      .count()
      .to(topic('out', { value: out })),
  )
}

const options = (what, state) => {
  const plan = planPipeline(what.id, what.graph, () => 1)
  return {
    pipelineId: what.id,
    plan,
    stage: plan.stages[0],
    queue: 0,
    state,
    queueCount: () => 1,
    cacheEntriesMax: 1_000_000,
    guarantee: 'exactly-once',
    wallClock: () => 0,
    after: () => () => {},
    wake() {},
    now: 0,
    onSkipped(error) {
      throw error
    },
  }
}

async function measure(name, expected, work) {
  if (ONLY !== undefined && !name.startsWith(ONLY)) return
  const figures = []
  for (let round = 0; round < ROUNDS; round++) {
    const begin = process.cpuUsage()
    const wall = performance.now()
    const results = await work()
    const { user, system } = process.cpuUsage(begin)
    const elapsed = performance.now() - wall
    if (expected !== undefined && results !== expected) throw new Error(`${name}: ${results} results, not ${expected}`)
    figures.push({ wall: EVENTS / elapsed / 1e3, cpu: EVENTS / (user + system) })
  }
  const median = of => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)]
  const cpu = median(figures.slice(1).map(figure => figure.cpu))
  const wall = median(figures.slice(1).map(figure => figure.wall))
  console.log(`${name.padEnd(44)} ${wall.toFixed(2).padStart(7)} M/s wall ${cpu.toFixed(2).padStart(7)} M/s of CPU`)
}

const records = bodies => bodies.map((body, offset) => ({ offset, body, key: undefined, timestamp: times[offset] }))
const batches = all => {
  const cut = []
  for (let at = 0; at < all.length; at += BATCH) cut.push(all.slice(at, at + BATCH))
  return cut
}

async function engine(what, cut, commit) {
  const directory = commit ? mkdtempSync(join(tmpdir(), 'millrace-bench-')) : undefined
  const state = directory ? await openTaskState(directory, nodeEnvironment()) : new MemoryState()
  const program = new TaskProgram({ ...options(what, state), guarantee: commit ? 'exactly-once' : 'at-least-once' })
  let results = 0
  let last = performance.now()
  const save = async () => {
    const { changes, outbox } = program.cut()
    await state.commit(changes)
    program.settle()
    results += outbox?.outputs.length ?? 0
    if (outbox) program.trim(outbox.commit)
    last = performance.now()
  }
  for (const batch of cut) {
    program.process(0, batch, 0, 0, Number.MAX_SAFE_INTEGER)
    if (!commit) results += program.takeOutputs().length
    else if (performance.now() - last > 100) await save()
  }
  program.finish(Number.MAX_SAFE_INTEGER)
  if (commit) await save()
  results += program.takeOutputs().length
  await state.close()
  if (directory) rmSync(directory, { recursive: true, force: true })
  return results
}

const windows = new Set(events.filter(e => e.bid).map(e => `${e.bid.auction}@${Math.floor(e.bid.dateTime / 10_000)}`))
  .size

await measure('q0, RxJS, a Subject per event', bids, () => {
  const subject = new Subject()
  let results = 0
  subject
    .pipe(
      filter(event => event.bid !== undefined),
      map(({ bid: { auction, bidder, price, dateTime, extra } }) => ({ auction, bidder, price, dateTime, extra })),
    )
    .subscribe(() => results++)
  for (const event of events) subject.next(event)
  return results
})

const inMemory = batches(records(events))
await measure('q0, engine', bids, () => engine(q0(objects, discard), inMemory))
await measure('tumbling count, engine', windows, () => engine(tumble(objects, discard), inMemory))

for (const serde of [msgpack(), json()]) {
  const encoded = batches(records(events.map(event => serde.serialize(event))))
  await measure(`q0, ${serde.name}`, bids, () => engine(q0(serde, serde), encoded))
  await measure(`tumbling count, ${serde.name}`, windows, () => engine(tumble(serde, serde), encoded))
  await measure(`tumbling count, ${serde.name}, commits`, windows, () => engine(tumble(serde, serde), encoded, true))
}

const bytes = events.map(event => json().serialize(event))
await measure('tumbling count, test driver, json', undefined, () => {
  const input = source(json())
  const driver = testPipeline(tumble(json(), json()), { queues: 1 })
  for (const body of bytes) driver.sendBytes(input, body)
  driver.finish()
})
