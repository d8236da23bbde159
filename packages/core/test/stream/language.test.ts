import { describe, expect, it } from 'vitest'
import { count, mean } from '../../src/stream/aggregator.js'
import { pipeline } from '../../src/stream/builder.js'
import { durationMs, formatDuration } from '../../src/stream/duration.js'
import { planPipeline, stateTopology } from '../../src/stream/plan.js'
import { json } from '../../src/stream/serde.js'
import { topic } from '../../src/stream/topic.js'
import { tumbling, type Windowed } from '../../src/stream/window.js'

interface Bid {
  readonly auction: number
  readonly bidder: string
  readonly price: number
  readonly at: number
}

const byAuction = (bid: Bid): number => bid.auction
const bids = topic('bids', { value: json<Bid>(), key: byAuction, eventTime: bid => bid.at })
const prices = topic('prices', { value: json<Windowed<number, { readonly mean: number; readonly n: number }>>() })
const plain = topic('plain', { value: json<Bid>() })

const board = pipeline('board', source =>
  source(bids)
    .filter(bid => bid.price > 0)
    .keyBy(byAuction)
    .window(tumbling('10 s', { grace: '2 s' }))
    .aggregate({ mean: mean(bid => bid.price), n: count() })
    .to(prices),
)

describe('the pipeline language', () => {
  it('describes the graph as data, with ids that other operators do not move', () => {
    expect(board.describe()).toEqual({
      id: 'board',
      operators: [
        { id: 'source-1', kind: 'source', inputs: [], topic: 'bids', detail: undefined },
        { id: 'filter-1', kind: 'filter', inputs: ['source-1'], topic: undefined, detail: undefined },
        { id: 'key-by-1', kind: 'key-by', inputs: ['filter-1'], topic: undefined, detail: undefined },
        {
          id: 'aggregate-1',
          kind: 'aggregate',
          inputs: ['key-by-1'],
          topic: undefined,
          detail: 'tumbling 10 s, grace 2 s; mean: mean, n: count',
        },
        { id: 'sink-1', kind: 'sink', inputs: ['aggregate-1'], topic: 'prices', detail: undefined },
      ],
    })
    expect(board.mermaid()).toBe(
      [
        'flowchart LR',
        '  source-1[("bids")]',
        '  filter-1["filter-1"]',
        '  source-1 --> filter-1',
        '  key-by-1["key-by-1"]',
        '  filter-1 --> key-by-1',
        '  aggregate-1[["aggregate-1<br/>tumbling 10 s, grace 2 s; mean: mean, n: count"]]',
        '  key-by-1 --> aggregate-1',
        '  sink-1[("prices")]',
        '  aggregate-1 --> sink-1',
        '',
      ].join('\n'),
    )
  })

  it.each([
    ['an id that is no group name', () => pipeline('a b', source => source(plain).to(plain))],
    [
      'a name used twice',
      () =>
        pipeline('twice', source => [
          source(bids)
            .keyBy(byAuction, { name: 'k' })
            .window(tumbling(1))
            .aggregate({})
            .to(topic('x', { value: json() })),
          source(bids)
            .keyBy(byAuction, { name: 'k' })
            .window(tumbling(1))
            .aggregate({})
            .to(topic('x', { value: json() })),
        ]),
    ],
    [
      'one topic under two definitions',
      () =>
        pipeline('two', source => [source(plain).to(bids), source(topic('plain', { value: json<Bid>() })).to(bids)]),
    ],
    ['a window of nothing', () => tumbling(0)],
    ['a topic name with a slash', () => topic('../x', { value: json() })],
    ['half a millisecond', () => durationMs(0.5)],
    ['a negative duration', () => durationMs(-1)],
  ])('refuses %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it.each([
    ['100 ms', 100],
    ['1.5 s', 1_500],
    ['5 min', 300_000],
    ['1 h', 3_600_000],
    ['2d', 172_800_000],
    [7, 7],
  ] as const)('reads the duration %s', (written, ms) => {
    expect(durationMs(written)).toBe(ms)
    expect(durationMs(formatDuration(ms) as '1 s')).toBe(ms)
  })
})

describe('the plan', () => {
  const otherKey = pipeline('other', source =>
    source(bids)
      .keyBy(bid => bid.bidder, { name: 'by-bidder' })
      .window(tumbling('10 s'))
      .aggregate({ n: count() })
      .to(topic('out', { value: json() })),
  )

  it('repartitions a key that is not the key of the source', () => {
    const plan = planPipeline('other', otherKey.graph, () => 4)
    expect(
      plan.stages.map(stage => [stage.inputs[0]!.topic, stage.queueCount, stage.nodes.map(node => node.id)]),
    ).toEqual([
      ['bids', 4, ['by-bidder']],
      ['other-by-bidder-repartition', 4, ['aggregate-1', 'sink-1']],
    ])
  })

  it('does not repartition a single queue', () => {
    expect(planPipeline('other', otherKey.graph, () => 1).stages).toHaveLength(1)
  })

  it('does not repartition by the key that the source has, filtered or not', () => {
    expect(planPipeline('board', board.graph, () => 4).stages).toHaveLength(1)
  })

  it('repartitions by the same function behind an operator that may change the value', () => {
    const mapped = pipeline('mapped', source =>
      source(bids)
        .map(bid => ({ ...bid, auction: bid.auction % 10 }))
        .keyBy(byAuction)
        .window(tumbling('10 s'))
        .aggregate({ n: count() })
        .to(topic('out', { value: json() })),
    )
    expect(planPipeline('mapped', mapped.graph, () => 4).repartitioned).toEqual(new Set(['key-by-1']))
  })

  it('names what state depends on, and only that', () => {
    const [stage] = planPipeline('board', board.graph, () => 4).stages
    expect(stateTopology(stage!)).toEqual({
      'source-1': 'source "bids" with 4 queues',
      'aggregate-1': 'tumbling 10 s of mean: mean, n: count',
    })
  })

  it('refuses a source that does not exist', () => {
    expect(() => planPipeline('board', board.graph, () => undefined)).toThrow(
      expect.objectContaining({ code: 'TOPIC_NOT_FOUND' }),
    )
  })
})
