// @ts-check
import { cpuMicros, load, newTopic } from './load.mjs'

/** @type {import('./stages.mjs').Stage} */
export const filteredPull = {
  id: 'sql-pull',
  title:
    'pull of the last 20,000 messages with a SQL92 filter that takes 1 of 20, 1 KiB, 4 connections; per message examined',
  session: 'async',
  shows: ['cpuMicros', 'perSecond'],
  bars: [
    { metric: 'perSecond', atLeastTimesApache: 2 },
    { metric: 'cpuMicros', atMostTimesApache: 0.5 },
  ],
  async run(context) {
    const time = context.isQuick ? ['-warmup', '1s', '-duration', '2s'] : ['-warmup', '10s', '-duration', '5s']
    const count = 20_000
    const answer = await load(context, 'sql-pull', '-topic', newTopic('sql'), '-count', count, ...time)
    return {
      cpuMicros: cpuMicros(answer, answer.examined_per_s),
      perSecond: answer.examined_per_s,
      clientCores: answer.client_cores,
    }
  },
}
