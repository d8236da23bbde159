import { type Behavior, receive, setup } from '@millrace/core'
import type { BrokerCounters } from '../counters.js'

/** Shortest window's sampling interval. */
const SAMPLE_INTERVAL_MS = 10_000

export interface SamplerOptions {
  readonly counters: BrokerCounters
  /** Is this still the topic of that name? */
  readonly isTopic: (name: string, id: number) => boolean
  readonly isGroup: (name: string) => boolean
  readonly totals: DayTotals
}

/** Copies the counters away in time for the moving windows, and forgets those of deleted topics and groups. */
export function statsSampler({ counters, isGroup, isTopic, totals }: SamplerOptions): Behavior<'sample-due'> {
  return setup(context => {
    context.every(SAMPLE_INTERVAL_MS, 'sample-due')
    return receive(() => {
      const slots = counters.times.due(context.clock.monotonic())
      for (const meter of counters.topics()) {
        if (!isTopic(meter.topic.name, meter.topic.id)) {
          counters.drop(meter.topic)
          continue
        }
        for (const slot of slots) meter.sample(slot)
        for (const [group, reader] of meter.groups)
          if (isGroup(group)) for (const slot of slots) reader.sample(slot)
          else meter.groups.delete(group)
      }
      for (const slot of slots) counters.broker.sample(slot)
      totals.noteDay(context.clock.now(), counters)
    })
  })
}

interface Totals {
  readonly messagesIn: number
  readonly messagesOut: number
}

const NOTHING: Totals = { messagesIn: 0, messagesOut: 0 }

/** What was counted when the day began, and the day before: for "today" and "yesterday". @see RocketMQ `BrokerStats` */
export class DayTotals {
  todayMorning = NOTHING
  yesterdayMorning = NOTHING
  #day: number

  constructor(nowMs: number) {
    this.#day = dayOf(nowMs)
  }

  noteDay(nowMs: number, { messagesIn, messagesOut }: Totals): void {
    const day = dayOf(nowMs)
    if (day === this.#day) return
    this.#day = day
    this.yesterdayMorning = this.todayMorning
    this.todayMorning = { messagesIn, messagesOut }
  }
}

/** Number of the local day. */
function dayOf(nowMs: number): number {
  const date = new Date(nowMs)
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate()
}
