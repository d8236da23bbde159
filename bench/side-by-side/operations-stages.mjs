// @ts-check
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { untilAccepting } from './brokers.mjs'
import { load, newTopic } from './load.mjs'

const KIB = 1024

/** A steady rate that both brokers take easily, so that latency and not throughput is compared. @param {import('./stages.mjs').Context} context @param {(string | number)[]} args */
async function steadySends(context, ...args) {
  const time = context.isQuick ? ['-warmup', '1s', '-duration', '3s'] : ['-warmup', '3s', '-duration', '10s']
  const answer = await load(context, 'send', '-connections', 4, '-size', KIB, '-rate', 2_000, ...time, ...args)
  return answer.ack_latency
}

/** Takes the log out of the page cache: what is read then comes from the disk. @param {string} store */
function coolDown(store) {
  // Apache keeps its store in a folder of the store's directory.
  const log = [join(store, 'commitlog'), join(store, 'store/commitlog')].find(path => existsSync(path))
  if (log === undefined) throw new Error(`no commit log below ${store}`)
  for (const name of readdirSync(log))
    execFileSync('dd', [`if=${join(log, name)}`, 'iflag=nocache', 'count=0', 'status=none'])
}

/** @type {import('./stages.mjs').Stage} */
export const coldConsumer = {
  id: 'cold-group',
  title: '2,000 sends/s while a group that is 1 million messages behind catches up from the disk',
  session: 'own',
  shows: ['sendP99Growth', 'sendP99BeforeMs', 'sendP99Ms', 'drainPerSecond'],
  bars: [{ metric: 'sendP99Growth', atMost: 1.2 }],
  async run(context) {
    await untilAccepting(context.server)
    const backlog = newTopic('backlog')
    const count = context.isQuick ? 50_000 : 1_000_000
    await load(context, 'send', '-topic', backlog, '-connections', 4, '-inflight', 64, '-size', KIB, '-count', count)
    const topic = newTopic('steady')
    await steadySends(context, '-topic', topic)
    const before = await steadySends(context, '-topic', topic)
    let isSending = true
    let drained = 0
    let seconds = 0
    const drain = (async () => {
      while (isSending) {
        coolDown(context.dir)
        const answer = await load(context, 'pull', '-topic', backlog, '-connections', 1)
        drained += answer.messages
        seconds += answer.seconds
      }
    })()
    // Told when it is awaited.
    drain.catch(() => {})
    const during = await steadySends(context, '-topic', topic).finally(() => {
      isSending = false
    })
    await drain
    return {
      sendP99BeforeMs: before.p99_ms,
      sendP99Ms: during.p99_ms,
      sendP99Growth: during.p99_ms / before.p99_ms,
      sendP50Growth: during.p50_ms / before.p50_ms,
      drainPerSecond: drained / seconds,
    }
  },
}

/** @type {import('./stages.mjs').Stage} */
export const topicTrickle = {
  id: 'trickle',
  title: '2,000 sends/s to 10,000 topics in turns, beside the same rate to one topic',
  session: 'own',
  shows: ['sendP99Growth', 'sendP99BeforeMs', 'sendP99Ms'],
  bars: [{ metric: 'sendP99Growth', atMost: 1.5 }],
  async run(context) {
    await untilAccepting(context.server)
    const count = context.isQuick ? 1_000 : 10_000
    const prefix = newTopic('many')
    // Apache makes some 90 a second.
    await load(context, 'topics', '-prefix', prefix, '-count', count, '-timeout', '150s')
    const many = ['-prefix', prefix, '-topics', count]
    const one = ['-topic', newTopic('one')]
    await steadySends(context, ...many)
    await steadySends(context, ...one)
    const before = await steadySends(context, ...one)
    const after = await steadySends(context, ...many)
    return {
      sendP99BeforeMs: before.p99_ms,
      sendP99Ms: after.p99_ms,
      sendP99Growth: after.p99_ms / before.p99_ms,
      sendP50Growth: after.p50_ms / before.p50_ms,
    }
  },
}
