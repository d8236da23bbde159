import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { LogWorkers, StartLogWorkers } from '../log/log-workers.js'
import type { FlushNews } from './node-flush-worker.js'
import type { IndexNews } from './node-index-worker.js'

/**
 * Young generation of a worker's heap. The workers keep few objects; without a limit each would reserve tens of
 * megabytes.
 */
const WORKER_HEAP = { maxYoungGenerationSizeMb: 8 }

/** Both workers as long tasks of one piscina pool. */
export const startNodeLogWorkers: StartLogWorkers = (flush, index, listener): LogWorkers => {
  const pool = new Piscina({
    minThreads: 2,
    maxThreads: 2,
    idleTimeout: Number.POSITIVE_INFINITY,
    resourceLimits: WORKER_HEAP,
  })
  const flushChannel = new MessageChannel()
  const indexChannel = new MessageChannel()
  flushChannel.port1.on('message', (news: FlushNews) => listener.flush(news))
  indexChannel.port1.on('message', (news: IndexNews) => listener.index(news))
  let isJoining = false
  const run = (which: 'flush' | 'index', task: object, channel: MessageChannel): Promise<void> =>
    pool
      .run({ ...task, port: channel.port2 }, { filename: workerFile(which), transferList: [channel.port2] })
      .then(
        () => undefined,
        (error: Error) => error.message,
      )
      .then(reason => {
        channel.port1.close()
        if (!isJoining) listener.died(which, reason ?? 'it returned')
      })
  const tasks = [run('flush', flush, flushChannel), run('index', index, indexChannel)]
  return {
    requestIndex: request => indexChannel.port1.postMessage(request),
    join: async () => {
      isJoining = true
      await Promise.all(tasks)
      await pool.destroy()
    },
  }
}

/** The compiled worker: beside this file (as CommonJS in a bundle), or in `dist` when this file runs from its source. */
function workerFile(which: 'flush' | 'index'): string {
  const places = [
    `./node-${which}-worker.cjs`,
    `./node-${which}-worker.js`,
    `../../dist/worker/node-${which}-worker.js`,
  ]
  const paths = places.map(place => fileURLToPath(new URL(place, import.meta.url)))
  return paths.find(path => existsSync(path)) ?? paths[1]!
}
