import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { killChildren, run } from './children.js'
import { binaryHeaders, go, javaBinary, javaJson } from './clients.js'
import { Driver } from './driver.js'
import { feature, writePage } from './report.js'
import { workDir } from './scenario.js'
import { apache, selectedTargets, type Target, type TargetKind } from './targets.js'
import { goProgram } from './tools.js'

const TRY_MS = 180_000

/** Settings that both brokers understand: features that Apache has off, and check-backs that a test can wait for. */
const SETTINGS: Readonly<Record<string, string>> = {
  enablePropertyFilter: 'true',
  recallMessageEnable: 'true',
  traceTopicEnable: 'true',
  transactionTimeOut: '3000',
  transactionCheckInterval: '5000',
}

/** What the page says → the case in java/. Pop needs request codes that binary headers cannot carry to Apache. */
const FEATURES: readonly (readonly [feature: string, name: string, 'json-only'?])[] = [
  ['filters by tag, also where hashes collide', 'tags'],
  ['filters by SQL92', 'sql'],
  ['is refused a bad SQL92 expression', 'sql-refused'],
  ['filters by SQL92 in a lite pull consumer', 'sql-lite-pull'],
  ['changes a filter while it consumes', 'filter-changed'],
  ['retries after a delay level, then the dead-letter queue', 'retry-then-dlq'],
  ['retries what it refused, and only that', 'retry-succeeds'],
  ['sends to the dead-letter queue at once', 'dlq-at-once'],
  ['suspends a queue in order', 'orderly-suspend'],
  ['gives up in order, dead-letter queue', 'orderly-gives-up'],
  ['keeps order while instances join and leave', 'orderly-joins-and-leaves'],
  ['takes over the queues of one that left', 'leaving-loses-nothing'],
  ['delays by level', 'delay-levels'],
  ['delays by timer, to the millisecond', 'timer'],
  ['delivers a timer in the past at once', 'timer-in-the-past'],
  ['is refused a timer too far away', 'timer-too-far'],
  ['recalls a timer', 'recall'],
  ['is refused a wrong recall handle', 'recall-refused'],
  ['commits, rolls back, is asked back', 'transaction-outcomes'],
  ['sees nothing before the commit', 'transaction-invisible'],
  ['is asked back for a producer that is gone', 'transaction-check-by-another'],
  ['gets queues assigned by the broker', 'assigned-by-broker'],
  ['pops and acknowledges', 'pop', 'json-only'],
  ['pops one queue with two instances', 'pop-shared', 'json-only'],
  ['pops again what it refused', 'pop-refused-comes-again', 'json-only'],
  ['pops again what a dead instance held', 'pop-crashed-comes-again', 'json-only'],
  ['broadcasts', 'broadcast'],
  ['requests and replies', 'request-reply'],
  ['sends batches', 'batch'],
  ['sends automatic batches', 'auto-batch'],
  ['sends one-way', 'one-way'],
  ['sends to a queue of its choice', 'chosen-queue'],
  ['compresses: LZ4, ZSTD, ZLIB', 'compressed'],
  ['sends any text in tag, keys, properties', 'any-text'],
  ['uses a namespace', 'namespace'],
  ['heartbeats without subscriptions (V2)', 'heartbeat-v2'],
  ['traces messages, finds the traces', 'trace'],
  ['is refused a body over 4 MiB', 'too-large'],
  ['pulls by subscription (lite pull consumer)', 'lite-pull-subscribe'],
  ['assigns, seeks (lite pull consumer)', 'lite-pull-assign-and-seek'],
  ['commits by itself (lite pull consumer)', 'lite-pull-commits'],
  ['pulls (old pull consumer)', 'old-pull-consumer'],
  ['begins at first, last, timestamp', 'from-where'],
  ['begins at the group’s offset', 'from-where-with-offset'],
  ['finds offsets by time, both bounds', 'offsets-by-time'],
  ['finds by key, unique id, offset id, time', 'query'],
  ['resets offsets of a running group', 'reset-offset-online'],
  ['resets offsets of a stopped group', 'reset-offset-offline'],
  ['clones offsets', 'clone-offset'],
  ['consumes directly through the broker', 'consume-directly'],
  ['asks a consumer for its state', 'running-info'],
  ['asks consumers for their offsets', 'consume-status'],
  ['shows progress and lag', 'progress'],
  ['shows connections and subscriptions', 'connections'],
  ['disables and enables a group', 'group-disabled'],
  ['forbids a group a topic', 'read-forbidden'],
  ['takes the write permission of a topic', 'topic-permission'],
  ['sets and reads topic attributes', 'topic-config'],
  ['shows topic statistics', 'topic-stats'],
  ['deletes a group with its offsets', 'delete-group'],
  ['shows consume time spans', 'time-span'],
  ['tracks a message through groups', 'message-track'],
  ['connects with TLS', 'tls'],
]

/** What the Go client has of them (go/features.go). Its request-reply does not work on Apache either, as its own examples say. */
const GO_FEATURES: readonly (readonly [feature: string, name: string])[] = [
  ['commits, rolls back, is asked back', 'transactions'],
  ['delays by level', 'delays'],
  ['broadcasts', 'broadcasts'],
  ['filters by SQL92', 'sql'],
  ['polls and acknowledges (pull consumer)', 'pulls'],
  ['retries after a delay level, then the dead-letter queue', 'retries'],
  ['creates, lists and deletes topics', 'topics'],
  ['sends one-way', 'one-way'],
]

/** Every feature with the official Java and Go clients against one broker; each broker has a test file of its own. */
export function featureCases(kind: TargetKind): void {
  afterAll(async () => {
    await killChildren()
    writePage()
  })
  const missing = selectedTargets().includes(kind) ? (kind.missing() ?? javaJson.missing()) : 'not selected'
  if (missing) {
    console.warn(`interop: skipped features on ${kind.name}: ${missing}`)
    describe.skip(kind.name, () => it('is not here'))
    return
  }

  describe(`features on ${kind.name}`, () => {
    let dir: string
    let target: Target
    const drivers: Driver[] = []

    beforeAll(async () => {
      dir = workDir()
      target = await kind.start(`${dir}/target`, SETTINGS)
      drivers.push(new Driver(`${dir}/json`), new Driver(`${dir}/binary`, binaryHeaders))
    })
    afterAll(async () => {
      await Promise.all(drivers.map(driver => driver.close()))
      await target?.discard()
      rmSync(dir, { recursive: true, force: true })
    })

    if (!go.missing()) {
      describe.concurrent(go.name, () => {
        for (const [name, body] of GO_FEATURES) {
          const words = () => ['feature', body, target.nameServer, target.broker]
          const check = async () => void (await run(goProgram, words(), { timeoutMs: 150_000 }))
          feature(kind.name, go.name, name, check, TRY_MS)
        }
      })
    }
    for (const [index, client] of [javaJson, javaBinary].entries()) {
      describe.concurrent(client.name, () => {
        for (const [name, body, only] of FEATURES) {
          if (only && client === javaBinary && kind === apache) continue
          feature(kind.name, client.name, name, async () => void (await drivers[index]!.run(body, target)), TRY_MS)
        }
      })
    }
  })
}
