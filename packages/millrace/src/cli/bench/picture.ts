import { formatCount } from '../table.js'
import type { BenchResult } from './measure.js'

const BAR_WIDTH = 40
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** The result as text: figures first, then one bar per doubling of the latency. */
export function describeResult(result: BenchResult): string {
  const { p50, p90, p99, p999, max } = result.latencyMs
  const failed = result.failed > 0 ? `, ${formatCount(result.failed)} failed` : ''
  const lines = [
    `messages    ${formatCount(result.messages)} in ${result.seconds.toFixed(1)} s${failed}`,
    `throughput  ${formatCount(result.messagesPerSecond)} msgs/s, ${result.megabytesPerSecond.toFixed(1)} MB/s`,
    `latency ms  p50 ${figure(p50)}  p90 ${figure(p90)}  p99 ${figure(p99)}  p99.9 ${figure(p999)}  max ${figure(max)}`,
  ]
  const total = result.buckets.reduce((sum, { count }) => sum + count, 0)
  const most = Math.max(1, ...result.buckets.map(({ count }) => count))
  for (const { upToMs, count } of result.buckets) {
    const share = `${((count / total) * 100).toFixed(1)} %`.padStart(7)
    lines.push(`${`≤ ${figure(upToMs)} ms`.padStart(12)} ${share} ${bar(count / most)}`.trimEnd())
  }
  return `${lines.join('\n')}\n`
}

function bar(share: number): string {
  const eighths = Math.round(share * BAR_WIDTH * 8)
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]
}

const figure = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3))
