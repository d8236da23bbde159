/**
 * A key-value store in a process of its own, for fault tests: `key-value-child.mjs <path> <durability> <deadline ms>`.
 * Each line on stdin names a step; each answer is one line of JSON.
 */
import { createInterface } from 'node:readline'
import { nodeEnvironment } from '@millrace/core/node'
import { KeyValueStore } from '@millrace/storage'

const [path, durability, deadlineMs] = process.argv.slice(2)
const say = value => process.stdout.write(`${JSON.stringify(value)}\n`)
const failures = []

process.on('unhandledRejection', error => {
  say({ unhandled: String(error) })
  process.exit(99)
})

const store = await KeyValueStore.open(path, {
  environment: nodeEnvironment(),
  durability,
  commitDeadlineMs: Number(deadlineMs),
  onFailure: error => failures.push(error.code),
})
const table = store.table('t')

const steps = {
  put: ({ key, value }) => table.put(key, value),
  // Many writes in many turns, of which only the last is awaited by its caller.
  flood: async ({ key, value }) => {
    for (let turn = 0; turn < 20; turn++) {
      void table.put([key, turn], value)
      await new Promise(resolve => setImmediate(resolve))
    }
    return table.put(key, value)
  },
  transaction: ({ key, value }) => store.transaction(() => void table.put(key, value)),
  batch: ({ key, value }) => store.batch(() => void table.put(key, value)),
  commitSync: async ({ key, value }) => store.commitSync(() => void table.put(key, value)),
  flush: () => store.flush(),
  get: async ({ key }) => table.get(key),
  failures: async () => failures,
  close: () => store.close(),
}

say({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line)
  const startedAt = performance.now()
  const took = () => Math.round(performance.now() - startedAt)
  await steps[step.do](step).then(
    value => say({ id: step.id, ok: true, value: value ?? null, ms: took() }),
    error => say({ id: step.id, ok: false, code: error.code ?? String(error), message: error.message, ms: took() }),
  )
}
