import fc from 'fast-check'
import { bufferCount, delay, filter, map, scan, take } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { count, max, mean, min, sum } from '../../src/stream/aggregator.js'
import { type Pipeline, pipeline } from '../../src/stream/builder.js'
import { json, msgpack, text } from '../../src/stream/serde.js'
import { topic } from '../../src/stream/topic.js'
import { tumbling, type Windowed } from '../../src/stream/window.js'
import { type PipelineDriver, type TestRecord, testPipeline } from '../../src/testkit/pipeline-driver.js'

interface Reading {
  readonly sensor: string
  readonly at: number
  readonly value: number
}
type Result = Windowed<string, { readonly n: number; readonly sum: number }>

const bySensor = (reading: Reading): string => reading.sensor
const readings = topic('readings', { value: json<Reading>(), key: bySensor, eventTime: reading => reading.at })
const loose = topic('loose', { value: json<Reading>(), eventTime: reading => reading.at, outOfOrder: 5, idle: 1_000 })
const results = topic('results', { value: json<Result>() })
const lateReadings = topic('late', { value: msgpack<Reading>() })

function windows(options: { grace?: number; emit?: 'final' | 'updates'; from?: typeof loose }): Pipeline {
  return pipeline('windows', source => {
    const aggregated = source(options.from ?? readings)
      .keyBy(bySensor)
      .window(tumbling(10, { grace: options.grace ?? 0 }))
      .aggregate({ n: count(), sum: sum(reading => reading.value) }, { emit: options.emit ?? 'final' })
    return [aggregated.to(results), aggregated.late().to(lateReadings)]
  })
}

const send = (driver: PipelineDriver, at: number, value = at, sensor = 'a'): void =>
  driver.send(readings, { sensor, at, value })

/** `key@start n/sum`. */
const written = (records: readonly TestRecord<Result>[]): string[] =>
  records.map(({ value: { key, window, value } }) => `${key}@${window.start} ${value.n}/${value.sum}`)

describe('tumbling windows', () => {
  it.each<[string, { grace?: number; at: number[]; results: string[]; late: number[] }]>([
    ['nothing before the end of the window', { at: [0, 5, 9], results: [], late: [] }],
    ['a result at its end exactly', { at: [0, 9, 10], results: ['a@0 2/9'], late: [] }],
    ['an event at the border into the window that begins there', { at: [10, 20], results: ['a@10 1/10'], late: [] }],
    ['times before the epoch', { at: [-1, -10, 0], results: ['a@-10 2/-11'], late: [] }],
    ['several windows at once, in order', { at: [1, 11, 100], results: ['a@0 1/1', 'a@10 1/11'], late: [] }],
    ['disorder within an open window', { at: [3, 8, 1, 10], results: ['a@0 3/12'], late: [] }],
    ['what comes after the close as late', { at: [3, 10, 9, 20], results: ['a@0 1/3', 'a@10 1/10'], late: [9] }],
    ['no result within the grace', { grace: 5, at: [3, 14], results: [], late: [] }],
    ['an event in the grace', { grace: 5, at: [3, 14, 9, 15], results: ['a@0 2/12'], late: [] }],
    ['an event past the grace as late', { grace: 5, at: [3, 15, 9, 25], results: ['a@0 1/3', 'a@10 1/15'], late: [9] }],
    ['windows without events not at all', { at: [0, 50, 60], results: ['a@0 1/0', 'a@50 1/50'], late: [] }],
  ])('give %s', (_, { grace = 0, at, results: expected, late }) => {
    const driver = testPipeline(windows({ grace }))
    for (const time of at) send(driver, time)
    expect(written(driver.read(results))).toEqual(expected)
    expect(driver.read(lateReadings).map(record => record.value.at)).toEqual(late)
    expect(driver.counters.late).toBe(late.length)
  })

  it('give each result the last event time of its window and its key', () => {
    const driver = testPipeline(windows({}))
    send(driver, 3)
    send(driver, 10)
    expect(driver.read(results)).toEqual([
      {
        key: 'a',
        timestamp: 9,
        task: 'source-1-0',
        sequence: 1,
        value: { key: 'a', window: { start: 0, end: 10 }, value: { n: 1, sum: 3 } },
      },
    ])
  })

  it('give an update per record when asked, and nothing more at the close', () => {
    const driver = testPipeline(windows({ emit: 'updates' }))
    for (const at of [1, 2, 10, 20]) send(driver, at)
    expect(written(driver.read(results))).toEqual(['a@0 1/1', 'a@0 2/3', 'a@10 1/10', 'a@20 1/20'])
  })

  it('keep keys apart, 1 and "1" too, and give them in one order', () => {
    const mixed = topic('mixed', { value: json<{ key: string | number; at: number }>(), eventTime: value => value.at })
    const counts = topic('counts', { value: json<Windowed<string | number, { readonly n: number }>>() })
    const byKey = pipeline('mixed', source =>
      source(mixed)
        .keyBy(value => value.key)
        .window(tumbling(10))
        .aggregate({ n: count() })
        .to(counts),
    )
    const driver = testPipeline(byKey)
    for (const key of ['b', 1, 'é', '1', 1, 'a']) driver.send(mixed, { key, at: 0 })
    driver.send(mixed, { key: 'end', at: 10 })
    expect(driver.read(counts).map(({ value }) => [value.key, value.value.n])).toEqual([
      [1, 2],
      ['1', 1],
      ['a', 1],
      ['b', 1],
      ['é', 1],
    ])
  })

  it('advance event time by records that are filtered out', () => {
    const positive = pipeline('positive', source =>
      source(readings)
        .filter(reading => reading.value > 0)
        .keyBy(bySensor)
        .window(tumbling(10))
        .aggregate({ n: count(), sum: sum(reading => reading.value) })
        .to(results),
    )
    const driver = testPipeline(positive)
    send(driver, 1, 1)
    send(driver, 10, -1)
    expect(written(driver.read(results))).toEqual(['a@0 1/1'])
  })

  it('wait for events that the topic lets come out of order', () => {
    const driver = testPipeline(windows({ from: loose }))
    for (const at of [3, 14, 9]) driver.send(loose, { sensor: 'a', at, value: at })
    expect(driver.read(results)).toEqual([])
    driver.send(loose, { sensor: 'a', at: 15, value: 15 })
    expect(written(driver.read(results))).toEqual(['a@0 2/12'])
    expect(driver.counters.late).toBe(0)
  })

  it('compute every aggregate over the same values', () => {
    const all = topic('all', { value: json<Windowed<string, Record<'n' | 'sum' | 'mean' | 'min' | 'max', number>>>() })
    const value = (reading: Reading): number => reading.value
    const driver = testPipeline(
      pipeline('all', source =>
        source(readings)
          .keyBy(bySensor)
          .window(tumbling(10))
          .aggregate({ n: count(), sum: sum(value), mean: mean(value), min: min(value), max: max(value) })
          .to(all),
      ),
    )
    for (const reading of [4, -2, 7]) send(driver, 1, reading)
    send(driver, 10)
    expect(driver.read(all)[0]?.value.value).toEqual({ n: 3, sum: 9, mean: 3, min: -2, max: 7 })
  })

  it('give results in time for the windows behind them', () => {
    const tens = pipeline('tens', source =>
      source(readings)
        .keyBy(bySensor)
        .window(tumbling(10, { grace: 3 }))
        .aggregate({ n: count() })
        .keyBy(result => result.key)
        .window(tumbling(100))
        .aggregate({ n: count(), sum: sum(result => result.value.n) })
        .to(results),
    )
    for (const queues of [1, 3]) {
      const driver = testPipeline(tens, { queues })
      for (let at = 0; at <= 210; at++) send(driver, at, 1)
      driver.advance('1 min')
      expect(written(driver.read(results))).toEqual(['a@0 10/100', 'a@100 10/100'])
      expect(driver.counters.late).toBe(0)
    }
  })
})

describe('a repartition', () => {
  const byKind = pipeline('by-kind', source =>
    source(loose)
      .keyBy(bySensor)
      .window(tumbling(10))
      .aggregate({ n: count(), sum: sum(r => r.value) })
      .to(results),
  )

  it('holds a window open for the queue that lags behind', () => {
    const driver = testPipeline(byKind, { queues: 2 })
    expect(driver.repartitionTopics).toEqual(['by-kind-key-by-1-repartition'])
    driver.send(loose, { sensor: 'a', at: 100, value: 1 }, { queue: 0 })
    driver.send(loose, { sensor: 'a', at: 4, value: 2 }, { queue: 1 })
    expect(driver.read(results)).toEqual([])
    driver.send(loose, { sensor: 'b', at: 100, value: 4 }, { queue: 1 })
    expect(written(driver.read(results))).toEqual(['a@0 1/2'])
    expect(driver.counters.late).toBe(0)
  })

  it('does not wait for an idle queue beyond its time-out, and takes it in again', () => {
    const driver = testPipeline(byKind, { queues: 2, guarantee: 'at-least-once' })
    driver.send(loose, { sensor: 'a', at: 1, value: 1 }, { queue: 0 })
    driver.send(loose, { sensor: 'a', at: 50, value: 1 }, { queue: 0 })
    driver.advance(900)
    expect(driver.read(results)).toEqual([])
    driver.advance(200)
    expect(written(driver.read(results))).toEqual(['a@0 1/1'])
    driver.send(loose, { sensor: 'a', at: 2, value: 1 }, { queue: 1 })
    driver.send(loose, { sensor: 'a', at: 49, value: 8 }, { queue: 1 })
    driver.send(loose, { sensor: 'a', at: 99, value: 1 }, { queue: 0 })
    driver.commit()
    expect(driver.counters.late).toBe(1)
    expect(driver.read(results)).toEqual([])
    driver.send(loose, { sensor: 'b', at: 99, value: 1 }, { queue: 1 })
    expect(written(driver.read(results))).toEqual(['a@40 1/8', 'a@50 1/1'])
  })
})

describe('records that a pipeline cannot use', () => {
  it.each([
    ['a body that is no JSON', Buffer.from('{')],
    ['an event time that is no time', Buffer.from('{"sensor":"a","at":"soon","value":1}')],
    ['a body that its functions trip over', Buffer.from('null')],
  ])('skips, counts and reports %s', (_, body) => {
    const driver = testPipeline(windows({}))
    send(driver, 1)
    driver.sendBytes(readings, body)
    send(driver, 10)
    expect(written(driver.read(results))).toEqual(['a@0 1/1'])
    expect(driver.counters.skipped).toBe(1)
    expect(driver.errors[0]?.message).toMatch(/^skipped record readings\/0@1: /)
  })

  it('stops with the name of the operator that failed', () => {
    const failing = pipeline('failing', source =>
      source(readings)
        .map(reading => {
          if (reading.value === 2) throw new Error('no twos')
          return reading
        })
        .to(topic('out', { value: json<Reading>() })),
    )
    const driver = testPipeline(failing)
    send(driver, 1)
    expect(() => send(driver, 2)).toThrow('operator "map-1" failed: no twos')
  })
})

describe('RxJS operators', () => {
  const words = topic('words', { value: text() })
  const out = topic('out', { value: text() })

  it('work per element, with state in memory', () => {
    const driver = testPipeline(
      pipeline('rx', source =>
        source(words)
          .pipe(
            filter(word => word !== 'skip'),
            scan((all, word) => all + word, ''),
            bufferCount(2),
            map(pair => pair.join(',')),
          )
          .to(out),
      ),
    )
    for (const word of ['a', 'skip', 'b', 'c', 'd', 'e']) driver.send(words, word)
    expect(driver.read(out).map(record => record.value)).toEqual(['a,ab', 'abc,abcd'])
  })

  it('drop records once they complete', () => {
    const driver = testPipeline(pipeline('first', source => source(words).pipe(take(2)).to(out)))
    for (const word of ['a', 'b', 'c']) driver.send(words, word)
    expect(driver.read(out).map(record => record.value)).toEqual(['a', 'b'])
  })

  it('are refused when they answer later', async () => {
    const driver = testPipeline(pipeline('later', source => source(words).pipe(delay(0)).to(out)))
    driver.send(words, 'a')
    await new Promise(resolve => setTimeout(resolve, 5))
    expect(() => driver.send(words, 'b')).toThrow(/"pipe-1" failed: it emitted asynchronously/)
  })

  it('pass an error of theirs on', () => {
    const driver = testPipeline(
      pipeline('broken', source =>
        source(words)
          .pipe(
            map(word => {
              if (word === 'b') throw new Error('no b')
              return word
            }),
          )
          .to(out),
      ),
    )
    driver.send(words, 'a')
    expect(() => driver.send(words, 'b')).toThrow('operator "pipe-1" failed: no b')
  })

  it('let a stream split and flatten, with what each record carries', () => {
    const seen: string[] = []
    const driver = testPipeline(
      pipeline('split', source => {
        const stream = source(words).peek(word => seen.push(word))
        return [
          stream.flatMap(word => word.split('-')).to(out),
          stream
            .keyBy(word => word.length)
            .window(tumbling(10))
            .aggregate({ n: count() }, { emit: 'updates' })
            .map(result => `${result.key}:${result.value.n}`)
            .to(topic('lengths', { value: text() })),
        ]
      }),
    )
    driver.send(words, 'a-b', { key: 'k', timestamp: 7 })
    expect(driver.read(out)).toMatchObject([
      { value: 'a', key: 'k', timestamp: 7 },
      { value: 'b', key: 'k', timestamp: 7 },
    ])
    expect(driver.read(topic('lengths', { value: text() }))).toMatchObject([{ value: '3:1', key: '3', timestamp: 7 }])
    expect(seen).toEqual(['a-b'])
  })
})

describe('a pipeline that crashes', () => {
  const event = fc.record({
    sensor: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    at: fc.nat(300),
    queue: fc.nat(2),
    value: fc.nat(9),
    after: fc.constantFrom('nothing', 'nothing', 'nothing', 'crash', 'commit', 'advance'),
  })
  const lax = topic('lax', { value: json<Reading>(), eventTime: reading => reading.at, outOfOrder: 1_000 })
  const byLax = pipeline('lax', source =>
    source(lax)
      .keyBy(bySensor)
      .window(tumbling(10))
      .aggregate({ n: count(), sum: sum(r => r.value) })
      .to(results),
  )

  /** What a reader keeps that drops what it has seen from a task. */
  function distinct(records: readonly TestRecord<Result>[]): TestRecord<Result>[] {
    const last = new Map<string, number>()
    return records.filter(({ task, sequence }) => {
      if (sequence <= (last.get(task) ?? 0)) return false
      last.set(task, sequence)
      return true
    })
  }

  it('gives the same results in the same order as one that does not (one queue, late events too)', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 120 }), fc.integer({ min: 1, max: 8 }), (events, small) => {
        const steady = testPipeline(windows({ grace: 20 }))
        const crashing = testPipeline(windows({ grace: 20 }), { cacheEntriesMax: small, outputsMax: small })
        const records: TestRecord<Result>[] = []
        for (const { sensor, at, value, after } of events) {
          send(steady, at, value, sensor)
          send(crashing, at, value, sensor)
          if (after === 'crash') crashing.crash()
          else if (after === 'commit') records.push(...crashing.read(results))
          else if (after === 'advance') crashing.advance(50)
        }
        send(steady, 1_000)
        send(crashing, 1_000)
        crashing.crash()
        records.push(...crashing.read(results))
        expect(distinct(records)).toEqual(steady.read(results))
      }),
    )
  })

  it('gives the results of a direct computation, repartitioned over queues', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 120 }), fc.integer({ min: 1, max: 8 }), (events, small) => {
        const driver = testPipeline(byLax, { queues: 3, cacheEntriesMax: small, outputsMax: small })
        const direct = new Map<string, { n: number; sum: number }>()
        const records: TestRecord<Result>[] = []
        for (const { sensor, at, value, queue, after } of events) {
          driver.send(lax, { sensor, at, value }, { queue })
          const name = `${sensor}@${Math.floor(at / 10) * 10}`
          const total = direct.get(name) ?? { n: 0, sum: 0 }
          direct.set(name, { n: total.n + 1, sum: total.sum + value })
          if (after === 'crash') driver.crash()
          else if (after === 'commit') records.push(...driver.read(results))
          else if (after === 'advance') driver.advance(50)
        }
        for (const queue of [0, 1, 2]) driver.send(lax, { sensor: 'end', at: 5_000, value: 0 }, { queue })
        driver.crash()
        records.push(...driver.read(results))
        const expected = [...direct].map(([name, { n, sum }]) => `${name} ${n}/${sum}`)
        expect(written(distinct(records)).sort()).toEqual(expected.sort())
        expect(driver.counters.late).toBe(0)
      }),
    )
  })
})
