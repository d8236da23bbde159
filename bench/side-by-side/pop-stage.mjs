// @ts-check
import { cpuMicros, load, newTopic } from './load.mjs'

/** @param {string} id @param {'async' | 'sync'} session @param {string} mode @returns {import('./stages.mjs').Stage} */
const stage = (id, session, mode) => ({
  id,
  title: `pop + ack${mode}, 1 KiB, 4 connections × 4 pops of 32, each message acknowledged by itself`,
  session,
  shows: ['cpuMicros', 'perSecond'],
  bars: [{ metric: 'perSecond', atLeastTimesApache: 2 }],
  async run(context) {
    const topic = newTopic('pop')
    const count = context.isQuick ? 30_000 : 200_000
    await load(context, 'send', '-topic', topic, '-connections', 4, '-inflight', 32, '-size', 1024, '-count', count)
    const answer = await load(context, 'pop', '-topic', topic, '-connections', 4, '-inflight', 4)
    if (answer.error) throw new Error(answer.error)
    return {
      cpuMicros: cpuMicros(answer, answer.msgs_per_s),
      perSecond: answer.msgs_per_s,
      clientCores: answer.client_cores,
    }
  },
})

export const popStages = [stage('pop-ack', 'async', ''), stage('pop-ack-sync', 'sync', ', sync flush')]
