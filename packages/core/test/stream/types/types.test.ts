import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { map } from 'rxjs'
import { expect, it } from 'vitest'
import { count, max, mean } from '../../../src/stream/aggregator.js'
import { pipeline, type Source } from '../../../src/stream/builder.js'
import { json } from '../../../src/stream/serde.js'
import type { Stream } from '../../../src/stream/stream.js'
import type { Table } from '../../../src/stream/table.js'
import { topic } from '../../../src/stream/topic.js'
import { session, tumbling, type Windowed } from '../../../src/stream/window.js'

interface Bid {
  readonly auction: number
  readonly bidder: string
  readonly price: number
  readonly at: number
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(isSame: Same<A, B>): void {
  void isSame
}

const bids = topic('bids', { value: json<Bid>(), key: bid => bid.auction, eventTime: bid => bid.at })
const names = topic('names', { value: json<string>() })
const results = topic('results', {
  value: json<Windowed<string, { readonly top: number; readonly n: number }>>(),
})

// Neither is called: the compiler is the test.
function types(source: Source): void {
  const stream = source(bids)
  same<typeof stream, Stream<Bid>>(true)
  same<ReturnType<typeof bids.key>, number>(true)

  const auctions = stream.pipe(
    map(bid => bid.auction),
    map(auction => `${auction}`),
  )
  same<typeof auctions, Stream<string>>(true)

  const defined = stream.map(bid => (bid.price > 0 ? bid : undefined)).filter(bid => bid !== undefined)
  same<typeof defined, Stream<Bid>>(true)

  const tops = stream
    .keyBy(bid => bid.bidder)
    .window(tumbling('1 h'))
    .aggregate({ top: max(bid => bid.price), n: count() })
  const values = tops.map(top => top)
  same<typeof values, Stream<Windowed<string, { readonly top: number; readonly n: number }>>>(true)
  const late = tops.late()
  same<typeof late, Stream<Bid>>(true)

  auctions.to(names)
  values.to(results)

  const { cheap, rest } = stream.branch({ cheap: (bid): bid is Bid & { readonly price: 1 } => bid.price === 1 })
  same<typeof cheap, Stream<Bid & { readonly price: 1 }>>(true)
  same<typeof rest, Stream<Bid>>(true)
  const merged = stream.merge(auctions)
  same<typeof merged, Stream<Bid | string>>(true)
  const later = stream.mapAsync(async bid => bid.price)
  same<typeof later, Stream<number>>(true)

  const counts = stream.keyBy(bid => bid.auction).count()
  same<typeof counts, Table<number, number>>(true)
  const highest = stream.keyBy(bid => bid.auction).reduce((a, b) => (a.price > b.price ? a : b))
  const both = counts.join(highest, (n, bid) => `${n} ${bid.bidder}`)
  same<typeof both, Table<number, string>>(true)
  const byBidder = stream.keyBy(bid => bid.bidder).count()
  const foreign = highest.leftJoin(
    byBidder,
    bid => bid.bidder,
    (bid, n) => ({ bid, n }),
  )
  same<typeof foreign, Table<number, { bid: Bid; n: number | undefined }>>(true)
  const pairs = stream
    .keyBy(bid => bid.auction)
    .outerJoin(
      stream.keyBy(bid => bid.auction),
      { within: '1 s' },
      (left, right) => left ?? right,
    )
  same<typeof pairs, Stream<Bid | undefined>>(true)
  // A topic may take more than a stream gives.
  counts
    .toStream()
    .to(topic('wide', { value: json<{ readonly key: number | string; readonly value?: number | undefined }>() }))
}

// Each line below an expectation must be the compile error that it expects.
function mistakes(source: Source): void {
  // @ts-expect-error no such field
  source(bids).map(bid => bid.colour)
  // @ts-expect-error a price is a number
  source(bids).map(bid => bid.price.length)
  // @ts-expect-error an object is no key
  source(bids).keyBy(bid => bid)
  // @ts-expect-error windows need a key
  source(bids).window(tumbling('1 h'))
  // @ts-expect-error not a unit
  tumbling('1 hour')
  source(bids)
    .keyBy(bid => bid.auction)
    .window(tumbling('1 h'))
    // @ts-expect-error a mean is of numbers
    .aggregate({ mean: mean(bid => bid.bidder) })
  // @ts-expect-error bids are no strings
  source(bids).to(names)
  const counts = source(bids)
    .keyBy(bid => bid.bidder)
    .window(tumbling('1 h'))
    .aggregate({ n: count() })
  // @ts-expect-error the results lack a field
  counts.to(results)
  const byAuction = source(bids).keyBy(bid => bid.auction)
  const byText = counts.keyBy(result => result.key).count()
  // @ts-expect-error the keys differ
  byAuction.join(byText, () => 0)
  // @ts-expect-error a table without a key
  source.table(names)
  // @ts-expect-error sessions need a gap
  session()
  const promises = source(bids).map(async bid => bid.bidder)
  // @ts-expect-error a promise is no value
  promises.to(names)
  const bidders = source(bids).map(bid => bid.bidder)
  // @ts-expect-error a time is a date or a number
  bidders.to(names, { deliverAt: name => name })
  // @ts-expect-error a pipeline ends in a sink
  pipeline('open', start => start(bids))
  // @ts-expect-error an event time is a time
  topic('timed', { value: json<Bid>(), eventTime: bid => bid.bidder })
}

it('carries types from source to sink, and makes mistakes compile errors', () => {
  expect([types.name, mistakes.name]).toEqual(['types', 'mistakes'])
  const compiler = fileURLToPath(import.meta.resolve('typescript/package.json')).replace('package.json', 'bin/tsc')
  const project = fileURLToPath(new URL('tsconfig.json', import.meta.url))
  const result = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' })
  expect(result.stdout).toBe('')
  expect(result.status).toBe(0)
}, 60_000)
