import { describe, expect, it } from 'vitest'
import { count, sum } from '../../src/stream/aggregator.js'
import { pipeline } from '../../src/stream/builder.js'
import type { DeadLetterRecord } from '../../src/stream/error-policy.js'
import type { StandardSchema } from '../../src/stream/schema.js'
import { json } from '../../src/stream/serde.js'
import { topic } from '../../src/stream/topic.js'
import { countWindow, session, tumbling } from '../../src/stream/window.js'
import { testPipeline } from '../../src/testkit/pipeline-driver.js'

interface Reading {
  readonly sensor: string
  readonly at: number
  readonly value: number
}

const bySensor = (reading: Reading): string => reading.sensor
const readings = topic('readings', { value: json<Reading>(), key: bySensor, eventTime: reading => reading.at })
const others = topic('others', { value: json<Reading>(), key: bySensor, eventTime: reading => reading.at })
const out = topic('out', { value: json<unknown>() })
const side = topic('side', { value: json<unknown>() })
const letters = topic('letters', { value: json<DeadLetterRecord>() })

const reading = (at: number, value = at, sensor = 'a'): Reading => ({ sensor, at, value })
const values = (records: readonly { readonly value: unknown }[]): unknown[] => records.map(({ value }) => value)

describe('stateless operators', () => {
  it('branch to the first that passes, and to the rest', () => {
    const driver = testPipeline(
      pipeline('branches', source => {
        const { big, even, rest } = source(readings).branch({
          big: ({ value }) => value > 10,
          even: ({ value }) => value % 2 === 0,
        })
        return [
          big.map(({ value }) => `big ${value}`).to(out),
          even.map(({ value }) => `even ${value}`).to(out),
          rest.map(({ value }) => value).to(side),
        ]
      }),
    )
    for (const value of [12, 4, 5]) driver.send(readings, reading(value))
    expect(values(driver.read(out))).toEqual(['big 12', 'even 4'])
    expect(values(driver.read(side))).toEqual([5])
  })

  it('merge two topics, whose event time is the lesser', () => {
    const driver = testPipeline(
      pipeline('merged', source =>
        source(readings)
          .merge(source(others))
          .keyBy(bySensor)
          .window(tumbling(10))
          .count()
          .map(({ window, value }) => [window.start, value])
          .to(out),
      ),
    )
    driver.send(readings, reading(1))
    driver.send(readings, reading(30))
    expect(values(driver.read(out))).toEqual([])
    driver.send(others, reading(5))
    driver.send(others, reading(12))
    expect(values(driver.read(out))).toEqual([[0, 2]])
    driver.advance('11 s')
    driver.send(others, reading(40))
    expect(values(driver.read(out))).toEqual([
      [10, 1],
      [30, 1],
    ])
  })

  it.each([
    ['skip', [1, 3], 0],
    [{ deadLetter: letters }, [1, 3], 1],
  ] as const)('pass over what they fail on (%o)', (onError, expected, letterCount) => {
    const driver = testPipeline(
      pipeline('fragile', source =>
        source(readings)
          .map(
            ({ value }) => {
              if (value === 2) throw new Error('bad luck')
              return value
            },
            { name: 'fragile-map', onError },
          )
          .to(out),
      ),
    )
    for (const value of [1, 2, 3]) driver.send(readings, reading(value))
    expect(values(driver.read(out))).toEqual(expected)
    expect(driver.counters.skipped).toBe(1)
    const sent = driver.read(letters)
    expect(sent).toHaveLength(letterCount)
    if (letterCount > 0)
      expect(sent[0]?.value).toMatchObject({
        pipeline: 'fragile',
        operator: 'fragile-map',
        error: 'bad luck',
        stack: expect.stringContaining('Error: bad luck'),
        key: 'a',
        timestamp: 2,
        value: reading(2),
      })
  })

  it('send bodies that cannot be read to the dead letters', () => {
    const driver = testPipeline(
      pipeline('poisoned', source => source(readings).to(out), { onError: { deadLetter: letters } }),
    )
    driver.sendBytes(readings, Buffer.from('{'))
    expect(driver.read(letters)[0]?.value).toMatchObject({ operator: 'source-1', value: 'ew==' })
  })

  it('check values by a standard schema, on the way in and out', () => {
    const positive: StandardSchema<Reading> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: value =>
          (value as Reading).value > 0
            ? { value: value as Reading }
            : { issues: [{ message: 'must be positive', path: ['value'] }] },
      },
    }
    const checked = topic('checked', { schema: positive, eventTime: ({ at }) => at })
    const driver = testPipeline(pipeline('checks', source => source(checked).to(out)))
    driver.send(checked, reading(1))
    driver.sendBytes(checked, Buffer.from(JSON.stringify(reading(-1))))
    expect(values(driver.read(out))).toEqual([reading(1)])
    expect(driver.errors[0]?.message).toContain('it does not fit the schema: value: must be positive')
    expect(() => driver.send(checked, reading(-1))).toThrow('must be positive')
  })

  it('deliver later what is to be delivered later, also to themselves', () => {
    const driver = testPipeline(
      pipeline('reminder', source => [
        source(readings).to(others, { deliverAt: ({ at }) => at + 1_000 }),
        source(others)
          .map(({ value }) => value)
          .to(out),
      ]),
    )
    driver.send(readings, reading(500, 7))
    driver.advance(1_400)
    expect(values(driver.read(out))).toEqual([])
    driver.advance(200)
    expect(values(driver.read(out))).toEqual([7])
  })
})

describe('asynchronous operators', () => {
  const double = (options: Parameters<ReturnType<typeof stream>['mapAsync']>[1], waits: number[]) =>
    pipeline('doubled', source =>
      stream(source)
        .mapAsync(async ({ value }) => {
          for (let i = 0; i < waits[value]!; i++) await Promise.resolve()
          if (waits[value] === 0) throw new Error('no answer')
          return value * 2
        }, options)
        .to(out),
    )
  const stream = (source: Parameters<Parameters<typeof pipeline>[1]>[0]) => source(readings)

  it.each([
    [true, [0, 2, 4]],
    [false, [2, 4, 0]],
  ])('keep the order of their inputs, or do not (%s)', async (ordered, expected) => {
    const driver = testPipeline(double({ ordered }, [30, 1, 5]))
    for (const value of [0, 1, 2]) driver.send(readings, reading(value))
    await driver.settle()
    expect(values(driver.read(out))).toEqual(expected)
  })

  it('read no further while they have as many calls as they may', async () => {
    const driver = testPipeline(double({ concurrency: 2 }, [10, 10, 10, 10]))
    for (const value of [0, 1, 2, 3]) driver.send(readings, reading(value))
    expect(driver.counters.recordsIn).toBe(2)
    await driver.settle()
    expect(values(driver.read(out))).toEqual([0, 2, 4, 6])
  })

  it('call again after a failure, then follow their policy', async () => {
    let calls = 0
    const driver = testPipeline(
      pipeline('retries', source =>
        source(readings)
          .mapAsync(
            async ({ value }) => {
              calls++
              if (value === 1 || calls < 3) throw new Error('away')
              return value
            },
            { retry: { count: 2, delay: '1 s' }, onError: { deadLetter: letters } },
          )
          .to(out),
      ),
    )
    driver.send(readings, reading(5))
    for (let i = 0; i < 5; i++) {
      await driver.settle()
      driver.advance('1 s')
    }
    expect(values(driver.read(out))).toEqual([5])
    driver.send(readings, reading(6, 1))
    for (let i = 0; i < 5; i++) {
      await driver.settle()
      driver.advance('1 s')
    }
    expect(driver.read(letters).map(({ value }) => value.error)).toEqual(['away'])
    expect(calls).toBe(6)
  })

  it('time out, and take no late answer', async () => {
    const driver = testPipeline(double({ timeout: '1 s', onError: 'skip' }, [0, 100_000]))
    driver.send(readings, reading(1))
    await driver.settle()
    driver.advance('2 s')
    await driver.settle()
    expect(driver.errors[0]?.message).toContain('had no answer for 1000 ms')
    expect(values(driver.read(out))).toEqual([])
  })

  it('call again what had no answer at a crash, and hold event time back until it comes', async () => {
    let calls = 0
    let answer: (() => void) | undefined
    const driver = testPipeline(
      pipeline('waiting', source =>
        source(readings)
          .mapAsync(async value => {
            calls++
            if (calls === 1) await new Promise<void>(resolve => (answer = resolve))
            return value
          })
          .keyBy(bySensor)
          .window(tumbling(10))
          .count()
          .map(({ window, value }) => [window.start, value])
          .to(out),
      ),
    )
    driver.send(readings, reading(1))
    driver.send(readings, reading(25))
    await driver.settle()
    expect(values(driver.read(out))).toEqual([])
    driver.crash()
    answer?.()
    await driver.settle()
    driver.send(readings, reading(26))
    await driver.settle()
    expect(values(driver.read(out))).toEqual([[0, 1]])
    // Both of before the crash were called again: the second had to wait for the first.
    expect(calls).toBe(5)
  })

  it('hand values to functions as a sink', async () => {
    const taken: number[] = []
    const driver = testPipeline(
      pipeline('sink', source => source(readings).forEach(async ({ value }) => void taken.push(value))),
    )
    for (const value of [1, 2, 3]) driver.send(readings, reading(value))
    await driver.settle()
    driver.commit()
    driver.crash()
    await driver.settle()
    expect(taken).toEqual([1, 2, 3])
  })
})

describe('keyed operators', () => {
  it('count windows by number', () => {
    const driver = testPipeline(
      pipeline('counted', source =>
        source(readings)
          .keyBy(bySensor)
          .window(countWindow(3))
          .aggregate({ sum: sum(({ value }) => value) })
          .map(({ key, window, value }) => [key, window.start, window.end, value.sum])
          .to(out),
      ),
    )
    for (const at of [1, 2, 3, 4, 5, 6, 7]) driver.send(readings, reading(at))
    driver.send(readings, reading(8, 8, 'b'))
    expect(values(driver.read(out))).toEqual([
      ['a', 1, 4, 6],
      ['a', 4, 7, 15],
    ])
  })

  it('give windows early, on time and late', () => {
    const driver = testPipeline(
      pipeline('early', source =>
        source(readings)
          .keyBy(bySensor)
          .window(tumbling(100, { grace: 50 }))
          .aggregate({ n: count() }, { emit: { early: 25 } })
          .map(({ window, value }) => [window.start, value.n])
          .to(out),
      ),
    )
    const at = (time: number): unknown[] => {
      driver.send(readings, reading(time))
      return values(driver.read(out))
    }
    expect(at(1)).toEqual([])
    expect(at(10)).toEqual([])
    expect(at(30)).toEqual([[0, 3]])
    expect(at(40)).toEqual([])
    expect(at(101)).toEqual([[0, 4]])
    expect(at(60)).toEqual([[0, 5]])
    expect(at(151)).toEqual([[100, 2]])
    expect(at(70)).toEqual([])
    expect(driver.counters.late).toBe(1)
  })

  it('give sessions on time and after late events', () => {
    const driver = testPipeline(
      pipeline('early-sessions', source =>
        source(readings)
          .keyBy(bySensor)
          .window(session(10, { grace: 20 }))
          .count({ emit: {} })
          .map(({ window, value }) => [window.start, window.end, value])
          .to(out),
      ),
    )
    const at = (time: number): unknown[] => {
      driver.send(readings, reading(time))
      return values(driver.read(out))
    }
    expect(at(0)).toEqual([])
    expect(at(20)).toEqual([[0, 10, 1]])
    expect(at(4)).toEqual([[0, 14, 2]])
    expect(at(60)).toEqual([[20, 30, 1]])
  })

  it('pass the first of each key, and again after a while', () => {
    const driver = testPipeline(
      pipeline('distinct', source =>
        source(readings)
          .keyBy(bySensor)
          .distinct({ within: 10 })
          .map(({ at }) => at)
          .to(out),
      ),
    )
    for (const at of [1, 5, 10, 11, 12, 20, 21]) driver.send(readings, reading(at))
    expect(values(driver.read(out))).toEqual([1, 11, 21])
  })

  it('process with state, event timers and processing timers, across crashes', () => {
    const silent = pipeline('silent', source =>
      source(readings)
        .keyBy(bySensor)
        .process<{ n: number; timer: number }, string>({
          onRecord(value, context) {
            const state = context.state ?? { n: 0, timer: 0 }
            context.clearTimer(state.timer)
            context.setTimer(value.at + 10)
            if (state.n === 0) context.setProcessingTimer(context.now + 500)
            context.state = { n: state.n + 1, timer: value.at + 10 }
          },
          onTimer(context, kind) {
            context.emit(`${context.key} ${kind} ${context.timestamp} ${context.state?.n}`)
            if (kind === 'event') context.state = undefined
          },
        })
        .to(out),
    )
    const driver = testPipeline(silent, { cacheEntriesMax: 1 })
    driver.send(readings, reading(1))
    driver.send(readings, reading(5))
    driver.commit()
    driver.crash()
    driver.send(readings, reading(14, 0, 'b'))
    expect(values(driver.read(out))).toEqual([])
    driver.send(readings, reading(15, 0, 'b'))
    expect(values(driver.read(out))).toEqual(['a event 15 2'])
    driver.advance(600)
    expect(values(driver.read(out))).toEqual(['a processing 500 undefined', 'b processing 500 2'])
  })
})
