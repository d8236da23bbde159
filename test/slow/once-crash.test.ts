import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  decodeMessages,
  encodeBatch,
  formatProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  StreamProperty,
} from '@millrace/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerTarget } from '../faults/broker-target.js'
import { announcedRandom, type SeededRandom } from '../faults/random.js'
import { Lost } from '../faults/target.js'

/** `KILLS=1000` is the long form. */
const ROUNDS = Number(process.env['KILLS'] ?? 4)
const TASKS = 3
const QUEUES = 4
const PIPELINE = 'crash-pipeline'
const OUTPUTS = 'outputs'
const WINDOW = 'window'
const SEND_FIELDS = { c: 'TBW102', d: '4', f: '0', h: '0', j: '0', k: 'false' }

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-once-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function makeTopic(broker: BrokerTarget, topic: string, attributes: string): Promise<void> {
  const { code, remark } = await broker.client.ask({
    code: RequestCode.UPDATE_AND_CREATE_TOPIC,
    extFields: {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: String(QUEUES),
      writeQueueNums: String(QUEUES),
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
      attributes,
    },
  })
  if (code !== ResponseCode.SUCCESS) throw new Error(`topic ${topic}: ${remark}`)
}

async function bodies(broker: BrokerTarget, topic: string, queueId: number): Promise<string[]> {
  const found: string[] = []
  for (let offset = 0; ; ) {
    const answer = await broker.client.ask({
      code: RequestCode.PULL_MESSAGE,
      extFields: {
        consumerGroup: 'reader',
        topic,
        queueId: String(queueId),
        queueOffset: String(offset),
        maxMsgNums: '32',
        sysFlag: '4',
        commitOffset: '0',
        suspendTimeoutMillis: '0',
        subscription: '*',
        subVersion: '1',
      },
    })
    if (answer.code !== ResponseCode.SUCCESS) return found
    const decoded = decodeMessages(answer.body!)
    if (!decoded.ok) throw new Error(decoded.reason)
    found.push(...decoded.messages.map(message => message.body.toString()))
    offset = Number(answer.extFields['nextBeginOffset'])
  }
}

/** One task's outputs to one queue: what it has sent outlives the broker. */
class OutputLane {
  readonly acked: number[] = []
  #next = 1
  /** Sent, and never answered. */
  #open: number[] | undefined

  constructor(
    readonly task: string,
    readonly queueId: number,
    private readonly random: SeededRandom,
  ) {}

  async work(broker: BrokerTarget, epoch: number): Promise<void> {
    try {
      for (;;) await this.#step(broker, epoch)
    } catch (error) {
      if (!(error instanceof Lost)) throw error
    }
  }

  /** A batch that was not answered goes again first; now and then so does one that was. */
  async #step(broker: BrokerTarget, epoch: number): Promise<void> {
    if (this.#open === undefined && this.acked.length > 0 && this.random.next() < 0.2)
      this.#check(await this.#send(broker, epoch, this.acked.slice(-this.random.between(1, 10))))
    const batch = (this.#open ??= Array.from({ length: this.random.between(1, 20) }, () => this.#next++))
    this.#check(await this.#send(broker, epoch, batch))
    this.acked.push(...batch)
    this.#open = undefined
    if (epoch > 1 && this.random.next() < 0.1) {
      const old = await this.#send(broker, epoch - 1, [this.#next])
      expect(old.code, old.remark).toBe(ResponseCode.ILLEGAL_OPERATION)
    }
  }

  #check({ code, remark }: RemotingCommand): void {
    if (code !== ResponseCode.SUCCESS) throw new Error(`${this.task} was refused: ${code} ${remark}`)
  }

  #send(broker: BrokerTarget, epoch: number, sequences: readonly number[]): Promise<RemotingCommand> {
    const messages = sequences.map(sequence => ({
      flag: 0,
      body: Buffer.from(`${this.task}:${sequence}`),
      properties: Buffer.from(
        formatProperties({
          UNIQ_KEY: `${this.task}-${this.queueId}-${sequence}`,
          [StreamProperty.PIPELINE]: PIPELINE,
          [StreamProperty.TASK]: this.task,
          [StreamProperty.EPOCH]: String(epoch),
          [StreamProperty.SEQUENCE]: String(sequence),
        }),
      ),
    }))
    return broker.client.ask({
      code: RequestCode.SEND_BATCH_MESSAGE,
      extFields: { a: PIPELINE, b: OUTPUTS, e: String(this.queueId), g: String(Date.now()), m: 'true', ...SEND_FIELDS },
      body: encodeBatch(messages),
    })
  }
}

/** A producer that repeats what was not answered, and more, to a topic with a deduplication window. */
class Repeater {
  readonly acked = new Set<string>()
  #open: string | undefined
  #count = 0

  constructor(
    private readonly name: string,
    private readonly random: SeededRandom,
  ) {}

  async work(broker: BrokerTarget): Promise<void> {
    try {
      for (;;) {
        const key = (this.#open ??= `${this.name}-${this.#count++}`)
        const times = this.random.next() < 0.3 ? 2 : 1
        const answers = await Promise.all(Array.from({ length: times }, () => this.#send(broker, key)))
        for (const { code, remark } of answers) if (code !== 0) throw new Error(`${key} was refused: ${remark}`)
        expect(new Set(answers.map(({ extFields }) => extFields['msgId'])).size).toBe(1)
        this.acked.add(key)
        this.#open = undefined
      }
    } catch (error) {
      if (!(error instanceof Lost)) throw error
    }
  }

  #send(broker: BrokerTarget, key: string): Promise<RemotingCommand> {
    const queueId = String(this.random.between(0, QUEUES))
    const properties = formatProperties({ UNIQ_KEY: key })
    return broker.client.ask({
      code: RequestCode.SEND_MESSAGE_V2,
      extFields: {
        a: 'repeaters',
        b: WINDOW,
        e: queueId,
        g: String(Date.now()),
        i: properties,
        m: 'false',
        ...SEND_FIELDS,
      },
      body: Buffer.from(key),
    })
  }
}

describe.each(['sync', 'async'] as const)('a broker killed amid sends that are repeated (%s flush)', flush => {
  it(`stores each once, over ${ROUNDS} kills`, async () => {
    const random = announcedRandom('test/slow/once-crash.test.ts')
    const lanes = Array.from(
      { length: TASKS * QUEUES },
      (_, i) => new OutputLane(`t-${i % TASKS}`, Math.floor(i / TASKS), random),
    )
    const repeaters = Array.from({ length: 8 }, (_, i) => new Repeater(`r${i}`, random))
    let epoch = 1
    for (let round = 0; round < ROUNDS; round++) {
      const broker = await BrokerTarget.start({ directory, flush })
      try {
        if (round === 0) {
          await makeTopic(broker, OUTPUTS, '')
          await makeTopic(broker, WINDOW, '+dedup.window.ms=3600000')
        } else if (random.next() < 0.5) epoch++
        const work = [...lanes.map(lane => lane.work(broker, epoch)), ...repeaters.map(one => one.work(broker))]
        // Some rounds end before anything was saved, some after.
        await new Promise(resolve => setTimeout(resolve, random.between(200, 4_000)))
        await broker.kill()
        await Promise.all(work)
      } finally {
        await broker.kill()
      }
    }
    const broker = await BrokerTarget.start({ directory, flush })
    try {
      for (let queueId = 0; queueId < QUEUES; queueId++) {
        const stored = await bodies(broker, OUTPUTS, queueId)
        for (const lane of lanes.filter(one => one.queueId === queueId)) {
          const own = stored.filter(body => body.startsWith(`${lane.task}:`)).map(body => Number(body.split(':')[1]))
          // In order, none missing; what was never acknowledged may be there, once.
          expect(own).toEqual(Array.from(own, (_, i) => i + 1))
          expect(own.length).toBeGreaterThanOrEqual(lane.acked.length)
        }
      }
      const kept: string[] = []
      for (let queueId = 0; queueId < QUEUES; queueId++) kept.push(...(await bodies(broker, WINDOW, queueId)))
      expect(new Set(kept).size).toBe(kept.length)
      for (const { acked } of repeaters) for (const key of acked) expect(kept).toContain(key)
      console.log(
        `${flush}: ${lanes.reduce((sum, lane) => sum + lane.acked.length, 0)} outputs, ${kept.length} in the window`,
      )
    } finally {
      await broker.stop()
    }
  })
})
