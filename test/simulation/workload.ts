import {
  Client,
  type Message,
  type PullConsumer,
  type ReceivedMessage,
  type TransactionDecision,
} from '@millrace/client'
import type { Environment, MessageQueue } from '@millrace/core'
import type { SimulatedProcess } from '@millrace/core/testkit'
import type { Event } from '../faults/checkers.js'
import { bodyOf, keyOf, sumOf } from '../faults/target.js'

export const TOPIC = { plain: 'orders', transactions: 'payments', delayed: 'reminders' } as const
const QUEUES_PER_BROKER = 2
const GROUP = 'fulfilment'
const BODY_BYTES = 120
const DELAY_MS_MAX = 5_000

/** A message that was handed to a broker, and what must become of it. */
export interface Sent {
  readonly key: string
  readonly topic: string
  /** The broker has it: an answer said so. */
  isAcked: boolean
  readonly decision?: TransactionDecision
  readonly dueMs?: number
}

/** What is in a topic in the end. */
export interface Found {
  readonly key: string
  readonly storedMs: number
}

/** Clients of every kind, and what they saw. */
export class Workload {
  /** Of the plain topic, in the form the checkers take. */
  readonly history: Event[] = []
  readonly sent: Sent[] = []
  /** Keys that the consumer group has handled. */
  readonly handled = new Set<string>()
  #client!: Client
  #reader!: PullConsumer
  #isOver = false
  #keys = 0
  #scans = 0

  constructor(
    private readonly environment: SimulatedProcess,
    private readonly nameservers: string,
  ) {}

  /** Connects and makes the topics; the cluster is up. */
  async open(): Promise<void> {
    const { environment, nameservers } = this
    this.#client = await Client.connect({ environment, nameservers })
    for (const topic of Object.values(TOPIC)) await this.#createTopic(topic)
    this.#reader = this.#client.pullConsumer({ group: 'verifier' })
    const consumer = this.#client.consumer({ group: GROUP, topics: [TOPIC.plain], from: 'first', onError: () => {} })
    void consumer.run(message => void this.handled.add(keyOf(message.body.toString())))
  }

  async #createTopic(topic: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#client.admin.createTopic(topic, { queues: QUEUES_PER_BROKER })
      } catch (error) {
        // Brokers register when they can.
        if (attempt === 50) throw error
        await pause(this.environment, 100)
      }
    }
  }

  /** Sends until `finish`. Resolves when the last answer is there, or will not come. */
  async run(): Promise<void> {
    await Promise.all([this.#sendPlain(0), this.#sendPlain(1), this.#sendTransactions(), this.#sendDelayed()])
  }

  finish(): void {
    this.#isOver = true
  }

  async #sendPlain(session: number): Promise<void> {
    const producer = this.#client.producer({ group: `p${session}`, compression: 'none', timeoutMs: 1_000 })
    for (let sequence = 0; !this.#isOver; sequence++) {
      const queue = await this.#anyQueue(TOPIC.plain)
      if (queue) {
        const key = `o${this.#keys++}`
        const body = bodyOf(key, BODY_BYTES)
        const queueId = placeOf(queue)
        const event = { key, queueId, session, sequence }
        this.history.push({ kind: 'sent', ...event, sum: sumOf(body) })
        const sent: Sent = { key, topic: TOPIC.plain, isAcked: false }
        this.sent.push(sent)
        try {
          const { queueOffset } = await producer.send({ topic: TOPIC.plain, body }, { queue })
          this.history.push({ kind: 'acked', ...event, offset: queueOffset })
          sent.isAcked = true
        } catch {
          // Nobody knows whether it was stored.
        }
      }
      await this.#pause(20)
    }
  }

  async #sendTransactions(): Promise<void> {
    const decisions = new Map<string, TransactionDecision>()
    const { random } = this.environment
    const check = (message: ReceivedMessage): TransactionDecision =>
      decisions.get(keyOf(message.body.toString())) ?? 'unknown'
    const producer = this.#client.producer({
      group: 'cashier',
      retries: 0,
      compression: 'none',
      timeoutMs: 1_000,
      check,
      onError: () => {},
    })
    while (!this.#isOver) {
      const key = `t${this.#keys++}`
      const decision: TransactionDecision = random.int(3) === 0 ? 'rollback' : 'commit'
      decisions.set(key, decision)
      const sent: Sent = { key, topic: TOPIC.transactions, isAcked: false, decision }
      this.sent.push(sent)
      const message: Message = { topic: TOPIC.transactions, body: bodyOf(key, BODY_BYTES) }
      await producer
        .sendInTransaction(message, () => {
          sent.isAcked = true
          return random.int(4) === 0 ? 'unknown' : decision
        })
        .catch(() => undefined)
      await this.#pause(60)
    }
  }

  async #sendDelayed(): Promise<void> {
    const { clock, random } = this.environment
    const producer = this.#client.producer({ group: 'clerk', compression: 'none', timeoutMs: 1_000, retries: 0 })
    while (!this.#isOver) {
      const key = `d${this.#keys++}`
      const dueMs = clock.now() + 100 + random.int(DELAY_MS_MAX)
      const sent: Sent = { key, topic: TOPIC.delayed, isAcked: false, dueMs }
      this.sent.push(sent)
      try {
        await producer.send({ topic: TOPIC.delayed, body: bodyOf(key, BODY_BYTES), deliverAt: dueMs })
        sent.isAcked = true
      } catch {
        // Nobody knows whether it was stored.
      }
      await this.#pause(60)
    }
  }

  /** Reads all queues of the plain topic for the checkers. @throws what the client throws */
  async scan(): Promise<void> {
    for (const queue of await this.#reader.queues(TOPIC.plain)) {
      const scan = ++this.#scans
      const queueId = placeOf(queue)
      const [min, max] = [await this.#reader.offsets.min(queue), await this.#reader.offsets.max(queue)]
      this.history.push({ kind: 'scanned', scan, queueId, min, max })
      await this.#read(queue, min, max, (offset, body) =>
        this.history.push({ kind: 'read', scan, queueId, offset, key: keyOf(body), sum: sumOf(body) }),
      )
    }
  }

  /** What a topic holds. @throws what the client throws */
  async content(topic: string): Promise<Found[]> {
    const found: Found[] = []
    for (const queue of await this.#reader.queues(topic)) {
      const [min, max] = [await this.#reader.offsets.min(queue), await this.#reader.offsets.max(queue)]
      await this.#read(queue, min, max, (_, body, storedMs) => found.push({ key: keyOf(body), storedMs }))
    }
    return found
  }

  async #read(
    queue: MessageQueue,
    min: number,
    max: number,
    take: (offset: number, body: string, storedMs: number) => void,
  ): Promise<void> {
    for (let offset = min; offset < max; ) {
      const { messages, nextOffset } = await this.#reader.pull({ queue, offset })
      for (const message of messages)
        if (message.queueOffset < max) take(message.queueOffset, message.body.toString(), message.storeTimestamp)
      if (nextOffset <= offset) return
      offset = nextOffset
    }
  }

  async #anyQueue(topic: string): Promise<MessageQueue | undefined> {
    const queues = await this.#reader.queues(topic).catch(() => [])
    return queues.length === 0 ? undefined : queues[this.environment.random.int(queues.length)]
  }

  #pause(longestMs: number): Promise<void> {
    const { random, scheduler } = this.environment
    return new Promise(resolve => scheduler.after(random.next() * longestMs, resolve))
  }
}

/** One number for a queue of any broker. */
function placeOf({ brokerName, queueId }: MessageQueue): number {
  return Number(brokerName.slice('broker-'.length)) * 100 + queueId
}

/** Waits in virtual time. */
export function pause({ scheduler }: Environment, durationMs: number): Promise<void> {
  return new Promise(resolve => scheduler.after(durationMs, resolve))
}
