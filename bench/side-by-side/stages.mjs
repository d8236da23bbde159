// @ts-check
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { residentMiB, untilAccepting } from './brokers.mjs'
import { delayStages } from './delay-stages.mjs'
import { filteredPull } from './filter-stage.mjs'
import { cpuMicros, load, newTopic } from './load.mjs'
import { coldConsumer, topicTrickle } from './operations-stages.mjs'
import { popStages } from './pop-stage.mjs'
import { rmqload, sleep } from './tools.mjs'
import { transactionalSends } from './transaction-stage.mjs'

/**
 * @typedef {Record<string, number>} Figures Named by METRICS in report.mjs.
 *
 * @typedef {object} Context
 * @property {import('./brokers.mjs').Running} server
 * @property {string} dir The store's file system.
 * @property {boolean} isQuick
 * @property {'millrace' | 'apache'} broker
 * @property {(text: string) => void} note Something to say beside the figures: that requests were refused, for one.
 *
 * @typedef {object} Bar What the project wants to reach.
 * @property {string} metric
 * @property {number} [atMostTimesApache]
 * @property {number} [atLeastTimesApache]
 * @property {number} [atMost]
 *
 * @typedef {object} Stage
 * @property {string} id
 * @property {string} title
 * @property {'async' | 'sync' | 'own'} session Which running server it uses: one with that flush mode, or a new one of its own.
 * @property {string[]} shows Metrics in the table, the leading one first.
 * @property {Bar[]} bars
 * @property {(context: Context) => Promise<Figures>} run
 */

const KIB = 1024

/** @param {any} answer */
const memoryMiB = answer =>
  answer.servers.reduce((/** @type {number} */ sum, /** @type {any} */ s) => sum + s.rss_mib, 0)

/** Without mapped files, whose pages the kernel may take back at any time. @param {any} answer */
const anonymousMiB = answer =>
  answer.servers.reduce((/** @type {number} */ sum, /** @type {any} */ s) => sum + s.rss_anon_mib, 0)

/** @param {any} answer @returns {Figures} */
function sendFigures(answer) {
  return {
    cpuMicros: cpuMicros(answer, answer.msgs_per_s),
    perSecond: answer.msgs_per_s,
    ackP50Ms: answer.ack_latency.p50_ms,
    ackP99Ms: answer.ack_latency.p99_ms,
    memoryMiB: memoryMiB(answer),
    anonymousMiB: anonymousMiB(answer),
    clientCores: answer.client_cores,
  }
}

/** @param {Context} context @param {(string | number)[]} args */
async function send(context, ...args) {
  const time = context.isQuick ? ['-warmup', '500ms', '-duration', '1500ms'] : ['-warmup', '2s', '-duration', '5s']
  const answer = await load(context, 'send', '-topic', newTopic('send'), ...time, ...args)
  if (answer.error) context.note(answer.error)
  return sendFigures(answer)
}

/**
 * @param {string} id @param {string} title @param {'async' | 'sync'} session @param {(string | number)[]} args @param {Bar[]} bars
 * @returns {Stage}
 */
function sending(id, title, session, args, bars) {
  const shows = ['cpuMicros', 'perSecond', 'ackP50Ms', 'ackP99Ms']
  return { id, title, session, shows, bars, run: context => send(context, ...args) }
}

const four = ['-connections', 4, '-inflight', 64]

/** @type {Stage} */
const drain = {
  id: 'drain',
  title: 'drain by pull, 1 KiB, 4 connections, every body verified',
  session: 'async',
  shows: ['cpuMicros', 'perSecond'],
  bars: [{ metric: 'perSecond', atLeastTimesApache: 1.5 }],
  async run(context) {
    const topic = newTopic('drain')
    const count = context.isQuick ? 30_000 : 200_000
    await load(context, 'send', '-topic', topic, '-connections', 4, '-inflight', 32, '-size', KIB, '-count', count)
    const answer = await load(context, 'pull', '-topic', topic, '-connections', 4)
    if (!answer.clean) throw new Error(`verification failed: ${answer.error}`)
    return {
      cpuMicros: cpuMicros(answer, answer.msgs_per_s),
      perSecond: answer.msgs_per_s,
      clientCores: answer.client_cores,
    }
  },
}

/** @param {number} rate @returns {Stage} */
const endToEnd = rate => ({
  id: `e2e-${rate / 1000}k`,
  title: `end to end at ${rate.toLocaleString('en')}/s, 1 KiB, 4 senders, 4 long-polling consumers`,
  session: 'async',
  shows: ['p50Ms', 'p99Ms', 'cpuMicros'],
  bars: [
    { metric: 'p50Ms', atMostTimesApache: 0.5 },
    { metric: 'p99Ms', atMostTimesApache: 1 },
  ],
  async run(context) {
    const time = context.isQuick ? ['-warmup', '500ms', '-duration', '2s'] : ['-warmup', '2s', '-duration', '8s']
    const answer = await load(
      context,
      'e2e',
      '-topic',
      newTopic('e2e'),
      '-rate',
      rate,
      '-connections',
      4,
      '-consumers',
      4,
      ...time,
    )
    if (answer.undelivered > 0) throw new Error(`${answer.undelivered} acknowledged messages were not delivered`)
    return { p50Ms: answer.e2e_latency.p50_ms, p99Ms: answer.e2e_latency.p99_ms, cpuMicros: cpuMicros(answer, rate) }
  },
})

/** @type {Stage} */
const startup = {
  id: 'startup',
  title: 'process start to first accepted send, on an empty store',
  session: 'own',
  shows: ['readyMs', 'idleMiB'],
  bars: [
    { metric: 'readyMs', atMostTimesApache: 0.1 },
    { metric: 'idleMiB', atMost: 90 },
  ],
  async run({ server, isQuick }) {
    const readyMs = await untilAccepting(server)
    await sleep(isQuick ? 1_000 : 5_000)
    return { readyMs, idleMiB: residentMiB(server.pids()) }
  },
}

/** @type {Stage} */
const topics = {
  id: 'topics',
  title: 'creating 10,000 topics of 4 queues, one after the other; then 1,000 sends/s to one topic',
  session: 'own',
  shows: ['topicsPerSecond', 'sendP50Growth', 'memoryMiB'],
  bars: [
    { metric: 'topicsPerSecond', atLeastTimesApache: 20 },
    { metric: 'sendP50Growth', atMost: 1.2 },
  ],
  async run(context) {
    await untilAccepting(context.server)
    await warmUp(context)
    const sends = [
      '-connections',
      4,
      '-rate',
      1_000,
      '-warmup',
      context.isQuick ? '500ms' : '2s',
      '-duration',
      context.isQuick ? '2s' : '5s',
    ]
    const topic = newTopic('latency')
    const before = await load(context, 'send', '-topic', topic, ...sends)
    // Apache makes some 90 a second: its rate is known after 30 s, all 10,000 would take two minutes.
    const limit = context.isQuick ? ['-count', 1_000, '-timeout', '5s'] : ['-count', 10_000, '-timeout', '30s']
    const made = await load(context, 'topics', '-prefix', newTopic('many'), ...limit)
    const after = await load(context, 'send', '-topic', topic, ...sends)
    return {
      topicsPerSecond: made.topics_per_s,
      topics: made.topics,
      createP50Ms: made.create_latency.p50_ms,
      sendP50BeforeMs: before.ack_latency.p50_ms,
      sendP50AfterMs: after.ack_latency.p50_ms,
      sendP50Growth: after.ack_latency.p50_ms / before.ack_latency.p50_ms,
      memoryMiB: memoryMiB(after),
    }
  },
}

/** Fills the store, kills the broker under load, restarts it. @param {Context} context @param {number} bytes */
async function crashAndRestart(context, bytes) {
  const { server, dir } = context
  const acks = join(dir, '..', 'acks.txt')
  const topic = newTopic('crash')
  const fill = ['-connections', 4, '-inflight', 16, '-size', 4 * KIB, '-count', Math.ceil(bytes / (4 * KIB))]
  await load(context, 'send', '-topic', newTopic('fill'), ...fill)
  const sending = load(
    context,
    'verify-send',
    '-topic',
    topic,
    '-acks',
    acks,
    '-connections',
    4,
    '-inflight',
    16,
    '-duration',
    '10s',
  )
  await sleep(context.isQuick ? 1_000 : 3_000)
  await server.crash()
  await sending
  await server.restart()
  const target = ['-broker', server.broker, '-target', 'broker', '-topic', topic, '-since', server.startedFile]
  const ready = await rmqload(['wait', ...target])
  await untilAccepting(server) // and known to the name server again, for the check
  const check = await rmqload(['verify-check', '-namesrv', server.nameServer, '-topic', topic, '-acks', acks])
  rmSync(acks, { force: true })
  if (check.error) throw new Error(check.error)
  return { readyMs: ready.took_ms, acked: check.acked, missing: check.missing }
}

/** @type {Stage} */
const recovery = {
  id: 'recovery',
  title: 'kill -9 with a 1.5 GB log, under load; restart to first accepted send',
  session: 'own',
  shows: ['readyMs', 'smallLogReadyMs', 'growth', 'missing'],
  bars: [
    { metric: 'readyMs', atMostTimesApache: 0.1 },
    // "Does not grow": half as much again is what the same restart varies by on a busy machine.
    { metric: 'growth', atMost: 1.5 },
    { metric: 'missing', atMost: 0 },
  ],
  async run(context) {
    await untilAccepting(context.server)
    const small = context.broker === 'millrace' ? await crashAndRestart(context, 1e6) : undefined
    const large = await crashAndRestart(context, context.isQuick ? 0.15e9 : 1.5e9)
    return {
      ...large,
      ...(small ? { smallLogReadyMs: small.readyMs, growth: large.readyMs / small.readyMs } : {}),
    }
  },
}

/** @type {Bar[]} */
const hot = [
  { metric: 'cpuMicros', atMostTimesApache: 1 / 3 },
  { metric: 'perSecond', atLeastTimesApache: 3 },
]
/** @param {number} times @returns {Bar[]} */
const faster = times => [{ metric: 'perSecond', atLeastTimesApache: times }]

const send1k = sending(
  'send-1k',
  'send 1 KiB, 4 connections × 64 in flight',
  'async',
  [...four, '-size', KIB],
  [...hot, { metric: 'memoryMiB', atMost: 300 }],
)

/** @type {readonly Stage[]} */
export const stages = [
  { ...send1k, shows: [...send1k.shows, 'memoryMiB', 'anonymousMiB'] },
  sending('send-128', 'send 128 B, 4 connections × 64 in flight', 'async', [...four, '-size', 128], hot),
  sending('send-16k', 'send 16 KiB, 4 connections × 64 in flight', 'async', [...four, '-size', 16 * KIB], faster(1.5)),
  sending(
    'send-64x1',
    'send 1 KiB, 64 connections × 1 in flight',
    'async',
    ['-connections', 64, '-inflight', 1, '-size', KIB],
    faster(1.5),
  ),
  sending('send-binary', 'send 128 B with binary headers, 4 × 64', 'async', [...four, '-size', 128, '-binary'], []),
  sending(
    'send-batch',
    'batches of 16 × 1 KiB, 4 connections × 16 in flight',
    'async',
    ['-connections', 4, '-inflight', 16, '-size', KIB, '-batch', 16],
    [],
  ),
  drain,
  filteredPull,
  transactionalSends,
  ...delayStages,
  ...popStages,
  endToEnd(1_000),
  endToEnd(10_000),
  sending(
    'sync-4x64',
    'send 1 KiB, sync flush, 4 connections × 64 in flight',
    'sync',
    [...four, '-size', KIB],
    faster(2),
  ),
  sending(
    'sync-16x64',
    'send 1 KiB, sync flush, 16 connections × 64 in flight',
    'sync',
    ['-connections', 16, '-inflight', 64, '-size', KIB],
    faster(2),
  ),
  startup,
  topics,
  recovery,
  coldConsumer,
  topicTrickle,
]

/**
 * Load before anything is measured, until CPU per message stops falling: on a busy machine a JVM was seen to need a minute
 * of it to come from 358 to 58 µs, and a broker that is still being compiled would make ours look better than it is.
 * Both brokers get the same. Then a little of every other kind of request.
 * @param {Context} context
 * @returns {Promise<{ seconds: number, cpuMicros: number }>}
 */
export async function warmUp(context) {
  const topic = newTopic('warm')
  const begin = performance.now()
  const limitMs = context.isQuick ? 4_000 : 90_000
  /** @type {number[]} */
  const seen = []
  const isFalling = () => {
    const [before, between, last] = seen.slice(-3)
    return (
      last === undefined || between === undefined || before === undefined || Math.min(last, between) < 0.93 * before
    )
  }
  while (isFalling() && performance.now() - begin < limitMs) {
    const time = context.isQuick ? '2s' : '4s'
    const answer = await load(context, 'send', '-topic', topic, ...four, '-size', KIB, '-duration', time)
    seen.push(cpuMicros(answer, answer.msgs_per_s))
  }
  const seconds = (performance.now() - begin) / 1_000
  const time = ['-duration', context.isQuick ? '500ms' : '2s']
  await load(context, 'send', '-topic', topic, ...four, '-size', 128, '-binary', ...time)
  await load(context, 'send', '-topic', topic, '-connections', 4, '-inflight', 16, '-size', KIB, '-batch', 16, ...time)
  await load(context, 'e2e', '-topic', newTopic('warm'), '-rate', 2_000, '-connections', 4, '-consumers', 4, ...time)
  await load(context, 'pull', '-topic', topic, '-connections', 4)
  return { seconds, cpuMicros: seen.at(-1) ?? 0 }
}

/** What the disk allows: 64 KiB writes, each followed by fdatasync, on the store's file system. @param {string} dir @param {number} forMs */
export function rawSyncLimit(dir, forMs) {
  const file = join(dir, 'fdatasync-probe')
  const descriptor = openSync(file, 'w')
  const block = Buffer.alloc(64 * KIB, 1)
  const times = []
  const begin = performance.now()
  for (let at = begin; at - begin < forMs; ) {
    writeSync(descriptor, block)
    fdatasyncSync(descriptor)
    const now = performance.now()
    times.push(now - at)
    at = now
  }
  const seconds = (performance.now() - begin) / 1_000
  closeSync(descriptor)
  rmSync(file)
  times.sort((a, b) => a - b)
  return {
    syncsPerSecond: times.length / seconds,
    megabytesPerSecond: (times.length * block.length) / seconds / 1e6,
    p50Ms: times[times.length >> 1] ?? 0,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
  }
}
