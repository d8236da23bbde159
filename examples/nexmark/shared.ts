import type { Aggregator, Source, Stream, Table } from 'millrace'
import type { Auction, Bid, NexmarkEvent, Person } from './events.js'
import { nexmark, type Row } from './topics.js'

type Of<K extends keyof NexmarkEvent> = NexmarkEvent & { readonly [N in K]: NonNullable<NexmarkEvent[K]> }

export const isBid = (event: NexmarkEvent): event is Of<'bid'> => event.bid !== undefined
const isAuction = (event: NexmarkEvent): event is Of<'auction'> => event.auction !== undefined
const isPerson = (event: NexmarkEvent): event is Of<'person'> => event.person !== undefined

export const bids = (source: Source): Stream<Bid> =>
  source(nexmark)
    .filter(isBid)
    .map(event => event.bid)
export const auctions = (source: Source): Stream<Auction> =>
  source(nexmark)
    .filter(isAuction)
    .map(event => event.auction)
export const persons = (source: Source): Stream<Person> =>
  source(nexmark)
    .filter(isPerson)
    .map(event => event.person)

/** Auctions end at most 3,332 ms after they begin. */
const DURATION_MAX = '4 s'

export interface WinningBid {
  readonly auction: Auction
  readonly bid: Bid
}

/** For each auction its valid bid of highest price, the earliest of equals. */
export function winningBids(source: Source): Table<number, WinningBid> {
  return auctions(source)
    .keyBy(auction => auction.id)
    .join(
      bids(source).keyBy(bid => bid.auction),
      { within: { before: 0, after: DURATION_MAX } },
      (auction, bid): WinningBid => ({ auction, bid }),
    )
    .filter(({ auction, bid }) => bid.dateTime <= auction.expires)
    .keyBy(({ auction }) => auction.id)
    .reduce((best, other) => {
      const difference = other.bid.price - best.bid.price
      return difference > 0 || (difference === 0 && other.bid.dateTime < best.bid.dateTime) ? other : best
    })
}

/** Keeps every value that ties for the highest. */
export function highest<T>(select: (value: T) => number): Aggregator<T, T[], readonly T[]> {
  const add = (state: T[], value: T): T[] => {
    const difference = state.length === 0 ? 1 : select(value) - select(state[0]!)
    if (difference > 0) return [value]
    if (difference === 0) state.push(value)
    return state
  }
  return { kind: 'highest', init: () => [], add, result: state => [...state], merge: (a, b) => b.reduce(add, a) }
}

/** Price in another currency, thousandths. */
export const convertedThousandths = (bid: Bid): number => bid.price * 908
/** The same, always with three decimals. */
export function converted(bid: Bid): string {
  const thousandths = convertedThousandths(bid)
  return `${Math.floor(thousandths / 1_000)}.${String(thousandths % 1_000).padStart(3, '0')}`
}

/** `2015-07-14`, UTC. */
export const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10)
/** `23:59`, UTC. */
export const minuteOf = (time: number): string => new Date(time).toISOString().slice(11, 16)

/** 1 for cheap bids, 3 for dear ones. */
export function rankOf({ price }: Bid): 1 | 2 | 3 {
  if (price < 10_000) return 1
  return price < 1_000_000 ? 2 : 3
}

export const bidRow = (bid: Bid): Row => [
  bid.auction,
  bid.bidder,
  bid.price,
  bid.channel,
  bid.url,
  bid.dateTime,
  bid.extra,
]
export const auctionRow = (auction: Auction): Row => [
  auction.id,
  auction.itemName,
  auction.description,
  auction.initialBid,
  auction.reserve,
  auction.dateTime,
  auction.expires,
  auction.seller,
  auction.category,
  auction.extra,
]
