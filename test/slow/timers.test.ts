import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeMessages, formatProperties, RequestCode, ResponseCode, type StoredMessage } from '@millrace/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerTarget } from '../faults/broker-target.js'
import { announcedRandom } from '../faults/random.js'
import { Lost } from '../faults/target.js'

const TOPIC = 'crash'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-slow-timers-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

interface Sent {
  readonly due: number
  readonly recallHandle: string
}

async function send(target: BrokerTarget, key: string, properties: Record<string, string>) {
  const { code, extFields, remark } = await target.client.ask({
    code: RequestCode.SEND_MESSAGE_V2,
    extFields: {
      ...{ a: 'p', b: TOPIC, c: 'TBW102', d: '4', e: '0', f: '0', h: '0', j: '0', k: 'false', m: 'false' },
      g: String(Date.now()),
      i: formatProperties({ UNIQ_KEY: key, ...properties }),
    },
    body: Buffer.from(key),
  })
  if (code !== ResponseCode.SUCCESS) throw new Error(`refused with ${code}: ${remark}`)
  return extFields
}

/** Everything in queue 0. */
async function readAll(target: BrokerTarget): Promise<StoredMessage[]> {
  const all: StoredMessage[] = []
  for (let offset = 0; ; ) {
    const { body, code, extFields } = await target.client.ask({
      code: RequestCode.PULL_MESSAGE,
      extFields: {
        ...{ consumerGroup: 'readers', topic: TOPIC, queueId: '0', queueOffset: String(offset), maxMsgNums: '32' },
        ...{ sysFlag: '4', commitOffset: '0', suspendTimeoutMillis: '0', subscription: '*', subVersion: '0' },
      },
    })
    const decoded = decodeMessages(body ?? Buffer.alloc(0))
    if (code !== ResponseCode.SUCCESS || !decoded.ok) return all
    all.push(...decoded.messages)
    offset = Number(extFields['nextBeginOffset'])
  }
}

describe('timers of a broker that is killed', () => {
  it.each(['sync', 'async'] as const)(
    'none is lost, early, or comes after its recall; none comes twice (%s flush)',
    async flush => {
      const random = announcedRandom('test/slow/timers.test.ts')
      const sent = new Map<string, Sent>()
      const recalled = new Set<string>()
      const uncertain = new Set<string>()
      let number = 0
      for (let round = 0; round < 5; round++) {
        const target = await BrokerTarget.start({ directory, flush })
        // The first answer comes when the broker's threads run.
        await send(target, `first-${round}`, {})
        const end = Date.now() + 600 + random.between(0, 1200)
        const work = async (): Promise<void> => {
          while (Date.now() < end) {
            const key = `key-${number++}`
            const due = Date.now() + 20 + random.between(0, 3000)
            const { recallHandle = '' } = await send(target, key, { TIMER_DELIVER_MS: String(due) })
            sent.set(key, { due, recallHandle })
            if (random.between(0, 20) > 0) continue
            uncertain.add(key)
            const extFields = { topic: TOPIC, recallHandle, producerGroup: 'p' }
            const { code } = await target.client.ask({ code: RequestCode.RECALL_MESSAGE, extFields })
            uncertain.delete(key)
            if (code === ResponseCode.SUCCESS) recalled.add(key)
          }
        }
        const workers = Promise.allSettled(Array.from({ length: 8 }, work))
        await new Promise(resolve => setTimeout(resolve, Math.max(0, end - Date.now() - 100)))
        await target.kill()
        for (const outcome of await workers)
          if (outcome.status === 'rejected' && !(outcome.reason instanceof Lost)) throw outcome.reason
      }
      const target = await BrokerTarget.start({ directory, flush })
      const latest = Math.max(...[...sent.values()].map(({ due }) => due))
      await new Promise(resolve => setTimeout(resolve, Math.max(0, latest - Date.now()) + 500))
      const isExpected = (key: string): boolean => !recalled.has(key) && !uncertain.has(key)
      const times = new Map<string, number[]>()
      const deadline = Date.now() + 60_000
      do {
        times.clear()
        for (const { body, storeTimestamp } of await readAll(target)) {
          const key = body.toString()
          times.set(key, [...(times.get(key) ?? []), storeTimestamp])
        }
      } while (Date.now() < deadline && [...sent.keys()].some(key => isExpected(key) && !times.has(key)))
      await target.stop()
      const lost: string[] = []
      const early: string[] = []
      for (const [key, { due }] of sent) {
        const seen = times.get(key) ?? []
        if (seen.length === 0 && isExpected(key)) lost.push(key)
        if (seen.some(time => time < due)) early.push(key)
      }
      expect(sent.size).toBeGreaterThan(200)
      expect({ lost, early }).toEqual({ lost: [], early: [] })
      expect([...recalled].filter(key => times.has(key))).toEqual([])
      expect([...times].filter(([, seen]) => seen.length > 1).map(([key]) => key)).toEqual([])
    },
    120_000,
  )
})

describe('many pending timers', () => {
  it('cost no memory, and those that are due come within 50 ms', async () => {
    const count = Number(process.env['TIMERS'] ?? 100_000)
    const target = await BrokerTarget.start({
      directory,
      flush: 'async',
      settings: { mapedFileSizeCommitLog: String(64 * 2 ** 20), ringBytes: String(8 * 2 ** 20) },
    })
    const far = Date.now() + 86_400_000
    const fill = async (begin: number, end: number): Promise<void> => {
      for (let i = begin; i < end; i++)
        await send(target, `far-${i}`, { TIMER_DELIVER_MS: String(far + ((i * 7919) % 1_000_000)) })
    }
    const fillTo = async (from: number, to: number): Promise<void> => {
      const step = Math.ceil((to - from) / 200)
      await Promise.all(
        Array.from({ length: 200 }, (_, i) => fill(from + i * step, Math.min(to, from + (i + 1) * step))),
      )
    }
    await fillTo(0, count / 5)
    const before = residentMiB(target.child.process.pid ?? 0)
    await fillTo(count / 5, count)
    const after = residentMiB(target.child.process.pid ?? 0)
    const due = new Map<string, number>()
    for (let i = 0; i < 400; i++) {
      const at = Date.now() + 300 + ((i * 101) % 1700)
      due.set(`near-${i}`, at)
      await send(target, `near-${i}`, { TIMER_DELIVER_MS: String(at) })
    }
    await new Promise(resolve => setTimeout(resolve, 2500))
    const late = (await readAll(target)).map(
      ({ body, storeTimestamp }) => storeTimestamp - (due.get(body.toString()) ?? 0),
    )
    late.sort((a, b) => a - b)
    console.log(
      `${count} pending: ${before} → ${after} MiB; late p50 ${late[200]} ms, p99 ${late[395]} ms, max ${late[399]} ms`,
    )
    await target.stop()
    expect(late).toHaveLength(400)
    expect(late[0]).toBeGreaterThanOrEqual(0)
    // The bound is for a machine that does nothing else; tests share theirs.
    expect(late[200]).toBeLessThanOrEqual(50)
    expect(after - before).toBeLessThan(150)
  }, 600_000)
})

function residentMiB(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)
}
