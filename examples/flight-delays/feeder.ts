import { type Admin, type Key, type KeyedTopic, type Millrace, messageOf, queueOfKey } from 'millrace'

/** Sends that may wait for their answer at a time: the flush they share makes this cheap. */
const IN_FLIGHT_MAX = 256

export interface FeedOptions {
  /** Messages per second; undefined: as fast as the broker takes them. */
  readonly rate?: number | undefined
  readonly signal: AbortSignal
}

/**
 * Sends values to a topic that earlier runs may have begun to fill, in order and without sending any twice.
 *
 * No notes are kept for that: the queue of a value follows from its key, and a queue keeps the order of sending. So a
 * queue that holds n messages holds the first n values that belong there, also after a crash in the middle of a send.
 */
export class Feeder<T, K extends Key> {
  readonly #millrace: Millrace
  readonly #topic: KeyedTopic<T, K>
  readonly #values: readonly T[]
  /** Values that the topic holds, those of earlier runs included. */
  sentCount = 0

  constructor(millrace: Millrace, topic: KeyedTopic<T, K>, values: readonly T[]) {
    this.#millrace = millrace
    this.#topic = topic
    this.#values = values
  }

  get isDone(): boolean {
    return this.sentCount >= this.#values.length
  }

  /** Looks up how far earlier runs came. */
  async resume(): Promise<Map<number, number>> {
    const stored = await storedPerQueue(this.#millrace.admin, this.#topic.name)
    this.sentCount = [...stored.values()].reduce((sum, count) => sum + count, 0)
    return stored
  }

  /** Sends what is missing. Resolves when every send has been answered; earlier once the signal is aborted. */
  async send(stored: ReadonlyMap<number, number>, { rate, signal }: FeedOptions): Promise<void> {
    const producer = this.#millrace.producer()
    const queues = (await producer.queues(this.#topic.name)).toSorted(
      (a, b) => a.brokerName.localeCompare(b.brokerName) || a.queueId - b.queueId,
    )
    const left = new Map(stored)
    const waiting = new Set<Promise<void>>()
    const startedAt = performance.now()
    let failure: unknown
    let newCount = 0
    for (const value of this.#values) {
      const index = queueOfKey(this.#topic.key(value), queues.length)
      const alreadyStored = left.get(index) ?? 0
      if (alreadyStored > 0) {
        left.set(index, alreadyStored - 1)
        continue
      }
      if (signal.aborted || failure !== undefined) break
      const sending = producer
        .send(messageOf(this.#topic, value), { queue: queues[index] })
        .then(() => void this.sentCount++)
        .catch(error => {
          failure ??= error
        })
        .finally(() => waiting.delete(sending))
      waiting.add(sending)
      newCount++
      if (waiting.size >= IN_FLIGHT_MAX) await Promise.race(waiting)
      if (rate !== undefined) await pause(startedAt + (newCount / rate) * 1000 - performance.now(), signal)
    }
    await Promise.all(waiting)
    if (failure !== undefined) throw failure
  }
}

/** Messages ever stored in each queue, by its place among the topic's queues in order. */
async function storedPerQueue(admin: Admin, topic: string): Promise<Map<number, number>> {
  const queues = await admin.describeTopic(topic)
  const ordered = queues.toSorted(
    (a, b) => a.queue.brokerName.localeCompare(b.queue.brokerName) || a.queue.queueId - b.queue.queueId,
  )
  return new Map(ordered.map(({ maxOffset }, index) => [index, maxOffset]))
}

/** Timers are coarser than the gap between two messages: short waits are skipped and made up for by longer ones. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms < 5 || signal.aborted) return
  await new Promise<void>(resolve => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
