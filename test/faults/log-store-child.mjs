/**
 * A message store in a process of its own, for fault tests:
 * `log-store-child.mjs <directory> <sync|async> <file bytes>`. One JSON request a line in, one answer a line out.
 */
import { createInterface } from 'node:readline'
import { decodeMessages } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { LogStore } from '@millrace/storage'

const [directory, flush, fileBytes] = process.argv.slice(2)
const say = value => process.stdout.write(`${JSON.stringify(value)}\n`)
const HOST = { host: '127.0.0.1', port: 10911 }
const TOPIC = 'crash'
const NO_BYTES = Buffer.alloc(0)

let store
try {
  store = await LogStore.open({
    environment: nodeEnvironment(),
    directory,
    flush,
    fileBytes: Number(fileBytes),
    ringBytes: Number(fileBytes) / 2,
    bodyBytesMax: 64 * 1024,
    syncIntervalMs: 50,
    onState: (state, reason) => say({ state, reason }),
  })
} catch (error) {
  say({ openFailed: true, code: error.code, message: error.message })
  process.exit(2)
}

const steps = {
  append: ({ queueId, body }) =>
    store
      .append({
        topic: TOPIC,
        queueId,
        flag: 0,
        sysFlag: 0,
        bornTimestamp: Date.now(),
        bornHost: HOST,
        storeHost: HOST,
        reconsumeTimes: 0,
        preparedTransactionOffset: 0,
        body: Buffer.from(body),
        properties: NO_BYTES,
      })
      .then(appended => appended.queueOffset),
  scan: async ({ queueId, from }) => {
    const min = store.minOffset(TOPIC, queueId)
    const max = store.maxOffset(TOPIC, queueId)
    const messages = []
    for (let offset = Math.max(min, from); offset < max; offset++) {
      const entry = store.entry(TOPIC, queueId, offset)
      const record = entry && store.record(entry.position)
      const decoded = record && decodeMessages(record)
      if (decoded?.ok)
        messages.push({ offset: decoded.messages[0].queueOffset, body: decoded.messages[0].body.toString() })
    }
    return { min, max, messages }
  },
  stop: async () => {
    await store.close()
    process.exitCode = 0
    setImmediate(() => process.exit())
  },
}

say({ ready: true, recovered: store.recovered })
createInterface({ input: process.stdin }).on('line', line => {
  const step = JSON.parse(line)
  steps[step.do](step).then(
    value => say({ id: step.id, ok: true, value: value ?? null }),
    error => say({ id: step.id, ok: false, code: error.code ?? 'UNKNOWN', message: error.message }),
  )
})
