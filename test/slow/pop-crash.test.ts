import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { RequestCode } from '@millrace/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerTarget } from '../faults/broker-target.js'
import { handleFields, type Popped, readPopped } from '../faults/popped.js'
import { announcedRandom, type SeededRandom } from '../faults/random.js'
import { Lost } from '../faults/target.js'

/** `KILLS=1000` is the long form. */
const ROUNDS = Number(process.env['KILLS'] ?? 4)
const TOPIC = 'crash'
const GROUP = 'crash-poppers'
const QUEUES = 4
const POPPERS = 4
const INVISIBLE_MS = 1_500
const CHANGED_MS = 400
/** An acknowledgement that was answered later than this before its handle expired may have come too late. */
const LATE_MS = 300
/** Nothing comes any more for this long: everything that was invisible would be visible again. */
const SILENCE_MS = 6_000

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-pop-crash-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** What consumers and producers saw over all lives of the broker. */
class History {
  readonly sent = new Set<string>()
  /** Acknowledged, whichever delivery it was and whether or not an answer came. */
  readonly acked = new Set<string>()
  /** Acknowledged in time with their first handle, which nothing but this acknowledgement can have made void. */
  readonly ackedAtFirst = new Set<string>()
  readonly violations: string[] = []
  deliveries = 0
  lastDeliveryMs = 0

  delivered({ message, text }: Popped): void {
    this.deliveries++
    this.lastDeliveryMs = performance.now()
    if (this.ackedAtFirst.has(text))
      this.violations.push(`${text} came again after its acknowledgement (reconsumeTimes ${message.reconsumeTimes})`)
  }
}

describe.each(['sync', 'async'] as const)('a broker killed under pops (%s flush)', flush => {
  it('neither forgets an acknowledgement nor loses a message', async () => {
    const random = announcedRandom('test/slow/pop-crash.test.ts')
    const history = new History()
    for (let round = 0; round < ROUNDS; round++) {
      const target = await BrokerTarget.start({ directory, flush })
      const life = new AbortController()
      const work = [
        produce(target, history, round, life.signal),
        ...Array.from({ length: POPPERS }, () => consume(target, history, random, life.signal)),
      ]
      // By what was done, not by time: a busy machine may need seconds for the first message.
      const enough = history.deliveries + random.between(50, 1_500)
      const deadline = performance.now() + 30_000
      while (history.deliveries < enough && performance.now() < deadline) await sleep(random.between(1, 50))
      await target.kill()
      life.abort()
      await Promise.all(work)
    }
    const target = await BrokerTarget.start({ directory, flush })
    const end = new AbortController()
    history.lastDeliveryMs = performance.now()
    const draining = Array.from({ length: POPPERS }, () => consume(target, history, undefined, end.signal))
    while (performance.now() - history.lastDeliveryMs < SILENCE_MS) await sleep(100)
    end.abort()
    await Promise.all(draining)
    await target.stop()
    console.log(`${flush}: ${history.sent.size} sent, ${history.deliveries} deliveries`)
    expect(history.violations).toEqual([])
    expect([...history.sent].filter(text => !history.acked.has(text))).toEqual([])
    expect(history.sent.size).toBeGreaterThan(100)
  })
})

async function produce(target: BrokerTarget, history: History, round: number, life: AbortSignal): Promise<void> {
  await untilLost(async () => {
    for (let i = 0; !life.aborted; i++) {
      const text = `m-${round}-${i}`
      await target.append(i % QUEUES, text)
      history.sent.add(text)
      if (i % 8 === 0) await sleep(1)
    }
  })
}

/** Pops, and acknowledges, delays or forgets what comes; acknowledges all of it when there is no `random`. */
async function consume(
  target: BrokerTarget,
  history: History,
  random: SeededRandom | undefined,
  life: AbortSignal,
): Promise<void> {
  await untilLost(async () => {
    while (!life.aborted) {
      const popTimeMs = Date.now()
      const answer = await target.client.ask({
        code: RequestCode.POP_MESSAGE,
        extFields: {
          consumerGroup: GROUP,
          topic: TOPIC,
          queueId: '-1',
          maxMsgNums: String(random?.between(1, 32) ?? 32),
          invisibleTime: String(INVISIBLE_MS),
          pollTime: '300',
          bornTime: String(popTimeMs),
          initMode: '0',
        },
      })
      await Promise.all(readPopped(answer).map(each => settle(target, history, random, each, popTimeMs)))
    }
  })
}

async function settle(
  { client }: BrokerTarget,
  history: History,
  random: SeededRandom | undefined,
  each: Popped,
  popTimeMs: number,
): Promise<void> {
  history.delivered(each)
  const choice = random?.next() ?? 1
  const extFields = handleFields(GROUP, each)
  if (choice < 0.15) return
  if (choice < 0.3) {
    const changed = { ...extFields, invisibleTime: String(CHANGED_MS) }
    await client.ask({ code: RequestCode.CHANGE_MESSAGE_INVISIBLETIME, extFields: changed })
    return
  }
  history.acked.add(each.text)
  const { code } = await client.ask({ code: RequestCode.ACK_MESSAGE, extFields })
  if (code !== 0) history.violations.push(`the acknowledgement of ${each.text} was answered ${code}`)
  const isInTime = Date.now() < popTimeMs + INVISIBLE_MS - LATE_MS
  if (isInTime && each.message.reconsumeTimes === 0) history.ackedAtFirst.add(each.text)
}

async function untilLost(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    // The broker is dead: what was not answered may have happened or not.
    if (!(error instanceof Lost)) throw error
  }
}
