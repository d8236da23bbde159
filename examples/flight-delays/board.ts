import type { Windowed } from 'millrace'
import type { Delays } from './delay-board.js'

const ROWS = 12

/** Keeps the results by airport and hour, and draws them. A result that comes twice, after a crash, counts once. */
export class Board {
  readonly #airports = new Map<string, Map<number, Delays>>()
  #newest = 0
  hourCount = 0

  add({ key, window, value }: Windowed<string, Delays>): void {
    const hours = this.#airports.get(key) ?? new Map<number, Delays>()
    this.#airports.set(key, hours)
    if (!hours.has(window.start)) this.hourCount++
    hours.set(window.start, value)
    this.#newest = Math.max(this.#newest, window.end)
  }

  /** A heading, then the airports with the most flights, one a line. */
  lines(): string[] {
    if (this.hourCount === 0) return ['no results yet: an hour is complete when later flights have come']
    const rows = [...this.#airports].map(([airport, hours]) => summary(airport, hours))
    const busiest = rows.toSorted((a, b) => b.flights - a.flights).slice(0, ROWS)
    return [
      `${this.hourCount} hours of ${rows.length} airports, until ${time(this.#newest)}`,
      'AIRPORT  FLIGHTS   MEAN DELAY  LATEST HOUR         ITS DELAY',
      ...busiest.map(({ airport, flights, delay, latest, latestDelay }) =>
        [
          airport.padEnd(7),
          String(flights).padStart(7),
          minutes(delay).padStart(11),
          time(latest),
          minutes(latestDelay).padStart(11),
          bar(latestDelay),
        ]
          .join('  ')
          .trimEnd(),
      ),
    ]
  }
}

function summary(airport: string, hours: ReadonlyMap<number, Delays>) {
  let flights = 0
  let delaySum = 0
  let latest = Number.NEGATIVE_INFINITY
  for (const [start, hour] of hours) {
    flights += hour.flights
    delaySum += hour.delay * hour.flights
    latest = Math.max(latest, start)
  }
  return { airport, flights, delay: delaySum / flights, latest, latestDelay: hours.get(latest)?.delay ?? 0 }
}

const time = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
const minutes = (value: number): string => `${value.toFixed(1)} min`

/** One block for every five minutes late. */
const bar = (delay: number): string => '█'.repeat(Math.max(0, Math.min(24, Math.round(delay / 5))))
