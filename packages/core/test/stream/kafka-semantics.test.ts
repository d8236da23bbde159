import { describe, expect, it } from 'vitest'
import { toArray } from '../../src/stream/aggregator.js'
import { type Pipeline, pipeline } from '../../src/stream/builder.js'
import { json } from '../../src/stream/serde.js'
import { topic } from '../../src/stream/topic.js'
import { hopping, session, sliding, tumbling, type Windowed, type WindowSpec } from '../../src/stream/window.js'
import { testPipeline } from '../../src/testkit/pipeline-driver.js'

// Kafka Streams' documentation shows each join on the same two inputs, all of one key, in the order of their times.
const INPUT: readonly (readonly ['left' | 'right', number, string | null])[] = [
  ['left', 1, null],
  ['right', 2, null],
  ['left', 3, 'A'],
  ['right', 4, 'a'],
  ['left', 5, 'B'],
  ['right', 6, 'b'],
  ['left', 7, null],
  ['right', 8, null],
  ['left', 9, 'C'],
  ['right', 10, 'c'],
  ['right', 11, null],
  ['left', 12, null],
  ['right', 13, null],
  ['right', 14, 'd'],
  ['left', 15, 'D'],
]

const key = (): string => 'k'
const left = topic('left', { value: json<string | null>(), key })
const right = topic('right', { value: json<string | null>(), key })
const out = topic('out', { value: json<string | null>() })
const pair = (one: string | undefined, other: string | undefined): string => `${one ?? null}-${other ?? null}`
const isValue = (value: string | null): value is string => value !== null

/** What each input gives, as `time: results`. */
function steps(what: Pipeline): string[] {
  const driver = testPipeline(what)
  return INPUT.flatMap(([side, timestamp, value]) => {
    driver.send(side === 'left' ? left : right, value, { key: 'k', timestamp })
    const results = driver.read(out).map(record => record.value)
    return results.length > 0 ? [`${timestamp}: ${results.join(', ')}`] : []
  })
}

describe('joins, as in Kafka Streams’ documentation', () => {
  const streams = ['4: A-a', '5: B-a', '6: A-b, B-b', '9: C-a, C-b', '10: A-c, B-c, C-c', '14: A-d, B-d, C-d']
  const lastStream = '15: D-a, D-b, D-c, D-d'

  it.each(['join', 'leftJoin', 'outerJoin'] as const)('stream–stream, one window: %s', method => {
    const joined = pipeline('streams', source => {
      const one = source(left).filter(isValue).keyBy(key)
      const other = source(right).filter(isValue).keyBy(key)
      return one[method](other, { within: 100 }, pair).to(out)
    })
    expect(steps(joined)).toEqual([...streams, lastStream])
  })

  it.each([
    ['join', ['5: B-a', '15: D-d']],
    ['leftJoin', ['3: A-null', '5: B-a', '9: C-null', '15: D-d']],
  ] as const)('stream–table: %s', (method, expected) => {
    const joined = pipeline('stream-table', source =>
      source(left).filter(isValue).keyBy(key)[method](source.table(right), pair).to(out),
    )
    expect(steps(joined)).toEqual(expected)
  })

  it.each([
    ['join', ['4: A-a', '5: B-a', '6: B-b', '7: null', '10: C-c', '11: null', '15: D-d']],
    [
      'leftJoin',
      [
        '3: A-null',
        '4: A-a',
        '5: B-a',
        '6: B-b',
        '7: null',
        '9: C-null',
        '10: C-c',
        '11: C-null',
        '12: null',
        '15: D-d',
      ],
    ],
    [
      'outerJoin',
      [
        '3: A-null',
        '4: A-a',
        '5: B-a',
        '6: B-b',
        '7: null-b',
        '8: null',
        '9: C-null',
        '10: C-c',
        '11: C-null',
        '12: null',
        '14: null-d',
        '15: D-d',
      ],
    ],
  ] as const)('table–table: %s', (method, expected) => {
    const joined = pipeline('tables', source =>
      source
        .table(left)
        [method](source.table(right), pair)
        .toStream()
        .map(({ value }) => value ?? null)
        .to(out),
    )
    // A deletion is joined as an empty text.
    expect(steps(joined)).toEqual(expected.map(step => step.replace(/ null$/, ' ')))
  })

  it('give what had no partner when its window closes', () => {
    const joined = pipeline('alone', source =>
      source(left)
        .filter(isValue)
        .keyBy(key)
        .outerJoin(source(right).filter(isValue).keyBy(key), { within: 5, grace: 2 }, pair)
        .to(out),
    )
    const driver = testPipeline(joined)
    const at = (side: typeof left, timestamp: number, value: string): string[] => {
      driver.send(side, value, { timestamp })
      return driver.read(out).map(record => `${record.value}@${record.timestamp}`)
    }
    expect(at(left, 1, 'A')).toEqual([])
    expect(at(right, 6, 'a')).toEqual(['A-a@6'])
    expect(at(left, 20, 'B')).toEqual([])
    expect(at(right, 14, 'b')).toEqual([])
    expect(at(right, 22, 'c')).toEqual(['B-c@22'])
    expect(at(left, 40, 'C')).toEqual(['null-b@14'])
    expect(at(right, 40, 'd')).toEqual(['C-d@40'])
  })
})

interface Event {
  readonly at: number
  readonly name: string
}
const events = topic('events', { value: json<Event>(), key, eventTime: (event: Event) => event.at })
const windows = topic('windows', { value: json<Windowed<string, readonly string[]>>() })

/** `[start;end) names` of each window, once all have closed. */
function windowed(spec: WindowSpec, input: readonly Event[]): string[] {
  const names = pipeline('windows', source =>
    source(events)
      .keyBy(key)
      .window(spec)
      .aggregate({ names: toArray<Event>() })
      .map(({ key: of, window, value }) => ({ key: of, window, value: value.names.map(({ name }) => name) }))
      .to(windows),
  )
  const driver = testPipeline(names)
  for (const event of input) driver.send(events, event)
  driver.finish()
  return driver.read(windows).map(({ value: { window, value } }) => `[${window.start};${window.end}) ${value.join('')}`)
}

describe('windows, as in Kafka Streams’ documentation', () => {
  const three = [
    { at: 8_000, name: '1' },
    { at: 9_200, name: '2' },
    { at: 12_400, name: '3' },
  ]

  it('tumbling: no gap, no overlap', () => {
    expect(windowed(tumbling('5 s'), three)).toEqual(['[5000;10000) 12', '[10000;15000) 3'])
  })

  it('hopping: an event in each window that holds it', () => {
    expect(windowed(hopping('5 s', '3 s'), three)).toEqual(['[6000;11000) 12', '[9000;14000) 23', '[12000;17000) 3'])
  })

  it.each([
    ['in order', three],
    ['out of order, within the grace', [three[1]!, three[0]!, three[2]!]],
  ])('sliding: one for each distinct set of events, %s', (_, input) => {
    expect(windowed(sliding('5 s', { grace: '30 s' }), input)).toEqual([
      '[3000;8001) 1',
      '[4200;9201) 12',
      '[7400;12401) 123',
      '[8001;13002) 23',
      '[9201;14202) 3',
    ])
  })

  it('session: an event between two makes them one', () => {
    const input = [
      { at: 0, name: 'a' },
      { at: 12, name: 'c' },
      { at: 40, name: 'd' },
      { at: 6, name: 'b' },
      { at: 50, name: 'e' },
    ]
    // At most the gap apart is together; here the end is the last event plus the gap.
    expect(windowed(session(10, { grace: 100 }), input)).toEqual(['[0;22) acb', '[40;60) de'])
    expect(windowed(session(5, { grace: 100 }), input)).toEqual([
      '[0;5) a',
      '[6;11) b',
      '[12;17) c',
      '[40;45) d',
      '[50;55) e',
    ])
  })
})
