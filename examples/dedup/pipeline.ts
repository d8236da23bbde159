import { json, pipeline, topic } from 'millrace'

export interface Click {
  readonly id: string
  readonly url: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

export const clicks = topic('clicks', {
  value: json<Click>(),
  key: (click: Click) => click.id,
  eventTime: click => click.at,
  outOfOrder: '10 s',
})
export const uniqueClicks = topic('unique-clicks', { value: json<Click>(), key: (click: Click) => click.id })

/** Passes each click once, however often it was sent within an hour; ids are forgotten after that. */
export const dedup = pipeline('dedup', source =>
  source(clicks)
    .keyBy(click => click.id)
    .distinct({ within: '1 h', name: 'seen' })
    .to(uniqueClicks),
)
