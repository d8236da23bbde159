import { build, type Histogram } from 'hdr-histogram-js'

/** One minute. Longer ones count as one minute. */
const HIGHEST_US = 60_000_000

/** Counts and times what a benchmark did, once its warm-up is over. */
export class Measurement {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  })
  /** Operations by the power of two that their microseconds do not exceed. */
  readonly #doublings = new Uint32Array(27)
  #messageCount = 0
  #bytes = 0
  #failedCount = 0
  readonly #startedAt = performance.now()
  #endedAt: number | undefined

  get messageCount(): number {
    return this.#messageCount
  }

  /** Counts messages that needed no measuring of their own, such as those of one pull. */
  count(messages: number, bytes: number): void {
    this.#messageCount += messages
    this.#bytes += bytes
  }

  /** Notes how long one operation took, in milliseconds. */
  time(latencyMs: number): void {
    const us = Math.min(HIGHEST_US, Math.max(1, Math.round(latencyMs * 1000)))
    this.#histogram.recordValue(us)
    this.#doublings[Math.ceil(Math.log2(us))]++
  }

  fail(): void {
    this.#failedCount++
  }

  end(): void {
    this.#endedAt ??= performance.now()
  }

  result(): BenchResult {
    const seconds = Math.max(0.001, ((this.#endedAt ?? performance.now()) - this.#startedAt) / 1000)
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1000
    return {
      seconds: round(seconds),
      messages: this.#messageCount,
      failed: this.#failedCount,
      messagesPerSecond: Math.round(this.#messageCount / seconds),
      megabytesPerSecond: round(this.#bytes / seconds / 1e6),
      latencyMs: { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: this.#histogram.maxValue / 1000 },
      buckets: this.#buckets(),
    }
  }

  /** From the first to the last bucket that holds anything. */
  #buckets(): LatencyBucket[] {
    const all = [...this.#doublings].map((count, power) => ({ upToMs: 2 ** power / 1000, count }))
    const first = all.findIndex(({ count }) => count > 0)
    return first < 0 ? [] : all.slice(first, all.findLastIndex(({ count }) => count > 0) + 1)
  }
}

export interface LatencyBucket {
  readonly upToMs: number
  readonly count: number
}

export interface BenchResult {
  readonly seconds: number
  readonly messages: number
  readonly failed: number
  readonly messagesPerSecond: number
  /** Message bodies only; a megabyte is 10^6 bytes. */
  readonly megabytesPerSecond: number
  readonly latencyMs: {
    readonly p50: number
    readonly p90: number
    readonly p99: number
    readonly p999: number
    readonly max: number
  }
  /** Operations by latency, each bucket twice as wide as the one before. */
  readonly buckets: readonly LatencyBucket[]
}

const round = (value: number): number => Math.round(value * 1000) / 1000
