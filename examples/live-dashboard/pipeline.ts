import { count, json, mean, pipeline, topic, tumbling, type Windowed } from 'millrace'

export interface Request {
  readonly route: string
  readonly durationMs: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Load {
  readonly requests: number
  readonly meanMs: number
}

export const requests = topic('requests', {
  value: json<Request>(),
  key: (request: Request) => request.route,
  eventTime: request => request.at,
  outOfOrder: '1 s',
})
export const load = topic('load', { value: json<Windowed<string, Load>>() })

/** Requests per route in windows of five seconds: about one update a second while a window is open, then the result. */
export const liveDashboard = pipeline('live-dashboard', source =>
  source(requests)
    .keyBy(request => request.route)
    .window(tumbling('5 s'))
    .aggregate(
      { requests: count(), meanMs: mean(request => request.durationMs) },
      { name: 'load', emit: { early: '1 s' } },
    )
    .to(load),
)
