#!/usr/bin/env node
// @ts-check
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { kinds, machine, untilAccepting, wipe } from './side-by-side/brokers.mjs'
import { markdown, terminal } from './side-by-side/report.mjs'
import { rawSyncLimit, stages, warmUp } from './side-by-side/stages.mjs'
import { buildLoadGenerator, canRun, root } from './side-by-side/tools.mjs'

const HELP = `usage: npm run bench -- [STAGE...] [options]

Measures Millrace and Apache RocketMQ 5.5.0 in turns, and takes medians. A STAGE is the beginning of an id
("send", "e2e-1k"); without one, all stages run (about 40 minutes).

  --quick            one short round: shows that it runs, not how fast
  --rounds N         rounds (3)
  --only BROKER      millrace or apache
  --dir DIR          where the stores go (the system's temporary directory)
  --markdown         also write bench/RESULTS.md
  --from FILE        measure nothing; render the results of a run before
  --list             list the stages

Needs Go (the load generator). Without Java and Maven it measures Millrace alone.
`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    dir: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    from: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** @param {string} message @returns {never} */
function stop(message) {
  process.stderr.write(`bench: ${message}\n`)
  process.exit(2)
}

/** @param {string} line */
const progress = line => process.stderr.write(`${line}\n`)

/** @param {import('./side-by-side/report.mjs').Results} results */
function report(results) {
  process.stdout.write(terminal(results))
  if (!options.markdown) return
  const page = join(root, 'bench/RESULTS.md')
  writeFileSync(page, markdown(results))
  progress(`wrote ${page}`)
}

if (options.help) {
  process.stdout.write(HELP)
} else if (options.list) {
  for (const stage of stages) process.stdout.write(`${stage.id.padEnd(12)} ${stage.title}\n`)
} else if (options.from) {
  report(JSON.parse(readFileSync(options.from, 'utf8')))
} else {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  await measureAll()
}

async function measureAll() {
  const chosen = stages.filter(stage => positionals.length === 0 || positionals.some(name => stage.id.startsWith(name)))
  if (chosen.length === 0) stop(`no stage is called ${positionals.join(', ')}; --list shows them`)
  if (options.only && !kinds.some(kind => kind.id === options.only)) stop(`--only ${options.only}: millrace or apache`)
  if (!canRun('go', 'version')) stop('Go is not installed; the load generator (bench/rmqload) is written in it')
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
  if (!Number.isInteger(rounds) || rounds < 1) stop(`--rounds ${options.rounds}: a whole number from 1`)
  buildLoadGenerator()

  const asked = kinds.filter(kind => !options.only || kind.id === options.only)
  const skipped = Object.fromEntries(asked.flatMap(kind => (kind.missing() ? [[kind.id, kind.missing() ?? '']] : [])))
  for (const [broker, why] of Object.entries(skipped)) progress(`bench: ${broker} is not measured: ${why}`)
  const brokers = asked.filter(kind => !(kind.id in skipped))
  if (brokers.length === 0) stop('nothing to measure')

  const date = new Date().toISOString()
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  const file = join(root, 'bench/results', `${date.replaceAll(':', '-').slice(0, 19)}.json`)
  /** @type {import('./side-by-side/report.mjs').Results} */
  const results = {
    date,
    command: ['npm run bench --', ...process.argv.slice(2)].join(' ').replace(/ --$/, ''),
    machine: { ...machine(), cores: `${cpus().length}`, memory: `${Math.round(totalmem() / 2 ** 30)} GiB` },
    skipped,
    rounds,
    isQuick: options.quick,
    rawSync: [],
    measurements: [],
  }
  const base = options.dir ? resolve(options.dir) : tmpdir()
  mkdirSync(base, { recursive: true })
  const dir = mkdtempSync(join(base, 'millrace-bench-'))
  try {
    for (let round = 1; round <= rounds; round++) {
      // Whoever comes second finds a warmer machine: the order changes each round.
      const order = round % 2 ? brokers : [...brokers].reverse()
      if (chosen.some(stage => stage.session === 'sync'))
        results.rawSync.push(rawSyncLimit(dir, options.quick ? 500 : 2_000))
      for (const kind of order) {
        await measureRound(kind, chosen, join(dir, kind.id), one => {
          results.measurements.push({ ...one, broker: kind.id, round, load1: loadavg()[0] ?? 0 })
          writeFileSync(file, JSON.stringify(results, null, 1))
          const figures = one.figures
            ? Object.entries(one.figures)
                .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
                .join('  ')
            : `FAILED: ${one.failure}`
          progress(`round ${round}/${rounds}  ${kind.id.padEnd(9)}${one.stage.padEnd(12)} ${figures}`)
        })
      }
    }
  } finally {
    await wipe(dir)
  }
  report(results)
  progress(`figures of every round: ${file}`)
}

/**
 * All stages with one broker: those that share a server on one, the others each on a new one.
 * @param {import('./side-by-side/brokers.mjs').Kind} kind
 * @param {readonly import('./side-by-side/stages.mjs').Stage[]} chosen
 * @param {string} dir
 * @param {(one: { stage: string, figures?: import('./side-by-side/stages.mjs').Figures, failure?: string, notes: string[] }) => void} done
 */
async function measureRound(kind, chosen, dir, done) {
  const sessions = [
    chosen.filter(stage => stage.session === 'async'),
    chosen.filter(stage => stage.session === 'sync'),
    ...chosen.filter(stage => stage.session === 'own').map(stage => [stage]),
  ]
  for (const session of sessions.filter(list => list.length > 0)) {
    const flush = session[0]?.session === 'sync' ? 'sync' : 'async'
    const store = join(dir, 'store')
    const server = await kind.start({ flush, dir: store })
    /** @type {string[]} */
    const notes = []
    const note = (/** @type {string} */ text) => void notes.push(text)
    const context = { server, dir: store, isQuick: options.quick, broker: kind.id, note }
    try {
      if (session[0]?.session !== 'own') {
        await untilAccepting(server)
        const warm = await warmUp(context)
        progress(
          `           ${kind.id.padEnd(9)}warm after ${warm.seconds.toFixed(0)} s, at ${warm.cpuMicros.toFixed(1)} µs a message`,
        )
      }
      for (const stage of session) {
        try {
          const figures = await stage.run(context)
          done({ stage: stage.id, figures, notes: notes.splice(0) })
        } catch (error) {
          const failure = error instanceof Error ? error.message : String(error)
          done({ stage: stage.id, failure, notes: notes.splice(0) })
        }
      }
    } catch (error) {
      const failure = `did not get ready: ${error instanceof Error ? error.message : String(error)}`
      for (const stage of session) done({ stage: stage.id, failure, notes: [] })
    } finally {
      await server.stop()
      await wipe(dir)
    }
  }
}
