import type { Aggregator } from 'millrace'
import type { Bid } from './events.js'
import { rankOf } from './shared.js'

/** Bids in all, and of each rank. */
type Ranked = [all: number, rank1: number, rank2: number, rank3: number]
/** Who was seen, overall and in each rank: the bits of the ranks, the first bit for overall. */
type Seen = Record<number, number>

interface Statistics {
  bids: Ranked
  bidders: Ranked
  auctions: Ranked
  seenBidders: Seen
  seenAuctions: Seen
  /** Latest event time. */
  last: number
}

export interface StatisticsResult {
  /** Bids, different bidders, different auctions: overall and by rank. */
  readonly numbers: readonly number[]
  readonly last: number
}

/** Counts of bids, different bidders and different auctions, by rank: q15 and q16. */
export const bidStatistics: Aggregator<Bid, Statistics, StatisticsResult> = {
  kind: 'bid statistics',
  init: () => ({
    bids: [0, 0, 0, 0],
    bidders: [0, 0, 0, 0],
    auctions: [0, 0, 0, 0],
    seenBidders: {},
    seenAuctions: {},
    last: 0,
  }),
  add(state, bid) {
    const rank = rankOf(bid)
    state.bids[0]++
    state.bids[rank]++
    see(state.seenBidders, state.bidders, bid.bidder, rank)
    see(state.seenAuctions, state.auctions, bid.auction, rank)
    state.last = Math.max(state.last, bid.dateTime)
    return state
  },
  result: ({ bids, bidders, auctions, last }) => ({ numbers: [...bids, ...bidders, ...auctions], last }),
}

function see(seen: Seen, counts: Ranked, id: number, rank: 1 | 2 | 3): void {
  const before = seen[id] ?? 0
  if ((before & 1) === 0) counts[0]++
  if ((before & (1 << rank)) === 0) counts[rank]++
  seen[id] = before | 1 | (1 << rank)
}

interface DayStatistics {
  bids: Ranked
  low: number
  high: number
  total: number
}

/** q17's numbers: bids by rank, lowest, highest, average and total price. */
export const priceStatistics: Aggregator<Bid, DayStatistics, readonly number[]> = {
  kind: 'price statistics',
  init: () => ({ bids: [0, 0, 0, 0], low: Number.MAX_SAFE_INTEGER, high: 0, total: 0 }),
  add(state, bid) {
    state.bids[0]++
    state.bids[rankOf(bid)]++
    state.low = Math.min(state.low, bid.price)
    state.high = Math.max(state.high, bid.price)
    state.total += bid.price
    return state
  },
  result: ({ bids, low, high, total }) => [...bids, low, high, Math.floor(total / bids[0]), total],
}
