import {
  aggregator,
  hopping,
  mean,
  type Pipeline,
  pipeline,
  type Sink,
  type Source,
  type Stream,
  session,
  top,
  tumbling,
} from 'millrace'
import type { Bid } from './events.js'
import {
  auctionRow,
  auctions,
  bidRow,
  bids,
  converted,
  convertedThousandths,
  dayOf,
  highest,
  isBid,
  minuteOf,
  persons,
  type WinningBid,
  winningBids,
} from './shared.js'
import { bidStatistics, priceStatistics } from './statistics.js'
import {
  type Field,
  lateRowsTopic,
  nexmarkLate,
  nexmarkProcessing,
  type Row,
  rowsTopic,
  type Standing,
  sideTable,
  standingTopic,
} from './topics.js'

/** A query whose rows are all of its answer. */
const rows = (id: string, build: (source: Source) => Stream<Row>): Pipeline =>
  pipeline(id, source => build(source).to(rowsTopic))

/** A query whose answer is refined as events come: the rows of a key replace those it had. */
const refined = (id: string, build: (source: Source) => Stream<Standing>): Pipeline =>
  pipeline(id, source => build(source).to(standingTopic))

const standing = (key: Field, ...of: Row[]): Standing => ({ key, rows: of })

const TEN = '10 s'

export const q0 = rows('q0', source => bids(source).map(bid => passedOn(bid)))
const passedOn = ({ auction, bidder, price, dateTime, extra }: Bid): Row => [auction, bidder, price, dateTime, extra]

export const q1 = rows('q1', source =>
  bids(source).map(bid => [bid.auction, bid.bidder, converted(bid), bid.dateTime, bid.extra]),
)

export const q2 = rows('q2', source =>
  bids(source)
    .filter(bid => bid.auction % 123 === 0)
    .map(bid => [bid.auction, bid.price]),
)

export const q3 = rows('q3', source =>
  auctions(source)
    .filter(auction => auction.category === 10)
    .keyBy(auction => auction.seller)
    .join(
      persons(source)
        .filter(({ state }) => state === 'OR' || state === 'ID' || state === 'CA')
        .keyBy(person => person.id),
      { within: Number.POSITIVE_INFINITY },
      (auction, person) => [person.name, person.city, person.state, auction.id],
    ),
)

export const q4 = refined('q4', source =>
  winningBids(source)
    .groupBy(({ auction }) => auction.category)
    .aggregate({ price: mean(({ bid }) => bid.price) })
    .toStream()
    .map(({ key, value }) => (value === undefined ? standing(key) : standing(key, [key, Math.floor(value.price)]))),
)

export const q5 = rows('q5', source =>
  bids(source)
    .keyBy(bid => bid.auction)
    .window(hopping(TEN, '2 s'))
    .count()
    .keyBy(({ window }) => window.start)
    // All results of a window have the event time of its end.
    .window(tumbling('2 s'))
    .aggregate({ most: highest(({ value }) => value) })
    .flatMap(({ value }) => value.most.map(({ key, window, value: n }) => [window.start, key, n])),
)

export const q6 = refined('q6', source =>
  winningBids(source)
    .groupBy(({ auction }) => auction.seller)
    .aggregate({
      won: aggregator({
        kind: 'won auctions',
        init: (): Won[] => [],
        add: (won, { auction, bid }: WinningBid): Won[] => [...won, [auction.id, bid.price, bid.dateTime]],
        subtract: (won, { auction }) => won.filter(([id]) => id !== auction.id),
        result: won => won,
      }),
    })
    .toStream()
    .map(({ key, value }) => ({ key, rows: averages(key, value?.won ?? []) })),
)
type Won = readonly [auction: number, price: number, dateTime: number]

/** Each auction's winning price averaged with up to ten earlier ones. */
function averages(seller: number, won: readonly Won[]): Row[] {
  const ordered = won.toSorted((a, b) => a[2] - b[2])
  return ordered.map(([auction], place) => {
    const last = ordered.slice(Math.max(0, place - 10), place + 1)
    return [seller, auction, Math.floor(last.reduce((sum, [, price]) => sum + price, 0) / last.length)]
  })
}

export const q7 = rows('q7', source =>
  bids(source)
    .keyBy(() => 'all')
    .window(tumbling(TEN))
    .aggregate({ highest: highest(bid => bid.price) })
    .flatMap(({ value }) => value.highest.map(bid => [bid.auction, bid.price, bid.bidder, bid.dateTime, bid.extra])),
)

const windowOf = (time: number): number => Math.floor(time / 10_000) * 10_000

export const q8 = rows('q8', source =>
  persons(source)
    .keyBy(person => person.id)
    .join(
      auctions(source).keyBy(auction => auction.seller),
      { within: TEN },
      (person, auction) => ({ person, isSame: windowOf(person.dateTime) === windowOf(auction.dateTime) }),
    )
    .filter(({ isSame }) => isSame)
    .keyBy(({ person }) => person.id)
    .distinct({ within: '1 min' })
    .map(({ person }) => [person.id, person.name, windowOf(person.dateTime)]),
)

export const q9 = refined('q9', source =>
  winningBids(source)
    .toStream()
    .map(({ key, value }) =>
      value === undefined ? standing(key) : standing(key, [...auctionRow(value.auction), ...passedOn(value.bid)]),
    ),
)

export const q10 = rows('q10', source =>
  bids(source).map(bid => [...passedOn(bid), dayOf(bid.dateTime), minuteOf(bid.dateTime)]),
)

export const q11 = rows('q11', source =>
  bids(source)
    .keyBy(bid => bid.bidder)
    .window(session(TEN))
    .count()
    .map(({ key, window, value }) => [key, value, window.start, window.end]),
)

export const q12 = rows('q12', source =>
  source(nexmarkProcessing)
    .filter(isBid)
    .keyBy(event => event.bid.bidder)
    .window(tumbling(TEN))
    .count()
    .map(({ key, window, value }) => [key, value, window.start, window.end]),
)

export const q13 = rows('q13', source =>
  bids(source).joinGlobal(
    source.globalTable(sideTable),
    bid => bid.auction % 10_000,
    (bid, side) => [bid.auction, bid.bidder, bid.price, bid.dateTime, side.value],
  ),
)

export const q14 = rows('q14', source =>
  bids(source)
    .filter(bid => convertedThousandths(bid) > 1_000_000_000 && convertedThousandths(bid) < 50_000_000_000)
    .map(bid => [
      bid.auction,
      bid.bidder,
      converted(bid),
      timeOfDay(bid.dateTime),
      bid.dateTime,
      bid.extra,
      bid.extra.split('c').length - 1,
    ]),
)

function timeOfDay(time: number): string {
  const hour = new Date(time).getUTCHours()
  if (hour >= 8 && hour <= 18) return 'dayTime'
  return hour <= 6 || hour >= 20 ? 'nightTime' : 'otherTime'
}

export const q15 = refined('q15', source =>
  bids(source)
    .keyBy(bid => dayOf(bid.dateTime))
    .aggregate(bidStatistics)
    .toStream()
    .map(({ key, value }) => standing(key, [key, ...value!.numbers])),
)

export const q16 = refined('q16', source =>
  bids(source)
    .keyBy(bid => `${bid.channel}|${dayOf(bid.dateTime)}`)
    .aggregate(bidStatistics)
    .toStream()
    .map(({ key, value }) => standing(key, [...key.split('|'), minuteOf(value!.last), ...value!.numbers])),
)

export const q17 = refined('q17', source =>
  bids(source)
    .keyBy(bid => `${bid.auction}|${dayOf(bid.dateTime)}`)
    .aggregate(priceStatistics)
    .toStream()
    .map(({ key, value }) => standing(key, [...key.split('|'), ...value!])),
)

export const q18 = refined('q18', source =>
  bids(source)
    .keyBy(bid => `${bid.bidder}|${bid.auction}`)
    .reduce((last, bid) => (bid.dateTime >= last.dateTime ? bid : last))
    .toStream()
    .map(({ key, value }) => standing(key, bidRow(value!))),
)

export const q19 = refined('q19', source =>
  bids(source)
    .keyBy(bid => bid.auction)
    .aggregate(top(10, (a: Bid, b: Bid) => b.price - a.price || a.dateTime - b.dateTime))
    .toStream()
    .map(({ key, value }) => ({ key, rows: value!.map((bid, place) => [...bidRow(bid), place + 1]) })),
)

export const q20 = rows('q20', source =>
  bids(source)
    .keyBy(bid => bid.auction)
    .join(
      auctions(source)
        .filter(auction => auction.category === 10)
        .keyBy(auction => auction.id),
      { within: Number.POSITIVE_INFINITY },
      (bid, auction) => [...bidRow(bid), ...auctionRow(auction).slice(1)],
    ),
)

const CHANNEL_IDS: Readonly<Record<string, string>> = { apple: '0', google: '1', facebook: '2', baidu: '3' }

export const q21 = rows('q21', source =>
  bids(source)
    .map(bid => ({ bid, id: CHANNEL_IDS[bid.channel.toLowerCase()] ?? /[?&]channel_id=(\d+)/.exec(bid.url)?.[1] }))
    .flatMap(({ bid, id }) => (id === undefined ? [] : [[bid.auction, bid.bidder, bid.price, bid.channel, id]])),
)

export const q22 = rows('q22', source =>
  bids(source).map(bid => [bid.auction, bid.bidder, bid.price, bid.channel, ...bid.url.split('/').slice(3, 6)]),
)

/** Bids per auction in windows of ten seconds, when some come late. */
export const lateBids = (lateness: 0 | '5 s'): Pipeline =>
  pipeline('late', (source): Sink[] => {
    const counts = source(nexmarkLate)
      .filter(isBid)
      .map(event => event.bid)
      .keyBy(bid => bid.auction)
      .window(tumbling(TEN, { grace: lateness }))
      .count()
    return [
      counts.map(({ key, window, value }): Row => [window.start, key, value]).to(rowsTopic),
      counts
        .late()
        .map((bid): Row => [bid.auction, bid.bidder, bid.price, bid.dateTime])
        .to(lateRowsTopic),
    ]
  })

/** Every query but the ones about late bids, by its name in the workload. */
export const QUERIES: Readonly<Record<string, Pipeline>> = Object.fromEntries(
  [q0, q1, q2, q3, q4, q5, q6, q7, q8, q9, q10, q11, q12, q13, q14, q15, q16, q17, q18, q19, q20, q21, q22].map(
    query => [query.id, query],
  ),
)
