import { createReadStream } from 'node:fs'
import { json, topic } from 'millrace'

/** One flight, as it is sent. */
export interface Flight {
  /** Airports by their three-letter codes. */
  readonly origin: string
  readonly destination: string
  /** Time of departure to the minute, ISO 8601. */
  readonly departure: string
  /** How late it arrived, in minutes; early ones have negative numbers. */
  readonly delay: number
  /** Miles. */
  readonly distance: number
}

export const originOf = (flight: Flight): string => flight.origin

/** Flights by airport of departure: all of an airport are in one queue, in the order in which they left. */
export const flightsTopic = topic('flights', {
  value: json<Flight>(),
  key: originOf,
  eventTime: flight => new Date(flight.departure),
})

/**
 * 20,000 flights within the United States, January to March 2001, in order of departure: `flights-20k.json` of the npm package
 * `vega-datasets`, a sample of what airlines report to the Bureau of Transportation Statistics. A row looks like
 * `{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW","destination":"LAS"}`.
 */
const FLIGHTS_FILE = new URL('../data/flights-20k.json', import.meta.resolve('vega-datasets'))

/** Reads the flights one by one, never the file as a whole. `onBadRow` hears of each row that is skipped. */
export async function* streamFlights(
  onBadRow: (row: string) => void = () => {},
  file: URL = FLIGHTS_FILE,
): AsyncGenerator<Flight> {
  let text = ''
  for await (const chunk of createReadStream(file, 'utf8')) {
    text += chunk
    let begin = 0
    // Rows are flat objects without braces in their texts: the next brace ends the row.
    for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}', begin)) {
      const row = text.slice(text.indexOf('{', begin), end + 1)
      begin = end + 1
      const flight = parseRow(row)
      if (flight === undefined) onBadRow(row)
      else yield flight
    }
    text = text.slice(begin)
  }
}

/** All flights that the file holds. */
export async function readFlights(): Promise<readonly Flight[]> {
  const flights: Flight[] = []
  for await (const flight of streamFlights()) flights.push(flight)
  return flights
}

function parseRow(row: string): Flight | undefined {
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = JSON.parse(row)
  } catch {
    return undefined // Counted by the caller, like any other row that is no flight.
  }
  const { date, delay, distance, origin, destination } = fields
  if (typeof origin !== 'string' || typeof destination !== 'string' || origin === '') return undefined
  if (typeof delay !== 'number' || typeof distance !== 'number' || typeof date !== 'string') return undefined
  const departure = departureOf(date)
  return departure === undefined ? undefined : { origin, destination, departure, delay, distance }
}

/**
 * `2001/01/01 00:47` is local time at the airport, and the file does not say which: it is read as if it were UTC. Windows are
 * per airport, so that an hour is an hour of that airport's clock.
 */
function departureOf(date: string): string | undefined {
  const match = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d)$/.exec(date)
  if (match === null) return undefined
  const [, year, month, day, hour, minute] = match
  const departure = `${year}-${month}-${day}T${hour}:${minute}Z`
  return Number.isNaN(Date.parse(departure)) ? undefined : departure
}
