/**
 * Writes generations of a hundred entries each as one commit, in a worker thread or in a process of its own, for
 * `seconds`: `key-value-writer.mjs <path> <batch|commitSync> <seconds> <value bytes>`. Tells each committed generation.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { nodeEnvironment } from '@millrace/core/node'
import { KeyValueStore } from '@millrace/storage'

const [path, how, seconds, valueBytes] = isMainThread ? process.argv.slice(2) : workerData
const tell = isMainThread
  ? generation => process.stdout.write(`${JSON.stringify({ generation })}\n`)
  : generation => parentPort.postMessage({ generation })

const store = await KeyValueStore.open(path, {
  environment: nodeEnvironment(),
  durability: how === 'batch' ? 'flushed' : 'committed',
  mapSizeBytes: 1024 * 1024,
})
const table = store.table('generations', { encoding: 'binary' })
const log = store.table('log', { encoding: 'binary' })
const until = performance.now() + Number(seconds) * 1000
for (let generation = 1; performance.now() < until; generation++) {
  const value = Buffer.alloc(Number(valueBytes), generation & 0xff)
  value.writeUInt32BE(generation, 0)
  value.writeUInt32BE(generation, value.length - 4)
  const write = () => {
    for (let i = 0; i < 100; i++) void table.put(['entry', i], value)
    void log.put(generation, value)
  }
  if (how === 'batch') await store.batch(write)
  else {
    store.commitSync(write)
    await new Promise(resolve => setImmediate(resolve))
  }
  tell(generation)
}
await store.close()
