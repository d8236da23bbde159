// @ts-check
import { stages } from './stages.mjs'
import { median } from './tools.mjs'

/**
 * @typedef {object} Measurement
 * @property {string} stage
 * @property {'millrace' | 'apache'} broker
 * @property {number} round
 * @property {number} load1 Load average when it was taken.
 * @property {import('./stages.mjs').Figures} [figures]
 * @property {string[]} notes
 * @property {string} [failure]
 *
 * @typedef {object} Results
 * @property {string} date
 * @property {string} command
 * @property {Record<string, string>} machine
 * @property {Record<string, string>} skipped Broker → why.
 * @property {number} rounds
 * @property {boolean} isQuick
 * @property {ReturnType<typeof import('./stages.mjs').rawSyncLimit>[]} rawSync
 * @property {Measurement[]} measurements
 *
 * @typedef {{ stage: string, text: string, passed: boolean | undefined }} Verdict `undefined`: not measured
 */

/** @type {Record<string, { name: string, unit: string, digits: number, isBetterHigh?: boolean }>} */
const METRICS = {
  cpuMicros: { name: 'server CPU per message', unit: 'µs', digits: 2 },
  perSecond: { name: 'messages', unit: '/s', digits: 0, isBetterHigh: true },
  firedPerSecond: { name: 'fired', unit: '/s', digits: 0, isBetterHigh: true },
  firedCpuMicros: { name: 'server CPU per message fired', unit: 'µs', digits: 2 },
  ackP50Ms: { name: 'ack p50', unit: 'ms', digits: 2 },
  ackP99Ms: { name: 'ack p99', unit: 'ms', digits: 1 },
  p50Ms: { name: 'p50', unit: 'ms', digits: 2 },
  p99Ms: { name: 'p99', unit: 'ms', digits: 1 },
  memoryMiB: { name: 'resident memory', unit: 'MiB', digits: 0 },
  anonymousMiB: { name: 'of it not mapped files', unit: 'MiB', digits: 0 },
  idleMiB: { name: 'resident memory, idle', unit: 'MiB', digits: 0 },
  readyMs: { name: 'first send accepted after', unit: 'ms', digits: 0 },
  smallLogReadyMs: { name: 'the same with a small log', unit: 'ms', digits: 0 },
  growth: { name: 'large log ÷ small log', unit: '×', digits: 2 },
  missing: { name: 'acknowledged messages lost', unit: '', digits: 0 },
  topicsPerSecond: { name: 'topics created', unit: '/s', digits: 0, isBetterHigh: true },
  sendP99BeforeMs: { name: 'send p99 without', unit: 'ms', digits: 1 },
  sendP99Ms: { name: 'send p99', unit: 'ms', digits: 1 },
  sendP99Growth: { name: 'send p99 with ÷ without', unit: '×', digits: 2 },
  drainPerSecond: { name: 'messages caught up', unit: '/s', digits: 0, isBetterHigh: true },
  sendP50Growth: { name: 'send p50 after ÷ before', unit: '×', digits: 2 },
}

/** @param {string} metric @param {number | undefined} value */
function show(metric, value) {
  if (value === undefined) return '–'
  const { unit, digits } = METRICS[metric] ?? { unit: '', digits: 2 }
  const text = value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return unit === '/s' || unit === '×' || unit === '' ? `${text}${unit}` : `${text} ${unit}`
}

/** Median over the rounds. @param {Results} results @param {string} stage @param {string} broker @param {string} metric */
function middle(results, stage, broker, metric) {
  const values = results.measurements
    .filter(one => one.stage === stage && one.broker === broker && one.figures?.[metric] !== undefined)
    .map(one => /** @type {number} */ (one.figures?.[metric]))
  return median(values)
}

/** @param {number} value */
const times = value => (value === 1 / 3 ? '⅓' : value === 0.1 ? '1/10' : value === 0.5 ? '½' : `${value}×`)

/** @param {Results} results @returns {Verdict[]} */
export function verdicts(results) {
  return stages.flatMap(stage =>
    stage.bars.map(bar => {
      const ours = middle(results, stage.id, 'millrace', bar.metric)
      const theirs = middle(results, stage.id, 'apache', bar.metric)
      const name = METRICS[bar.metric]?.name ?? bar.metric
      if (bar.atMost !== undefined) {
        const passed = ours === undefined ? undefined : ours <= bar.atMost
        return { stage: stage.id, text: `${name} ≤ ${show(bar.metric, bar.atMost)}: ${show(bar.metric, ours)}`, passed }
      }
      const ratio = ours === undefined || theirs === undefined ? undefined : ours / theirs
      const limit = bar.atMostTimesApache ?? bar.atLeastTimesApache ?? 1
      const isUpper = bar.atMostTimesApache !== undefined
      const passed = ratio === undefined ? undefined : isUpper ? ratio <= limit : ratio >= limit
      const seen = ratio === undefined ? 'not measured' : `${ratio.toFixed(2)}×`
      return { stage: stage.id, text: `${name} ${isUpper ? '≤' : '≥'} ${times(limit)} of Apache's: ${seen}`, passed }
    }),
  )
}

const BAR_WIDTH = 24

/** @param {number | undefined} value @param {number} most */
function bar(value, most) {
  if (value === undefined || most <= 0) return ''
  return '█'.repeat(Math.max(1, Math.round((value / most) * BAR_WIDTH)))
}

/** @param {Results} results @param {(passed: boolean | undefined) => string} mark */
function tables(results, mark) {
  const measured = stages.filter(stage => results.measurements.some(one => one.stage === stage.id))
  const judged = verdicts(results)
  const hasOurs = results.measurements.some(one => one.broker === 'millrace')
  return measured.map(stage => {
    const rows = stage.shows
      .map(metric => ({
        metric,
        ours: middle(results, stage.id, 'millrace', metric),
        theirs: middle(results, stage.id, 'apache', metric),
      }))
      .filter(({ ours, theirs }) => ours !== undefined || theirs !== undefined)
    const lead = rows.find(({ metric }) => metric === stage.shows[0])
    const most = Math.max(lead?.ours ?? 0, lead?.theirs ?? 0)
    const taken = results.measurements.filter(one => one.stage === stage.id)
    return {
      title: stage.title,
      rows: rows.map(({ metric, ours, theirs }) => ({
        name: METRICS[metric]?.name ?? metric,
        ours: show(metric, ours),
        theirs: show(metric, theirs),
        ratio: ours !== undefined && theirs ? `${(ours / theirs).toFixed(2)}×` : '–',
      })),
      bars: [
        ...(lead?.ours === undefined ? [] : [`Millrace ${bar(lead.ours, most)}`]),
        ...(lead?.theirs === undefined ? [] : [`Apache   ${bar(lead.theirs, most)}`]),
      ],
      verdicts: !hasOurs
        ? []
        : judged.filter(one => one.stage === stage.id).map(one => `${mark(one.passed)} ${one.text}`),
      remarks: taken.flatMap(one =>
        [...(one.failure ? [`failed: ${one.failure}`] : []), ...one.notes].map(
          text => `${one.broker}, round ${one.round}: ${text}`,
        ),
      ),
    }
  })
}

/** @param {Results} results */
function loadRange(results) {
  const loads = results.measurements.map(one => one.load1)
  return loads.length ? `${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}` : 'unknown'
}

/** @param {Results} results */
function rawSyncLine(results) {
  if (results.rawSync.length === 0) return ''
  const of = (/** @type {'syncsPerSecond' | 'megabytesPerSecond' | 'p50Ms' | 'p99Ms'} */ key) =>
    median(results.rawSync.map(one => one[key])) ?? 0
  return (
    `Raw limit of the disk in the same run, 64 KiB writes each with fdatasync: ${of('syncsPerSecond').toFixed(0)}/s = ` +
    `${of('megabytesPerSecond').toFixed(0)} MB/s, p50 ${of('p50Ms').toFixed(2)} ms, p99 ${of('p99Ms').toFixed(1)} ms.`
  )
}

/** @param {Results} results */
function facts(results) {
  const { machine } = results
  return [
    `command: ${results.command}`,
    `date: ${results.date}; commit ${machine['commit']}; rounds: ${results.rounds}${results.isQuick ? ' (quick: too short to judge by, and a JVM is still cold)' : ''}, brokers alternating, medians`,
    `machine: ${machine['cpu']}, ${machine['cores']} cores, ${machine['memory']}, ${machine['kernel']}; Node ${machine['node']}, ${machine['go']}, ${machine['java']}`,
    `load average while measuring: ${loadRange(results)}`,
    ...Object.entries(results.skipped).map(([broker, why]) => `not measured: ${broker}: ${why}`),
  ]
}

/** @param {Results} results */
export function terminal(results) {
  const marks = (/** @type {boolean | undefined} */ passed) => (passed === undefined ? '·' : passed ? '✓' : '✗')
  const out = facts(results)
  for (const table of tables(results, marks)) {
    out.push('', table.title, ...table.bars.map(line => `  ${line}`))
    out.push(`  ${'Millrace'.padStart(44)}${'Apache'.padStart(18)}${'ratio'.padStart(10)}`)
    for (const row of table.rows) {
      out.push(`  ${row.name.padEnd(28)}${row.ours.padStart(16)}${row.theirs.padStart(18)}${row.ratio.padStart(10)}`)
    }
    out.push(...table.verdicts.map(line => `  ${line}`), ...table.remarks.map(line => `  ! ${line}`))
  }
  const raw = rawSyncLine(results)
  if (raw) out.push('', raw)
  const judged = verdicts(results).filter(one => one.passed !== undefined)
  out.push('', `${judged.filter(one => one.passed).length} of ${judged.length} measured bars passed`)
  return `${out.join('\n')}\n`
}

/** @param {Results} results */
export function markdown(results) {
  const marks = (/** @type {boolean | undefined} */ passed) =>
    passed === undefined ? '(not measured)' : passed ? '✅' : '❌'
  const out = [
    '# Millrace beside Apache RocketMQ 5.5.0',
    '',
    'Written by `npm run bench -- --markdown`. Both brokers ran on the same machine in one run, one after the other, on the loopback',
    'interface, under the same load generator (`bench/rmqload`). The first figure of each table is server CPU per message, since it',
    'hardly depends on who else is using the machine; messages per second and the tails do.',
    '',
    ...facts(results).map(line => `- ${line}`),
  ]
  for (const table of tables(results, marks)) {
    out.push('', `## ${table.title}`, '')
    if (table.rows.length > 0) {
      out.push('| | Millrace | Apache | Millrace ÷ Apache |', '|---|--:|--:|--:|')
      for (const row of table.rows) out.push(`| ${row.name} | ${row.ours} | ${row.theirs} | ${row.ratio} |`)
      out.push('', '```', ...table.bars, '```')
    }
    if (table.verdicts.length > 0) out.push('', ...table.verdicts.map(line => `- ${line}`))
    if (table.remarks.length > 0) out.push('', ...table.remarks.map(line => `- ${line}`))
  }
  const raw = rawSyncLine(results)
  if (raw) out.push('', '## The disk', '', raw)
  return `${out.join('\n')}\n`
}
