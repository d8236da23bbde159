import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { nodeEnvironment } from '@millrace/core/node'
import { indexTables } from '../index/index-tables.js'
import { Indexer } from '../index/indexer.js'
import { KeyValueStore } from '../kv/key-value-store.js'
import { LogFiles } from '../log/log-files.js'
import { type SharedLog, WORD } from '../log/shared-log.js'

/** What the index worker is started with. */
export interface IndexTask {
  readonly shared: SharedLog
  readonly directory: string
  readonly indexPath: string
  /** Index from here on: the watermark of the index. */
  readonly from: number
  readonly port: MessagePort
}

/** What it is asked. */
export type IndexRequest =
  | { readonly kind: 'delete topic'; readonly topic: string; readonly position: number; readonly id: number }
  | { readonly kind: 'trim'; readonly logBegin: number }

/** What it tells. */
export type IndexNews =
  | { readonly kind: 'indexed'; readonly position: number }
  | { readonly kind: 'topic deleted'; readonly id: number }
  | { readonly kind: 'failed'; readonly message: string }

/** Longest sleep: the log, requests on the port and the commit interval are looked at this often. */
const WAKE_MS = 25

/** Runs until told to stop, or until a commit fails. One long task on a piscina thread. */
export default async function index({ shared, directory, indexPath, from, port }: IndexTask): Promise<void> {
  const environment = nodeEnvironment()
  const words = new Int32Array(shared.words)
  const files = new LogFiles(environment.disk, directory, shared.fileBytes)
  const store = await KeyValueStore.open(indexPath, { environment, durability: 'flushed' })
  const tell = (news: IndexNews): void => port.postMessage(news)
  try {
    const indexer = new Indexer(shared, files, indexTables(store), from, environment.clock, position =>
      tell({ kind: 'indexed', position }),
    )
    for (;;) {
      const seen = Atomics.load(words, WORD.wakeIndex)
      const isStopping = Atomics.load(words, WORD.stop) === 1
      for (let request = receiveMessageOnPort(port); request; request = receiveMessageOnPort(port)) {
        const message = request.message as IndexRequest
        if (message.kind === 'trim') indexer.trim(message.logBegin)
        else {
          indexer.deleteTopic(message.topic, message.position)
          tell({ kind: 'topic deleted', id: message.id })
        }
      }
      const isBusy = indexer.step()
      if (isBusy) continue
      if (isStopping) {
        indexer.finish()
        return
      }
      Atomics.wait(words, WORD.wakeIndex, seen, WAKE_MS)
    }
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message })
  } finally {
    files.close()
    await store.close()
    port.close()
  }
}
