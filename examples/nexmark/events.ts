import { Draws, GOLDEN, mix } from './random.js'

export interface Person {
  readonly id: number
  readonly name: string
  readonly emailAddress: string
  readonly creditCard: string
  readonly city: string
  readonly state: string
  readonly dateTime: number
  readonly extra: string
}

export interface Auction {
  readonly id: number
  readonly itemName: string
  readonly description: string
  readonly initialBid: number
  readonly reserve: number
  readonly dateTime: number
  readonly expires: number
  readonly seller: number
  readonly category: number
  readonly extra: string
}

export interface Bid {
  readonly auction: number
  readonly bidder: number
  readonly price: number
  readonly channel: string
  readonly url: string
  readonly dateTime: number
  readonly extra: string
}

/** One of the three, on the single topic that carries them all. */
export type NexmarkEvent =
  | { readonly person: Person; readonly auction?: never; readonly bid?: never }
  | { readonly auction: Auction; readonly person?: never; readonly bid?: never }
  | { readonly bid: Bid; readonly person?: never; readonly auction?: never }

/** 2015-07-14T23:59:55Z: a midnight falls five seconds into the stream. */
export const BASE_TIME = 1_436_918_395_000

const FIRST_NAMES = 'Ada Bela Chen Dara Emil Fay Goro Hana Ivan Juno Kofi'.split(' ')
const LAST_NAMES = 'Abbot Brandt Castro Dumont Eriksen Fukuda Gruber Hossain Ivanova'.split(' ')
const CITIES = 'Phoenix,Los Angeles,San Francisco,Boise,Portland,Bend,Redmond,Seattle,Kent,Cheyenne'.split(',')
const STATES = 'AZ CA ID OR WA WY'.split(' ')
const HOT_CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple']
const FIRST_ID = 1_000
const POOL_LENGTH = 65_536

/** The deterministic stream of persons, auctions and bids that the queries run on. */
export class Generator {
  readonly #seed: number
  readonly #rate: number
  readonly #draws = new Draws()
  readonly #pool: string
  readonly #hotUrls: readonly string[]
  readonly #otherUrls: readonly string[]

  constructor(seed = 42, rate = 1_000) {
    this.#seed = seed
    this.#rate = rate
    const draws = this.#draws
    draws.state = mix(seed ^ 0x506f6f6c)
    const letters = Buffer.alloc(POOL_LENGTH)
    for (let i = 0; i < POOL_LENGTH; i++) letters[i] = 97 + draws.below(26)
    this.#pool = letters.toString('latin1')
    this.#hotUrls = HOT_CHANNELS.map((_, i) => {
      draws.state = mix(seed ^ 0x486f7400 ^ i)
      return this.#url()
    })
    this.#otherUrls = Array.from({ length: 10_000 }, (_, i) => {
      draws.state = mix((seed ^ 0x43686e6c) + i)
      const url = this.#url()
      return draws.below(10) > 0 ? `${url}&channel_id=${Math.imul(i, GOLDEN) >>> 1}` : url
    })
  }

  /** Event number `n`: it depends on nothing but the seed and `n`. */
  event(n: number): NexmarkEvent {
    this.#draws.state = mix((this.#seed + Math.imul(n, GOLDEN)) | 0)
    const dateTime = BASE_TIME + Math.floor((n * 1_000) / this.#rate)
    const epoch = Math.floor(n / 50)
    const offset = n % 50
    let newestAuction = 3 * epoch + 2
    if (offset === 0) newestAuction = 3 * epoch - 1
    else if (offset <= 3) newestAuction = 3 * epoch + offset - 1
    if (offset === 0) return { person: this.#person(epoch, dateTime) }
    if (offset <= 3) return { auction: this.#auction(epoch, newestAuction, dateTime) }
    return { bid: this.#bid(epoch, newestAuction, dateTime) }
  }

  #person(newest: number, dateTime: number): Person {
    const draws = this.#draws
    const name = `${FIRST_NAMES[draws.below(11)]} ${LAST_NAMES[draws.below(9)]}`
    const emailAddress = `${this.#text(3, 4)}@${this.#text(3, 2)}.com`
    const part = (): string => String(draws.below(10_000)).padStart(4, '0')
    const creditCard = `${part()} ${part()} ${part()} ${part()}`
    const city = CITIES[draws.below(10)]!
    const state = STATES[draws.below(6)]!
    return { id: FIRST_ID + newest, name, emailAddress, creditCard, city, state, dateTime, extra: this.#text(80, 40) }
  }

  #auction(newestPerson: number, number: number, dateTime: number): Auction {
    const draws = this.#draws
    const seller =
      FIRST_ID + (draws.below(4) > 0 ? Math.floor(newestPerson / 100) * 100 : this.#anyPerson(newestPerson))
    const category = 10 + draws.below(5)
    const initialBid = this.#price()
    const reserve = initialBid + this.#price()
    const expires = dateTime + 1 + draws.below(Math.max(2 * Math.floor((1_666 * 1_000) / this.#rate), 1))
    const itemName = this.#text(3, 17)
    const description = this.#text(3, 97)
    const extra = this.#text(300, 120)
    const id = FIRST_ID + number
    return { id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra }
  }

  #bid(newestPerson: number, newestAuction: number, dateTime: number): Bid {
    const draws = this.#draws
    let auction = Math.floor(newestAuction / 100) * 100
    if (draws.below(2) === 0) {
      const first = Math.max(newestAuction - 100, 0)
      auction = first + draws.below(newestAuction - first + 11)
    }
    const bidder = draws.below(4) > 0 ? Math.floor(newestPerson / 100) * 100 + 1 : this.#anyPerson(newestPerson)
    const price = this.#price()
    let channel: string
    let url: string
    if (draws.below(2) > 0) {
      const hot = draws.below(4)
      channel = HOT_CHANNELS[hot]!
      url = this.#hotUrls[hot]!
    } else {
      const other = draws.below(10_000)
      channel = `channel-${other}`
      url = this.#otherUrls[other]!
    }
    const extra = this.#text(54, 28)
    return { auction: FIRST_ID + auction, bidder: FIRST_ID + bidder, price, channel, url, dateTime, extra }
  }

  /** May name a person that comes later, or never. */
  #anyPerson(newest: number): number {
    const count = newest + 1
    const active = Math.min(count, 1_000)
    return count - active + this.#draws.below(active + 10)
  }

  #price(): number {
    const magnitude = 10 ** this.#draws.below(6)
    const mantissa = 100 + this.#draws.below(900)
    return mantissa * magnitude + this.#draws.below(magnitude)
  }

  #text(lengthMin: number, span: number): string {
    const length = lengthMin + this.#draws.below(span)
    const offset = this.#draws.below(POOL_LENGTH - length)
    return this.#pool.slice(offset, offset + length)
  }

  #url(): string {
    return `https://www.nexmark.example/${this.#text(3, 3)}/${this.#text(3, 3)}/${this.#text(3, 3)}/item.htm?query=1`
  }
}

/** How the numbers of `count` events (a multiple of 100) are ordered: within 100 ms of disorder. */
export function shuffledOrder(count: number): Int32Array {
  const numbers = new Int32Array(count)
  for (let i = 0; i < count; i++) numbers[i] = i - (i % 100) + ((i * 953) % 100)
  return numbers
}

/** One event in a hundred is held back by up to 20,000 others. */
export function lateOrder(count: number, seed = 42): Int32Array {
  const draws = new Draws()
  const places = Array.from({ length: count }, (_, n) => {
    draws.state = mix(((seed ^ 0x4c617465) + Math.imul(n, GOLDEN)) | 0)
    const isHeld = draws.below(100) === 0
    return { n, release: isHeld ? n + 1 + draws.below(20_000) : n, held: isHeld ? 1 : 0 }
  })
  places.sort((a, b) => a.release - b.release || a.held - b.held || a.n - b.n)
  return Int32Array.from(places, ({ n }) => n)
}

/** Fingerprint of an order. */
export function orderHash(numbers: Int32Array): string {
  let hash = 0
  for (const n of numbers) hash = (Math.imul(hash, 31) + mix(n)) | 0
  return (hash >>> 0).toString(16).padStart(8, '0')
}
