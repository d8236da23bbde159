import { describe, expect, it } from 'vitest'
import { Measurement } from '../../../src/cli/bench/measure.js'
import { describeResult } from '../../../src/cli/bench/picture.js'

function measured() {
  const measurement = new Measurement()
  for (let ms = 1; ms <= 1000; ms++) {
    measurement.count(1, 1000)
    measurement.time(ms)
  }
  measurement.end()
  return measurement.result()
}

describe('Measurement', () => {
  it('gives percentiles to three digits, and counts', () => {
    const { messages, failed, latencyMs, buckets } = measured()
    expect({ messages, failed }).toEqual({ messages: 1000, failed: 0 })
    for (const [seen, expected] of [
      [latencyMs.p50, 500],
      [latencyMs.p99, 990],
      [latencyMs.p999, 999],
      [latencyMs.max, 1000],
    ])
      expect(Math.abs(seen / expected - 1)).toBeLessThan(0.002)
    expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(1000)
    expect(buckets.at(-1)?.upToMs).toBe(1048.576)
  })

  it('takes a latency beyond a minute as a minute', () => {
    const measurement = new Measurement()
    measurement.time(1e9)
    expect(measurement.result().latencyMs.max).toBeGreaterThan(59_000)
  })
})

describe('describeResult', () => {
  it('prints figures, then a bar for each doubling of the latency', () => {
    const lines = describeResult(measured()).trimEnd().split('\n')
    expect(lines[0]).toMatch(/^messages {4}1,000 in /)
    expect(lines[1]).toMatch(/msgs\/s, .* MB\/s$/)
    expect(lines[2]).toMatch(/p50 500 {2}p90 .* p99\.9 /)
    expect(lines.at(-2)).toMatch(/≤ 524 ms .* % █{20}/)
    expect(Math.max(...lines.map(line => line.split('█').length - 1))).toBe(40)
  })

  it('has nothing to draw without a latency', () => {
    expect(describeResult(new Measurement().result()).trimEnd().split('\n')).toHaveLength(3)
  })
})
