import { type SampleTimes, SLOT_COUNT, type WindowName } from './sample-times.js'

/** Growth of a counter over a window, as clients read it (JSON object BrokerStatsItem). */
export interface Growth {
  readonly sum: number
  /** Per second. */
  readonly tps: number
  /** Per request. */
  readonly avgpt: number
}

/**
 * Counters that only grow, and what they were at the sampled times. The data path adds to `now`, one number per thing
 * counted; the sampler copies them away; nothing else happens until somebody asks.
 */
export class Meter {
  readonly now: Float64Array
  /** Made when there is something to keep: most topics of a large broker are quiet. */
  #samples: Float64Array | undefined

  constructor(readonly width: number) {
    this.now = new Float64Array(width)
  }

  sample(slot: number): void {
    this.#samples ??= new Float64Array(SLOT_COUNT * this.width)
    for (let i = 0, at = slot * this.width; i < this.width; i++, at++) this.#samples[at] = this.now[i]!
  }

  /** How much counter `index` has grown since the sample in `slot`. */
  since(slot: number, index: number): number {
    return this.now[index]! - (this.#samples?.[slot * this.width + index] ?? 0)
  }

  /** Growth of counter `index` over a window that ends now, with counter `times` as the number of requests. */
  growth(times: SampleTimes, window: WindowName, nowMs: number, index: number, requests: number): Growth {
    const slot = times.begin(window, nowMs)
    const sum = this.since(slot, index)
    const count = this.since(slot, requests)
    return { sum, tps: perSecond(sum, nowMs - times.timeOf(slot)), avgpt: count === 0 ? 0 : sum / count }
  }

  /** Growth per second of counter `index` over the last `ms`. */
  rate(times: SampleTimes, ms: number, nowMs: number, index: number): number {
    const slot = times.before(ms, nowMs)
    return perSecond(this.since(slot, index), nowMs - times.timeOf(slot))
  }
}

function perSecond(count: number, ms: number): number {
  return ms <= 0 ? 0 : (count * 1000) / ms
}
