interface WindowShape {
  readonly everyMs: number
  readonly samples: number
}

/** How often counters are sampled, and how many samples are kept. @see RocketMQ `StatsItem` */
const SHAPES = {
  minute: { everyMs: 10_000, samples: 7 },
  hour: { everyMs: 600_000, samples: 7 },
  day: { everyMs: 3_600_000, samples: 25 },
} as const satisfies Record<string, WindowShape>

export type WindowName = keyof typeof SHAPES
export const WINDOW_NAMES = Object.keys(SHAPES) as readonly WindowName[]

interface Window extends WindowShape {
  readonly firstSlot: number
  /** Samples taken so far. */
  taken: number
}

/** Samples that a meter keeps, of all windows together. */
export const SLOT_COUNT = Object.values(SHAPES).reduce((sum, shape) => sum + shape.samples, 0)

/** A sample was taken at the first tick at or after it was due: timers come a little early or late. */
const SLACK_MS = 1_000

/**
 * When the counters of a broker were sampled, in monotonic milliseconds. All meters share these times: a meter is as
 * many numbers as there are slots. The first sample of each window is the start, when everything was 0.
 */
export class SampleTimes {
  readonly #times = new Float64Array(SLOT_COUNT).fill(Number.NaN)
  readonly #windows: Readonly<Record<WindowName, Window>>

  constructor(startMs: number) {
    let firstSlot = 0
    const window = (shape: WindowShape): Window => {
      const made = { ...shape, firstSlot, taken: 1 }
      this.#times[firstSlot] = startMs
      firstSlot += shape.samples
      return made
    }
    this.#windows = { minute: window(SHAPES.minute), hour: window(SHAPES.hour), day: window(SHAPES.day) }
  }

  /** The slots that are to be written at this time, none in between; their times are noted. */
  due(nowMs: number): number[] {
    return WINDOW_NAMES.flatMap(name => {
      const window = this.#windows[name]
      const last = this.#times[window.firstSlot + ((window.taken - 1) % window.samples)]!
      if (nowMs - last < window.everyMs - SLACK_MS) return []
      const slot = window.firstSlot + (window.taken % window.samples)
      window.taken += 1
      this.#times[slot] = nowMs
      return [slot]
    })
  }

  timeOf(slot: number): number {
    return this.#times[slot]!
  }

  /** The oldest sample of the window that is no older than the window is long; at worst the newest one. */
  begin(name: WindowName, nowMs: number): number {
    const { everyMs, firstSlot, samples, taken } = this.#windows[name]
    const spanMs = everyMs * (samples - 1) + SLACK_MS
    for (let age = Math.min(taken, samples); age > 1; age--) {
      const slot = firstSlot + ((taken - age) % samples)
      if (nowMs - this.#times[slot]! <= spanMs) return slot
    }
    return firstSlot + ((taken - 1) % samples)
  }

  /** The newest sample that is at least `ms` old; while there is none, the oldest of all. */
  before(ms: number, nowMs: number): number {
    let best = 0
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const time = this.#times[slot]!
      if (Number.isNaN(time)) continue
      const bestTime = this.#times[best]!
      const isOldEnough = nowMs - time >= ms
      const isBestOldEnough = nowMs - bestTime >= ms
      if (isOldEnough ? !isBestOldEnough || time > bestTime : !isBestOldEnough && time < bestTime) best = slot
    }
    return best
  }
}
