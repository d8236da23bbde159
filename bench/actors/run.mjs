// Actors side by side: CPU and wall time per tell, per ask and per ping-pong hop, and bytes per idle actor.
// node bench/actors/run.mjs [--json] [--rounds 7] [--idle 1000000]     (after npm run build)
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { effectTake, effectTakeAll } from './subjects/effect.mjs'
import { emitter } from './subjects/emitter.mjs'
import { millrace, millraceBatch } from './subjects/millrace.mjs'
import { nact } from './subjects/nact.mjs'
import { xstateMachine, xstateTransition } from './subjects/xstate.mjs'

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '7' },
    idle: { type: 'string', default: '1000000' },
  },
})

const SUBJECTS = [
  { name: 'millrace', make: millrace, isPeer: false },
  { name: 'millrace receiveBatch', make: millraceBatch, isPeer: false },
  { name: 'nact', make: nact, isPeer: true },
  { name: 'xstate machine', make: xstateMachine, isPeer: true },
  { name: 'xstate fromTransition', make: xstateTransition, isPeer: true },
  { name: 'effect queue, take', make: effectTake, isPeer: false },
  { name: 'effect queue, takeAll', make: effectTakeAll, isPeer: false },
  { name: 'EventEmitter', make: emitter, isPeer: false },
]
/** Peers whose actors weigh kilobytes get fewer of them. */
const IDLE = [
  { name: 'millrace', count: Number(flags.idle) },
  { name: 'nact', count: Math.min(20_000, Number(flags.idle)) },
  { name: 'xstate', count: Math.min(100_000, Number(flags.idle)) },
  { name: 'effect', count: Math.min(100_000, Number(flags.idle)) },
  { name: 'EventEmitter', count: Math.min(200_000, Number(flags.idle)) },
]
const BURST = 1_024
const ASKS_IN_FLIGHT = 64
/** A measurement lasts about this long, so that the resolution of the CPU clock does not matter. */
const TARGET_MS = 150

const MEASURES = {
  tell: {
    applies: subject => subject.tell !== undefined,
    run: async (subject, count) => {
      const expected = subject.sum() + count
      for (let told = 0; told < count; ) {
        const end = Math.min(count, told + BURST)
        for (; told < end; told++) subject.tell(1)
        await new Promise(setImmediate)
      }
      while (subject.sum() !== expected) await new Promise(setImmediate)
    },
  },
  'ask, one at a time': {
    applies: subject => subject.ask !== undefined,
    run: async (subject, count) => {
      for (let asked = 0; asked < count; asked++) {
        if ((await subject.ask(asked)) !== asked + 1) throw new Error('wrong answer')
      }
    },
  },
  'ask, 64 in flight': {
    applies: subject => subject.ask !== undefined,
    run: async (subject, count) => {
      const asks = new Array(ASKS_IN_FLIGHT)
      for (let asked = 0; asked < count; asked += ASKS_IN_FLIGHT) {
        for (let i = 0; i < ASKS_IN_FLIGHT; i++) asks[i] = subject.ask(i)
        if ((await Promise.all(asks))[1] !== 2) throw new Error('wrong answer')
      }
    },
  },
  'ping-pong hop': {
    applies: subject => subject.playPingPong !== undefined,
    // Each ping is answered by a pong.
    run: (subject, count) => subject.playPingPong(Math.ceil(count / 2)),
  },
}

const report = { node: process.version, rounds: Number(flags.rounds), measures: {}, idle: {}, bars: [] }
for (const [measure, { applies, run }] of Object.entries(MEASURES)) {
  report.measures[measure] = await measureAll(measure, applies, run)
}
for (const { name, count } of IDLE) {
  progress(`idle: ${name}, ${count} actors`)
  report.idle[name] = { count, ...(await idleBytes(name, count)) }
}
report.bars = judge()
progress('')
if (flags.json) console.log(JSON.stringify(report, null, 2))
else print()
if (report.bars.some(bar => !bar.isMet)) process.exitCode = 1

async function measureAll(measure, applies, run) {
  const runners = []
  for (const { name, make } of SUBJECTS) {
    const subject = make()
    if (applies(subject)) runners.push({ name, subject, count: await calibrated(run, subject), samples: [] })
    else await subject.close()
  }
  for (let round = 0; round < report.rounds; round++) {
    progress(`${measure}: round ${round + 1} of ${report.rounds}`)
    // Every round begins with another subject, and every second one goes backwards.
    const order = [...runners.slice(round % runners.length), ...runners.slice(0, round % runners.length)]
    if (round % 2 === 1) order.reverse()
    for (const runner of order) runner.samples.push(await timed(run, runner.subject, runner.count))
  }
  const rows = {}
  for (const { name, subject, samples } of runners) {
    const cpu = samples.map(sample => sample.cpuNs).sort((a, b) => a - b)
    const wall = samples.map(sample => sample.wallNs)
    rows[name] = { cpuNs: median(cpu), cpuNsBest: cpu[0], cpuNsWorst: cpu.at(-1), wallNs: median(wall) }
    await subject.close()
  }
  return rows
}

/** Warms up, and finds how many operations take about TARGET_MS. */
async function calibrated(run, subject) {
  let count = 2_048
  for (;;) {
    const { wallNs } = await timed(run, subject, count)
    if (wallNs * count >= TARGET_MS * 500_000) return Math.min(count * 2, 4_000_000)
    count *= 2
    if (count >= 4_000_000) return count
  }
}

async function timed(run, subject, count) {
  const wallStart = performance.now()
  const cpuStart = process.cpuUsage()
  await run(subject, count)
  const cpu = process.cpuUsage(cpuStart)
  return { cpuNs: ((cpu.user + cpu.system) * 1_000) / count, wallNs: ((performance.now() - wallStart) * 1e6) / count }
}

async function idleBytes(name, count) {
  const script = fileURLToPath(new URL('./idle.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--max-old-space-size=4096',
    script,
    name,
    String(count),
  ])
  return JSON.parse(stdout)
}

function judge() {
  const against = (measure, subject) => {
    const rows = report.measures[measure]
    const peers = SUBJECTS.filter(({ name, isPeer }) => isPeer && rows[name]).map(({ name }) => rows[name].cpuNs)
    return Math.min(...peers) / rows[subject].cpuNs
  }
  // Only nact has an ask with a deadline and a failure path.
  const askOf = measure => report.measures[measure]['nact'].cpuNs / report.measures[measure]['millrace'].cpuNs
  const bar = (what, value, needed, isMet) => ({ what, value: Math.round(value * 10) / 10, needed, isMet })
  const tell = against('tell', 'millrace')
  const sequential = askOf('ask, one at a time')
  const parallel = askOf('ask, 64 in flight')
  const { heapBytes } = report.idle['millrace']
  return [
    bar('tell, times the best actor library', tell, '>= 5', tell >= 5),
    bar('ask one at a time, times nact', sequential, '>= 5', sequential >= 5),
    bar('ask 64 in flight, times nact', parallel, '>= 5', parallel >= 5),
    bar('heap bytes per idle virtual actor', heapBytes, '<= 500', heapBytes <= 500),
  ]
}

function print() {
  for (const [measure, rows] of Object.entries(report.measures)) {
    console.log(`\n${measure}: nanoseconds each, median of ${report.rounds} rounds`)
    console.log(`${'subject'.padEnd(24)}${columns('CPU', 'best', 'worst', 'wall', 'M/s of CPU')}`)
    for (const [name, { cpuNs, cpuNsBest, cpuNsWorst, wallNs }] of Object.entries(rows)) {
      const numbers = [cpuNs, cpuNsBest, cpuNsWorst, wallNs].map(ns => ns.toFixed(0))
      console.log(`${name.padEnd(24)}${columns(...numbers, (1_000 / cpuNs).toFixed(2))}`)
    }
  }
  console.log(`\nidle actor: bytes each\n${'subject'.padEnd(24)}${columns('heap', 'resident', 'actors')}`)
  for (const [name, { heapBytes, residentBytes, count }] of Object.entries(report.idle))
    console.log(`${name.padEnd(24)}${columns(String(heapBytes), String(residentBytes), String(count))}`)
  console.log('')
  for (const { what, value, needed, isMet } of report.bars)
    console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}: ${value} (${needed})`)
}

function columns(...cells) {
  return cells.map(cell => cell.padStart(12)).join('')
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
