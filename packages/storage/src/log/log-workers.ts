import type { FlushNews, FlushTask } from '../worker/node-flush-worker.js'
import type { IndexNews, IndexRequest, IndexTask } from '../worker/node-index-worker.js'

/** What the broker's thread hears from its workers. */
export interface LogWorkerListener {
  flush(news: FlushNews): void
  index(news: IndexNews): void
  /** A worker ended although nobody asked it to. */
  died(which: 'flush' | 'index', reason: string): void
}

/** The two threads behind a log. */
export interface LogWorkers {
  requestIndex(request: IndexRequest): void
  /** Resolves when both have returned; the stop word must be set before. */
  join(): Promise<void>
}

export type StartLogWorkers = (
  flush: Omit<FlushTask, 'port'>,
  index: Omit<IndexTask, 'port'>,
  listener: LogWorkerListener,
) => LogWorkers
