import type { MessagePort } from 'node:worker_threads'
import { nodeEnvironment } from '@millrace/core/node'
import { Flusher, type FlushFailure } from '../log/flusher.js'
import { LogFiles } from '../log/log-files.js'
import { type SharedLog, WORD } from '../log/shared-log.js'

/** What the flush worker is started with. */
export interface FlushTask {
  readonly shared: SharedLog
  readonly directory: string
  readonly mode: 'sync' | 'async'
  readonly port: MessagePort
}

/** What it tells: 'written' once per request for news, and why it halted or ended. */
export type FlushNews = 'written' | FlushFailure

/**
 * The index worker looks by itself every few milliseconds; it is woken earlier only when much has piled up. Waking it
 * for every group would cost two context switches a message at low rates.
 */
const INDEX_WAKE_BYTES = 1024 * 1024

/** Runs until told to stop, or until a sync fails. One long task on a piscina thread. */
export default function flush({ shared, directory, mode, port }: FlushTask): void {
  const words = new Int32Array(shared.words)
  const files = new LogFiles(nodeEnvironment().disk, directory, shared.fileBytes)
  const flusher = new Flusher(shared, files, mode)
  try {
    for (;;) {
      const seen = Atomics.load(words, WORD.wakeFlush)
      const result = flusher.step()
      if (result === 'progress') {
        if (flusher.unscannedBytes >= INDEX_WAKE_BYTES) {
          Atomics.add(words, WORD.wakeIndex, 1)
          Atomics.notify(words, WORD.wakeIndex)
        }
        if (Atomics.exchange(words, WORD.wantsWritten, 0) === 1) port.postMessage('written' satisfies FlushNews)
        continue
      }
      if (result === 'idle') {
        if (Atomics.load(words, WORD.stop) === 1) return
        Atomics.wait(words, WORD.wakeFlush, seen)
        continue
      }
      Atomics.store(words, WORD.halted, 1)
      port.postMessage(result satisfies FlushNews)
      if (result.kind === 'sync') return
      while (Atomics.load(words, WORD.halted) === 1 && Atomics.load(words, WORD.stop) === 0)
        Atomics.wait(words, WORD.halted, 1, 1000)
      if (Atomics.load(words, WORD.stop) === 1) return
      try {
        flusher.rewind()
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        port.postMessage({ kind: 'sync', code: code ?? 'UNKNOWN', message } satisfies FlushNews)
        return
      }
    }
  } finally {
    files.close()
    port.close()
  }
}
