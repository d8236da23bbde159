import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  count,
  type Environment,
  json,
  MemoryState,
  type Pipeline,
  pipeline,
  type StateBackend,
  sum,
  topic,
  tumbling,
  type Windowed,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { SeededRandom, type Simulation, simulate } from '@millrace/core/testkit'
import { openTaskState } from '@millrace/storage'
import { afterEach, describe, expect, it } from 'vitest'
import { type EngineOptions, PipelineEngine } from '../../src/pipeline/pipeline-engine.js'
import { FakeTopics, type Received } from './fake-topics.js'

interface Reading {
  readonly sensor: string
  readonly at: number
  readonly value: number
}
type Result = Windowed<string, { readonly n: number; readonly sum: number }>

const readings = topic('readings', { value: json<Reading>(), eventTime: r => r.at, outOfOrder: 50, idle: '1 h' })
const results = topic('results', { value: json<Result>() })
const copies = topic('copies', { value: json<Reading>() })

const bySensor = pipeline('by-sensor', source =>
  source(readings)
    .keyBy(reading => reading.sensor)
    .window(tumbling(10))
    .aggregate({ n: count(), sum: sum(reading => reading.value) })
    .to(results),
)
const copy = pipeline('copy', source => source(readings).to(copies))

const OPTIONS: EngineOptions = {
  commitIntervalMs: 100,
  inFlightMax: 64,
  cacheEntriesMax: 100,
  startAt: undefined,
  guarantee: 'exactly-once',
  migrate: false,
  queuesOfNewTopics: 2,
}
/** Past every window. */
const END = 100_000

function world(seed = 1): { sim: Simulation; topics: FakeTopics; states: Map<string, MemoryState> } {
  const sim = simulate({ seed })
  return { sim, topics: new FakeTopics(sim), states: new Map() }
}

function engineOf(
  what: Pipeline,
  { topics, states, sim }: ReturnType<typeof world>,
  options: Partial<EngineOptions> = {},
): { engine: PipelineEngine; errors: Error[]; kill: () => void } {
  const ports = topics.ports(async task => {
    let state = states.get(task)
    if (state === undefined) states.set(task, (state = new MemoryState()))
    return state
  })
  const engine = new PipelineEngine(what, ports, sim, { ...OPTIONS, ...options })
  const errors: Error[] = []
  engine.errors.subscribe(error => errors.push(error))
  return { engine, errors, kill: () => ports.kill() }
}

function randomReadings(random: SeededRandom, n: number): { reading: Reading; queue: number }[] {
  return Array.from({ length: n }, (_, i) => ({
    reading: { sensor: `s${random.int(5)}`, at: Math.max(0, i - random.int(40)), value: random.int(10) },
    queue: random.int(3),
  }))
}

function direct(input: readonly { reading: Reading }[]): string[] {
  const totals = new Map<string, { n: number; sum: number }>()
  for (const { reading } of input) {
    const name = `${reading.sensor}@${Math.floor(reading.at / 10) * 10}`
    const total = totals.get(name) ?? { n: 0, sum: 0 }
    totals.set(name, { n: total.n + 1, sum: total.sum + reading.value })
  }
  return [...totals].map(([name, { n, sum }]) => `${name} ${n}/${sum}`).sort()
}

const written = (received: readonly Received<Result>[]): string[] =>
  received.map(({ value: { key, window, value } }) => `${key}@${window.start} ${value.n}/${value.sum}`).sort()

/** What a reader keeps that drops what it has seen from a task. */
function distinct<T>(received: readonly Received<T>[]): Received<T>[] {
  const seen = new Set<string>()
  return received.filter(({ task, sequence }) => {
    const name = `${task}#${sequence}`
    return !seen.has(name) && seen.add(name)
  })
}

describe('the engine', () => {
  it('makes the topics it needs, and computes over queues what one loop would', async () => {
    const w = world()
    const input = randomReadings(new SeededRandom(7), 400)
    w.topics.create('readings', 3)
    for (const { reading, queue } of input) w.topics.put(readings, reading, queue)
    for (const queue of [0, 1, 2]) w.topics.put(readings, { sensor: 'end', at: END, value: 0 }, queue)
    const { engine, errors } = engineOf(bySensor, w)
    await w.sim.runUntilSettled(engine.start())
    await w.sim.run(w.sim.clock.now() + 5_000)
    expect(w.topics.created).toEqual(['results', 'by-sensor-key-by-1-repartition'])
    expect(written(w.topics.read(results))).toEqual(direct(input))
    const metrics = engine.metrics()
    expect(metrics).toMatchObject({ late: 0, skipped: 0, lag: 0, inFlight: 0, watermark: END - 50 })
    expect(metrics.tasks.map(task => [task.name, task.state])).toContainEqual(['source-1-2', 'running'])
    await w.sim.runUntilSettled(engine.stop())
    expect(engine.metrics().tasks).toEqual([])
    expect(errors).toEqual([])
  })

  it.each(Array.from({ length: 12 }, (_, i) => 1_000 + i))(
    'gives the same results when it is killed again and again (seed %i)',
    async seed => {
      const w = world(seed)
      const random = new SeededRandom(seed)
      const input = randomReadings(random, 300)
      w.topics.create('readings', 3)
      w.topics.sendDelayMs = random.int(3) * 20
      let running = engineOf(bySensor, w, { inFlightMax: 1 + random.int(40), cacheEntriesMax: 1 + random.int(30) })
      await w.sim.runUntilSettled(running.engine.start())
      let next = 0
      while (next < input.length) {
        for (let n = random.int(40); n > 0 && next < input.length; n--) {
          const { reading, queue } = input[next++]!
          w.topics.put(readings, reading, queue)
        }
        await w.sim.run(w.sim.clock.now() + random.int(150))
        if (random.int(3) > 0) continue
        running.kill()
        running = engineOf(bySensor, w, { inFlightMax: 1 + random.int(40), cacheEntriesMax: 1 + random.int(30) })
        await w.sim.runUntilSettled(running.engine.start())
      }
      for (const queue of [0, 1, 2]) w.topics.put(readings, { sensor: 'end', at: END, value: 0 }, queue)
      await w.sim.run(w.sim.clock.now() + 60_000)
      expect(written(distinct(w.topics.read(results)))).toEqual(direct(input))
      expect(running.engine.metrics()).toMatchObject({ late: 0, lag: 0, inFlight: 0 })
    },
  )

  it('marks each output with pipeline, task, epoch, sequence and event time', async () => {
    const w = world()
    w.topics.create('readings', 1)
    w.topics.put(readings, { sensor: 'a', at: 77, value: 1 })
    const born = w.sim.clock.now()
    const { engine } = engineOf(copy, w)
    await w.sim.runUntilSettled(engine.start())
    await w.sim.run(w.sim.clock.now() + 1_000)
    expect(w.topics.raw('copies')[0]?.properties).toEqual({
      'mr.pipeline': 'copy',
      'mr.task': 'source-1-0',
      'mr.epoch': String(born),
      'mr.seq': String(Math.max(0, born - Date.UTC(2020, 0)) * 1_000 + 1),
      'mr.time': '77',
    })
    await w.sim.runUntilSettled(engine.stop())
  })

  it('commits what it has read when it stops, and goes on behind it without repeating anything', async () => {
    const w = world()
    w.topics.create('readings', 2)
    for (let i = 0; i < 100; i++) w.topics.put(readings, { sensor: 'a', at: i, value: i }, i % 2)
    const first = engineOf(copy, w, { commitIntervalMs: 60_000 })
    await w.sim.runUntilSettled(first.engine.start())
    await w.sim.run(w.sim.clock.now() + 50)
    await w.sim.runUntilSettled(first.engine.stop())
    expect(w.topics.reported).toEqual(
      new Map([
        ['readings/0', 50],
        ['readings/1', 50],
      ]),
    )
    w.topics.put(readings, { sensor: 'a', at: 100, value: 100 }, 0)
    const second = engineOf(copy, w)
    await w.sim.runUntilSettled(second.engine.start())
    await w.sim.run(w.sim.clock.now() + 1_000)
    expect(
      w.topics
        .read(copies)
        .map(({ value }) => value.value)
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 101 }, (_, i) => i))
    await w.sim.runUntilSettled(second.engine.stop())
  })

  it('at least once: commits nothing whose outputs are not acknowledged', async () => {
    const w = world()
    w.topics.create('readings', 1)
    for (let i = 0; i < 10; i++) w.topics.put(readings, { sensor: 'a', at: i, value: i })
    w.topics.isBlocked = true
    const first = engineOf(copy, w, { guarantee: 'at-least-once' })
    await w.sim.runUntilSettled(first.engine.start())
    await w.sim.run(w.sim.clock.now() + 5_000)
    expect(first.engine.metrics()).toMatchObject({ recordsIn: 10, inFlight: 10 })
    expect(w.topics.reported.size).toBe(0)
    first.kill()
    w.topics.unblock()
    const second = engineOf(copy, w, { guarantee: 'at-least-once' })
    await w.sim.runUntilSettled(second.engine.start())
    await w.sim.run(w.sim.clock.now() + 5_000)
    const sent = w.topics.read(copies)
    expect(new Set(sent.map(({ epoch }) => epoch)).size).toBe(2)
    expect(distinct(sent).map(({ value }) => value.value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(w.topics.reported.get('readings/0')).toBe(10)
    await w.sim.runUntilSettled(second.engine.stop())
  })

  it.each([1, 7, 64])('stops reading at %i records in flight while the sink is blocked', async inFlightMax => {
    const w = world()
    w.topics.create('readings', 1)
    for (let i = 0; i < 1_000; i++) w.topics.put(readings, { sensor: 'a', at: i, value: i })
    w.topics.isBlocked = true
    const { engine } = engineOf(copy, w, { inFlightMax })
    await w.sim.runUntilSettled(engine.start())
    let most = 0
    const watch = async (ms: number): Promise<void> => {
      for (let i = 0; i < ms / 5; i++) {
        await w.sim.run(w.sim.clock.now() + 5)
        most = Math.max(most, w.topics.pulledCount - w.topics.storedCount)
      }
    }
    await watch(2_000)
    expect(w.topics.pulledCount).toBe(inFlightMax)
    w.topics.sendDelayMs = 3
    w.topics.unblock()
    await watch(10_000)
    expect(most).toBe(inFlightMax)
    expect(w.topics.read(copies).map(({ value }) => value.value)).toEqual(Array.from({ length: 1_000 }, (_, i) => i))
    await w.sim.runUntilSettled(engine.stop())
  })

  it('does not begin anew behind another process that has the state, unless asked', async () => {
    const w = world()
    w.topics.create('readings', 1)
    w.topics.put(readings, { sensor: 'a', at: 1, value: 1 })
    const first = engineOf(bySensor, w)
    await w.sim.runUntilSettled(first.engine.start())
    await w.sim.run(w.sim.clock.now() + 1_000)
    await w.sim.runUntilSettled(first.engine.stop())
    w.states.clear()
    const second = engineOf(bySensor, w)
    const refused = expect(second.engine.start()).rejects.toMatchObject({ code: 'STATE_MISSING' })
    await w.sim.run(w.sim.clock.now() + 1_000)
    await refused
    const third = engineOf(bySensor, w, { startAt: 'first' })
    await w.sim.runUntilSettled(third.engine.start())
    await w.sim.runUntilSettled(third.engine.stop())
  })

  it('answers queries from its stores, and calls what answers later', async () => {
    const people = topic('people', { value: json<{ id: string; n: number }>(), key: person => person.id })
    const asked = pipeline('asked', source => [
      source(readings)
        .mapAsync(async reading => ({ id: reading.sensor, n: reading.value }))
        .to(people),
      source(readings)
        .keyBy(reading => reading.sensor)
        .count({ name: 'counts' }),
    ])
    const w = world()
    w.topics.create('readings', 1)
    const { engine } = engineOf(asked, w)
    await w.sim.runUntilSettled(engine.start())
    for (const sensor of ['a', 'b', 'a']) w.topics.put(readings, { sensor, at: 1, value: 5 })
    await w.sim.run(w.sim.clock.now() + 2_000)
    const counts = engine.store<number>('counts')
    expect([counts.get('a'), counts.get('b'), counts.get('c')]).toEqual([2, 1, undefined])
    expect([...counts.range()]).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    expect(() => engine.store('nothing')).toThrow('has no operator "nothing" with a store')
    expect(
      w.topics
        .read(people)
        .map(({ value }) => value.id)
        .sort(),
    ).toEqual(['a', 'a', 'b'])
    await w.sim.runUntilSettled(engine.stop())
  })

  it('sends again what a broker refused, in order', async () => {
    const w = world()
    w.topics.create('readings', 1)
    w.topics.failures = 5
    for (let i = 0; i < 50; i++) w.topics.put(readings, { sensor: 'a', at: i, value: i })
    const { engine, errors } = engineOf(copy, w, { inFlightMax: 8 })
    await w.sim.runUntilSettled(engine.start())
    await w.sim.run(w.sim.clock.now() + 30_000)
    expect(w.topics.read(copies).map(({ value }) => value.value)).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(errors).toHaveLength(5)
    await w.sim.runUntilSettled(engine.stop())
  })

  it('restarts a task whose operator fails, gives it up in the end, and lets the others go on', async () => {
    const fragile = pipeline('fragile', source =>
      source(readings)
        .map(reading => {
          if (reading.value === 13) throw new Error('bad luck')
          return reading
        })
        .to(copies),
    )
    const w = world()
    w.topics.create('readings', 2)
    w.topics.put(readings, { sensor: 'a', at: 1, value: 13 }, 0)
    const { engine, errors } = engineOf(fragile, w)
    await w.sim.runUntilSettled(engine.start())
    await w.sim.run(w.sim.clock.now() + 120_000)
    w.topics.put(readings, { sensor: 'a', at: 1, value: 1 }, 1)
    await w.sim.run(w.sim.clock.now() + 5_000)
    expect(errors[0]?.message).toBe('operator "map-1" failed: bad luck')
    expect(engine.metrics().tasks.map(({ state }) => state)).toEqual(['failed', 'running'])
    expect(w.topics.read(copies)).toHaveLength(1)
    await w.sim.runUntilSettled(engine.stop())
  })
})

describe('the engine on disk', () => {
  const directories: string[] = []
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
  })

  function onDisk(environment: Environment): (task: string) => Promise<StateBackend> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-pipeline-'))
    directories.push(directory)
    return task => openTaskState(join(directory, task), environment)
  }

  async function until(fact: () => boolean): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!fact()) {
      if (Date.now() > deadline) throw new Error('waited 10 s in vain')
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  it('goes on after kills as if nothing had happened', async () => {
    const environment = nodeEnvironment()
    const topics = new FakeTopics(environment)
    const openState = onDisk(environment)
    const random = new SeededRandom(3)
    const input = randomReadings(random, 400)
    topics.create('readings', 3)
    const states = new Set<StateBackend>()
    const run = async (): Promise<{ engine: PipelineEngine; kill: () => Promise<void> }> => {
      const ports = topics.ports(async task => {
        const state = await openState(task)
        states.add(state)
        return state
      })
      const engine = new PipelineEngine(bySensor, ports, environment, { ...OPTIONS, commitIntervalMs: 5 })
      await engine.start()
      return {
        engine,
        async kill() {
          ports.kill()
          await Promise.all([...states].map(state => state.close()))
          states.clear()
          void engine.stop()
        },
      }
    }
    let running = await run()
    for (const [index, { reading, queue }] of input.entries()) {
      topics.put(readings, reading, queue)
      if (index % 100 !== 99) continue
      await new Promise(resolve => setTimeout(resolve, random.int(25)))
      await running.kill()
      running = await run()
    }
    for (const queue of [0, 1, 2]) topics.put(readings, { sensor: 'end', at: END, value: 0 }, queue)
    const expected = direct(input)
    await until(() => distinct(topics.read(results)).length >= expected.length)
    expect(written(distinct(topics.read(results)))).toEqual(expected)
    await running.engine.stop()
  })

  it('refuses state that another shape of the pipeline has made', async () => {
    const environment = nodeEnvironment()
    const topics = new FakeTopics(environment)
    const openState = onDisk(environment)
    topics.create('readings', 1)
    const engine = new PipelineEngine(bySensor, topics.ports(openState), environment, OPTIONS)
    await engine.start()
    await engine.stop()
    const wider = pipeline('by-sensor', source =>
      source(readings)
        .keyBy(reading => reading.sensor)
        .window(tumbling(20))
        .aggregate({ n: count(), sum: sum(reading => reading.value) })
        .to(results),
    )
    const changed = new PipelineEngine(wider, topics.ports(openState), environment, OPTIONS)
    await expect(changed.start()).rejects.toMatchObject({
      code: 'TOPOLOGY_CHANGED',
      message: expect.stringContaining('it had [aggregate-1: tumbling 10 ms of n: count, sum: sum]'),
    })
    const same = new PipelineEngine(bySensor, topics.ports(openState), environment, OPTIONS)
    await same.start()
    await same.stop()
  })
})
