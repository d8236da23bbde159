import type { SimulatedProcess } from '@millrace/core/testkit'
import { indexTables } from '../index/index-tables.js'
import { Indexer } from '../index/indexer.js'
import type { KeyValue } from '../kv/key-value.js'
import { Flusher, type FlushFailure } from '../log/flusher.js'
import { LogFiles } from '../log/log-files.js'
import type { LogWorkers, StartLogWorkers } from '../log/log-workers.js'
import { WORD } from '../log/shared-log.js'
import type { IndexRequest } from '../worker/node-index-worker.js'

/** Longest pause of a worker, milliseconds: with work to do, and without, when it grows step by step. */
const BUSY_PAUSE_MS = 1
const IDLE_PAUSE_MS = 32
const INDEX_PAUSE_MS = 25

/** Longest pause before the next step; undefined: the worker returns. */
type Step = () => number | undefined

/**
 * The two workers of a log in the simulation's one thread: production code, in steps between which anything may happen.
 * What the threads wait for with Atomics is looked at after a pause that the seed decides.
 */
export function simulatedWorkers(process: SimulatedProcess, openIndex: (path: string) => KeyValue): StartLogWorkers {
  return (flush, index, listener): LogWorkers => {
    const words = new Int32Array(flush.shared.words)
    const files = [flush, index].map(({ directory, shared }) => new LogFiles(process.disk, directory, shared.fileBytes))
    const isStopping = () => Atomics.load(words, WORD.stop) === 1
    const isHalted = () => Atomics.load(words, WORD.halted) === 1

    const flusher = new Flusher(flush.shared, files[0]!, flush.mode)
    let hasFailed = false
    let pauseMs = BUSY_PAUSE_MS
    const failed = (failure: FlushFailure): number | undefined => {
      hasFailed = true
      Atomics.store(words, WORD.halted, 1)
      listener.flush(failure)
      return failure.kind === 'sync' ? undefined : BUSY_PAUSE_MS
    }
    const flushStep: Step = () => {
      if (isHalted()) return isStopping() ? undefined : BUSY_PAUSE_MS
      if (hasFailed) {
        hasFailed = false
        try {
          flusher.rewind()
        } catch (error) {
          const { code, message } = error as NodeJS.ErrnoException
          return failed({ kind: 'sync', code: code ?? 'UNKNOWN', message })
        }
      }
      const result = flusher.step()
      pauseMs = result === 'idle' ? Math.min(pauseMs * 2, IDLE_PAUSE_MS) : BUSY_PAUSE_MS
      if (result === 'idle') return isStopping() ? undefined : pauseMs
      if (result !== 'progress') return failed(result)
      if (Atomics.exchange(words, WORD.wantsWritten, 0) === 1) listener.flush('written')
      return BUSY_PAUSE_MS
    }

    const requests: IndexRequest[] = []
    const tables = indexTables(openIndex(index.indexPath))
    const indexer = new Indexer(index.shared, files[1]!, tables, index.from, process.clock, position =>
      listener.index({ kind: 'indexed', position }),
    )
    const indexStep: Step = () => {
      const stopping = isStopping()
      for (const request of requests.splice(0)) {
        if (request.kind === 'trim') indexer.trim(request.logBegin)
        else {
          indexer.deleteTopic(request.topic, request.position)
          listener.index({ kind: 'topic deleted', id: request.id })
        }
      }
      if (indexer.step()) return BUSY_PAUSE_MS
      if (!stopping) return INDEX_PAUSE_MS
      indexer.finish()
      return undefined
    }
    const ends = [run(process, flushStep), run(process, indexStep)]
    return {
      requestIndex: request => requests.push(request),
      join: async () => {
        await Promise.all(ends)
        for (const each of files) each.close()
      },
    }
  }
}

function run({ random, scheduler }: SimulatedProcess, step: Step): Promise<void> {
  return new Promise(resolve => {
    const again = (pauseMs: number): void => {
      scheduler.after(
        random.next() * pauseMs,
        () => {
          const next = step()
          if (next === undefined) resolve()
          else again(next)
        },
        { unref: true },
      )
    }
    again(BUSY_PAUSE_MS)
  })
}
