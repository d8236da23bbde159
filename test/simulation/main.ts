import { parseArgs } from 'node:util'
import { runSeed, type SeedResult } from './run-seed.js'

const USAGE = `npm run sim -- [--seeds N] [--first SEED] [--json]

Runs simulated clusters under faults, one a seed, and checks what their clients saw. A seed decides its run:
\`npm run sim -- --first SEED --seeds 1\` replays it, with its timeline.
`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
const [count, first] = [values.seeds, values.first].map(Number) as [number, number]
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(first)) {
  process.stderr.write(`--seeds and --first take whole numbers, --seeds at least 1\n\n${USAGE}`)
  process.exit(2)
}

const begun = performance.now()
const failed: SeedResult[] = []
const totals = { seeds: 0, events: 0, sent: 0, acked: 0 }
let toldAt = begun
for (let seed = first; seed < first + count; seed++) {
  const result = await runSeed(seed)
  totals.seeds++
  totals.events += result.eventCount
  totals.sent += result.sentCount
  totals.acked += result.ackedCount
  if (result.violations.length > 0) {
    failed.push(result)
    if (!values.json) tellFailure(result)
  } else if (count === 1 && !values.json) process.stdout.write(`${result.timeline.join('\n')}\n`)
  if (!values.json && performance.now() - toldAt > 5_000) {
    toldAt = performance.now()
    process.stderr.write(`${totals.seeds} of ${count} seeds, ${failed.length} failed, ${rate()} events/s\n`)
  }
}
const summary = {
  ...totals,
  seconds: (performance.now() - begun) / 1_000,
  eventsPerSecond: rate(),
  failedSeeds: failed.map(({ seed }) => seed),
}
if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
else
  process.stdout.write(
    `${totals.seeds} seeds in ${summary.seconds.toFixed(1)} s: ${totals.events.toLocaleString('en')} events (${rate().toLocaleString('en')}/s), ` +
      `${totals.acked.toLocaleString('en')} of ${totals.sent.toLocaleString('en')} messages acknowledged, ${failed.length} seeds failed\n`,
  )
process.exit(failed.length === 0 ? 0 : 1)

function rate(): number {
  return Math.round(totals.events / ((performance.now() - begun) / 1_000))
}

function tellFailure({ seed, timeline, violations }: SeedResult): void {
  const more = violations.length > 10 ? `\n  … and ${violations.length - 10} more` : ''
  process.stdout.write(
    `seed ${seed} failed\n  ${violations.slice(0, 10).join('\n  ')}${more}\n  timeline:\n    ${timeline.join('\n    ')}\n  replay: npm run sim -- --first ${seed} --seeds 1\n\n`,
  )
}
