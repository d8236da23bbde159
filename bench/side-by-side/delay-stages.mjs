// @ts-check
import { cpuMicros, load, newTopic } from './load.mjs'

/**
 * Messages that are due later: taken at full speed, then delivered. The first figures are about taking them, those
 * called "fired" about the delivery.
 * @param {string} id @param {string} title @param {number} count @param {(string | number)[]} args @param {import('./stages.mjs').Bar[]} bars
 * @returns {import('./stages.mjs').Stage}
 */
function delayed(id, title, count, args, bars) {
  return {
    id,
    title,
    session: 'async',
    shows: ['perSecond', 'cpuMicros', 'ackP99Ms', 'firedPerSecond', 'firedCpuMicros'],
    bars,
    async run(context) {
      const load1 = ['-connections', 4, '-inflight', 64, '-size', 1024, '-count', context.isQuick ? count / 10 : count]
      const answer = await load(context, 'delay', '-topic', newTopic(id), ...load1, ...args)
      if (!answer.firing?.servers) throw new Error(answer.error ?? 'messages were refused, or did not come')
      return {
        perSecond: answer.msgs_per_s,
        cpuMicros: cpuMicros(answer, answer.msgs_per_s),
        ackP99Ms: answer.ack_latency.p99_ms,
        firedPerSecond: answer.fired_per_s,
        // All the time from the first look to the last message, spread over the messages.
        firedCpuMicros: cpuMicros(answer.firing, answer.fired / answer.firing_wall_s),
        clientCores: answer.client_cores,
      }
    },
  }
}

const accepted = { metric: 'perSecond', atLeastTimesApache: 2 }

export const delayStages = [
  delayed(
    'timer',
    '1 KiB for one time, 4 × 64 in flight; then all of them due at once',
    100_000,
    ['-lead', '30s'],
    [accepted, { metric: 'firedPerSecond', atLeastTimesApache: 2 }],
  ),
  delayed(
    'level',
    '1 KiB with delay level 2 (5 s), 4 × 64 in flight',
    50_000,
    ['-level', 2],
    [accepted, { metric: 'firedCpuMicros', atMostTimesApache: 0.5 }],
  ),
]
