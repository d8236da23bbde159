import { json, type Serde, topic } from 'millrace'
import type { Auction, Bid, NexmarkEvent, Person } from './events.js'

/** One field of an answer. */
export type Field = string | number
/** One row of an answer. */
export type Row = readonly Field[]

/** The rows that stand for a key from now on; none take them back. */
export interface Standing {
  readonly key: Field
  readonly rows: readonly Row[]
}

/** A side table's row. */
export interface SideRow {
  readonly key: number
  readonly value: string
}

/** Bodies are the JSON of a person, an auction or a bid; their fields tell which. */
const nexmarkJson: Serde<NexmarkEvent> = {
  name: 'nexmark json',
  serialize: event => Buffer.from(JSON.stringify(event.bid ?? event.auction ?? event.person)),
  deserialize(body) {
    const fields = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')) as object
    if ('bidder' in fields) return { bid: fields as Bid }
    return 'seller' in fields ? { auction: fields as Auction } : { person: fields as Person }
  },
}

const timeOf = (event: NexmarkEvent): number => (event.bid ?? event.auction ?? event.person)!.dateTime

/** All events, in event time with four seconds of disorder. */
export const nexmark = topic('nexmark', { value: nexmarkJson, eventTime: timeOf, outOfOrder: '4 s' })
/** The same for the queries about late events: one second. */
export const nexmarkLate = topic('nexmark', { value: nexmarkJson, eventTime: timeOf, outOfOrder: '1 s' })
/** The same in processing time. */
export const nexmarkProcessing = topic('nexmark', { value: nexmarkJson, eventTime: 'processing' })
export const sideTable = topic('side', { value: json<SideRow>(), key: (row: SideRow) => row.key })

export const rowsTopic = topic('rows', { value: json<Row>() })
export const lateRowsTopic = topic('late-rows', { value: json<Row>() })
export const standingTopic = topic('standing', { value: json<Standing>() })
