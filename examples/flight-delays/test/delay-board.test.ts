import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { testPipeline } from '@millrace/core/testkit'
import { describe, expect, it } from 'vitest'
import { delayBoard, delaysTopic } from '../delay-board.js'
import { type Flight, flightsTopic, readFlights, streamFlights } from '../flights.js'

const HOUR_MS = 3_600_000

/** `airport hour flights mean longest`, of every airport and hour, by one loop over all flights. */
function direct(flights: readonly Flight[]): string[] {
  const delays = new Map<string, number[]>()
  for (const flight of flights.filter(({ distance }) => distance >= 100)) {
    const hour = `${flight.origin} ${Math.floor(Date.parse(flight.departure) / HOUR_MS)}`
    delays.set(hour, [...(delays.get(hour) ?? []), flight.delay])
  }
  return [...delays]
    .map(([hour, of]) => `${hour} ${of.length} ${of.reduce((a, b) => a + b) / of.length} ${Math.max(...of)}`)
    .sort()
}

describe('the flight delays', () => {
  it('are those of 20,000 real flights, in order', async () => {
    const bad: string[] = []
    const departures: string[] = []
    for await (const { departure } of streamFlights(row => bad.push(row))) departures.push(departure)
    expect(bad).toEqual([])
    expect(departures).toHaveLength(20_000)
    expect(departures).toEqual(departures.toSorted())
    expect([departures[0], departures.at(-1)]).toEqual(['2001-01-01T00:47Z', '2001-03-31T22:27Z'])
  })

  it('skip rows that are no flights', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flights-'))
    try {
      const good = '{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW","destination":"LAS"}'
      const bad = [
        good.replace('66', '"late"'),
        good.replace('2001/01/01', '2001/13/01'),
        good.replace('"DTW"', 'null'),
        '{"date":',
      ]
      const file = join(directory, 'rows.json')
      await writeFile(file, `[${[...bad.slice(0, 3), good, `${bad[3]}}`].join(',\n')}]`)
      const skipped: string[] = []
      const flights: Flight[] = []
      for await (const flight of streamFlights(row => skipped.push(row), pathToFileURL(file))) flights.push(flight)
      expect(flights).toEqual([
        { origin: 'DTW', destination: 'LAS', departure: '2001-01-01T00:47Z', delay: 66, distance: 1750 },
      ])
      expect(skipped).toHaveLength(4)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  it.each([1, 8])('come out of %i queues as one loop computes them', async queues => {
    const flights = (await readFlights()).slice(0, 5_000)
    const driver = testPipeline(delayBoard, { queues })
    for (const flight of flights) driver.send(flightsTopic, flight)
    // One more flight a queue, much later, closes the last hours.
    for (let queue = 0; queue < queues; queue++)
      driver.send(flightsTopic, { ...flights[0]!, departure: '2002-01-01T00:00Z' }, { queue })
    const results = driver
      .read(delaysTopic)
      .map(
        ({ value: { key, window, value } }) =>
          `${key} ${window.start / HOUR_MS} ${value.flights} ${value.delay} ${value.longest}`,
      )
    expect(results.sort()).toEqual(direct(flights))
    expect(driver.counters).toMatchObject({ late: 0, skipped: 0 })
    expect(driver.repartitionTopics).toEqual([])
  })
})
