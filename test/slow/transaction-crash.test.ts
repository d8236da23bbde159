import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  decodeMessage,
  encodeHeartbeat,
  formatProperties,
  parseOffsetMessageId,
  parseProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerTarget } from '../faults/broker-target.js'
import type { FrameClient } from '../faults/frame-client.js'
import { announcedRandom, type SeededRandom } from '../faults/random.js'
import { Lost } from '../faults/target.js'

/** `KILLS=1000` is the long form. */
const ROUNDS = Number(process.env['KILLS'] ?? 4)
const WORKERS = 48
const STORED_PER_ROUND_MAX = 400
const QUEUES = 4
const GROUP = 'crash-transactions'
const COMMIT = 8
const ROLLBACK = 12
const SETTINGS = { transactionCheckInterval: '300', transactionTimeOut: '200', transactionCheckMax: '255' }
/** `race`: commit and rollback at the same time, and a check-back is answered now so, now so. */
const PLANS = ['commit', 'rollback', 'check-commit', 'check-rollback', 'race'] as const

interface Transaction {
  readonly id: string
  readonly plan: (typeof PLANS)[number]
  /** The half message was acknowledged. */
  isStored: boolean
  /** Decisions that the broker has confirmed. */
  readonly confirmed: Set<number>
}

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-transactions-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Producers of one group: the truth about every transaction is here, and outlives the broker. */
class Producers {
  readonly all = new Map<string, Transaction>()
  storedCount = 0
  checks = 0
  #next = 0
  #client!: FrameClient

  constructor(private readonly random: SeededRandom) {}

  async connect(client: FrameClient): Promise<void> {
    this.#client = client
    client.onRequest = request => this.#answerCheck(request)
    const heartbeat = {
      clientID: 'crash-producer',
      producerDataSet: [{ groupName: GROUP }],
      consumerDataSet: [],
      heartbeatFingerprint: 0,
      withoutSub: false,
    }
    await client.ask({ code: RequestCode.HEART_BEAT, extFields: {}, body: encodeHeartbeat(heartbeat) })
  }

  /** Runs transactions until `isOver` or the broker is gone. */
  async work(isOver: () => boolean): Promise<void> {
    const worker = async (): Promise<void> => {
      try {
        while (!isOver()) await this.#one()
      } catch (error) {
        if (!(error instanceof Lost)) throw error
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, worker))
  }

  async #one(): Promise<void> {
    const id = `T${this.#next++}`
    const transaction: Transaction = {
      id,
      plan: PLANS[Math.floor(this.random.next() * PLANS.length)]!,
      isStored: false,
      confirmed: new Set(),
    }
    this.all.set(id, transaction)
    const answer = await this.#client.ask({
      code: RequestCode.SEND_MESSAGE,
      extFields: {
        producerGroup: GROUP,
        topic: 'crash',
        defaultTopic: 'TBW102',
        defaultTopicQueueNums: '4',
        queueId: String(Math.floor(this.random.next() * QUEUES)),
        sysFlag: '4',
        bornTimestamp: String(Date.now()),
        flag: '0',
        properties: formatProperties({ UNIQ_KEY: id, TRAN_MSG: 'true', PGROUP: GROUP }),
      },
      body: Buffer.from(id),
    })
    if (answer.code !== ResponseCode.SUCCESS) throw new Error(`half message refused: ${answer.remark}`)
    transaction.isStored = true
    this.storedCount++
    const fields = {
      tranStateTableOffset: answer.extFields['queueOffset']!,
      commitLogOffset: String(parseOffsetMessageId(answer.extFields['msgId']!)!.commitLogOffset),
    }
    const { plan } = transaction
    if (plan === 'commit' || plan === 'rollback') {
      const decision = plan === 'commit' ? COMMIT : ROLLBACK
      if (this.random.next() < 0.3) this.#client.notify(endRequest(transaction, fields, decision))
      await this.#end(transaction, fields, decision)
      if (this.random.next() < 0.3) await this.#end(transaction, fields, decision)
    } else if (plan === 'race')
      await Promise.all([COMMIT, ROLLBACK].map(decision => this.#end(transaction, fields, decision)))
  }

  async #end(transaction: Transaction, fields: Record<string, string>, decision: number): Promise<void> {
    const { code, remark } = await this.#client.ask(endRequest(transaction, fields, decision))
    if (code === ResponseCode.SUCCESS) transaction.confirmed.add(decision)
    else if (code !== ResponseCode.ILLEGAL_OPERATION || transaction.plan !== 'race')
      throw new Error(`${transaction.id} (${transaction.plan}) was refused: ${code} ${remark}`)
  }

  #answerCheck({ body, code, extFields }: RemotingCommand): void {
    if (code !== RequestCode.CHECK_TRANSACTION_STATE || body === undefined) return
    this.checks++
    const decoded = decodeMessage(body, 0, body.length)
    const id = decoded.ok ? parseProperties(decoded.message.properties)['UNIQ_KEY'] : undefined
    const transaction = this.all.get(id ?? '')
    if (transaction === undefined) return
    const { plan } = transaction
    const isCommit = plan === 'race' ? this.random.next() < 0.5 : plan.endsWith('commit')
    const request = endRequest(transaction, extFields, isCommit ? COMMIT : ROLLBACK, true)
    this.#client.notify(request)
    if (this.random.next() < 0.3) this.#client.notify(request)
    if (plan === 'race') this.#client.notify(endRequest(transaction, extFields, isCommit ? ROLLBACK : COMMIT, true))
  }
}

function endRequest(
  { id }: Transaction,
  { commitLogOffset, tranStateTableOffset }: Readonly<Record<string, string>>,
  decision: number,
  fromCheck = false,
) {
  return {
    code: RequestCode.END_TRANSACTION,
    extFields: {
      producerGroup: GROUP,
      topic: 'crash',
      tranStateTableOffset: tranStateTableOffset!,
      commitLogOffset: commitLogOffset!,
      commitOrRollback: String(decision),
      fromTransactionCheck: String(fromCheck),
      msgId: id,
      transactionId: id,
    },
  }
}

async function deliveries(broker: BrokerTarget): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (let queueId = 0; queueId < QUEUES; queueId++)
    for (const { body } of (await broker.scan(queueId, 0)).messages) counts.set(body, (counts.get(body) ?? 0) + 1)
  return counts
}

/** What is wrong with the outcome of one transaction. */
function complaint({ confirmed, id, isStored, plan }: Transaction, count: number): string | undefined {
  const name = `${id} (${plan}, confirmed ${[...confirmed].join()})`
  if (count > 1) return `${name} was delivered ${count} times`
  if (confirmed.size > 1) return `${name}: both won`
  if (confirmed.has(COMMIT) && count === 0) return `${name} is lost`
  if (confirmed.has(ROLLBACK) && count > 0) return `${name} was delivered`
  if (plan === 'race') return undefined
  if (plan.endsWith('rollback')) return count === 0 ? undefined : `${name} was delivered`
  return isStored && count === 0 ? `${name} is invisible` : undefined
}

describe.each(['sync', 'async'] as const)('a broker killed amid transactions (%s flush)', flush => {
  it(`ends each of them once, over ${ROUNDS} kills, and leaves none open`, async () => {
    const random = announcedRandom('test/slow/transaction-crash.test.ts')
    const producers = new Producers(random)
    for (let round = 0; round < ROUNDS; round++) {
      const broker = await BrokerTarget.start({ directory, flush, settings: SETTINGS })
      try {
        await producers.connect(broker.client)
        const enough = producers.storedCount + random.between(WORKERS, STORED_PER_ROUND_MAX)
        let isOver = false
        const work = producers.work(() => isOver)
        const deadline = Date.now() + 20_000
        while (producers.storedCount < enough && Date.now() < deadline)
          await new Promise(resolve => setTimeout(resolve, random.between(1, 30)))
        isOver = true
        await broker.kill()
        await work
      } finally {
        await broker.kill()
      }
    }
    const broker = await BrokerTarget.start({ directory, flush, settings: SETTINGS })
    try {
      await producers.connect(broker.client)
      const complaints = async (): Promise<string[]> => {
        const counts = await deliveries(broker)
        return [...producers.all.values()].flatMap(one => complaint(one, counts.get(one.id) ?? 0) ?? [])
      }
      const deadline = Date.now() + 60_000
      let quietAt = 0
      let seen = -1
      // Over when nothing is missing, and no check-back comes for a while: none is open then.
      while (Date.now() < deadline) {
        await new Promise(resolve => setTimeout(resolve, 200))
        if (seen !== producers.checks) quietAt = Date.now()
        seen = producers.checks
        if (Date.now() - quietAt > 2_000 && (await complaints()).length === 0) break
      }
      expect(await complaints()).toEqual([])
      expect(Date.now()).toBeLessThan(deadline)
      const { all, checks, storedCount } = producers
      console.log(`${flush}: ${storedCount} half messages acknowledged of ${all.size}, ${checks} check-backs`)
      expect(storedCount).toBeGreaterThan(100)
      expect(checks).toBeGreaterThan(50)
    } finally {
      await broker.stop()
    }
  })
})
