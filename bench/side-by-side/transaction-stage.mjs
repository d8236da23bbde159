// @ts-check
import { cpuMicros, load, newTopic } from './load.mjs'

/** @type {import('./stages.mjs').Stage} */
export const transactionalSends = {
  id: 'tx',
  title: 'transactions: half message and commit, both waited for, 1 KiB, 4 connections, 32 at a time each',
  session: 'async',
  shows: ['cpuMicros', 'perSecond', 'ackP50Ms', 'ackP99Ms'],
  bars: [
    { metric: 'perSecond', atLeastTimesApache: 2 },
    { metric: 'cpuMicros', atMostTimesApache: 0.5 },
  ],
  async run(context) {
    // Half messages and commits are paths that the warm-up before the stages did not warm.
    const time = context.isQuick ? ['-warmup', '1s', '-duration', '2s'] : ['-warmup', '10s', '-duration', '5s']
    const answer = await load(
      context,
      'tx',
      '-topic',
      newTopic('tx'),
      '-connections',
      4,
      '-inflight',
      32,
      '-size',
      1024,
      ...time,
    )
    if (answer.received !== answer.committed_total) throw new Error(answer.error)
    if (answer.error) context.note(answer.error)
    return {
      cpuMicros: cpuMicros(answer, answer.tx_per_s),
      perSecond: answer.tx_per_s,
      ackP50Ms: answer.tx_latency.p50_ms,
      ackP99Ms: answer.tx_latency.p99_ms,
      clientCores: answer.client_cores,
    }
  },
}
