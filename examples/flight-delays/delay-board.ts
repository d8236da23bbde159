import { count, json, max, mean, pipeline, topic, tumbling, type Windowed } from 'millrace'
import { flightsTopic, originOf } from './flights.js'

/** What an airport's departures of an hour came to. Delays are in minutes. */
export interface Delays {
  readonly flights: number
  readonly delay: number
  readonly longest: number
}

export const delaysTopic = topic('delays-by-airport', { value: json<Windowed<string, Delays>>() })

/** Shorter hops are left out, in miles. */
const DISTANCE_MIN = 100

/** The mean delay of each airport and hour. An hour is complete once a later flight of its queue has come. */
export const delayBoard = pipeline('delay-board', source =>
  source(flightsTopic)
    .filter(flight => flight.distance >= DISTANCE_MIN)
    .keyBy(originOf)
    .window(tumbling('1 h', { grace: '5 min' }))
    .aggregate({
      flights: count(),
      delay: mean(flight => flight.delay),
      longest: max(flight => flight.delay),
    })
    .to(delaysTopic),
)
