import {
  type Environment,
  MillraceError,
  queueOfKey,
  type StateBackend,
  type StateChange,
  StreamProperty,
  type Topic,
} from '@millrace/core'
import type { EnginePorts } from '../../src/pipeline/pipeline-engine.js'
import type { OutgoingMessage, Pulled, QueueIndex, QueueListener } from '../../src/pipeline/topics.js'

interface Stored {
  readonly body: Uint8Array
  readonly key: string | undefined
  readonly properties: Readonly<Record<string, string>>
}

/** A message of an output topic, decoded. */
export interface Received<T> {
  readonly value: T
  readonly task: string
  readonly sequence: number
  readonly epoch: number
}

const POLL_MS = 1_000

/** Topics in memory, and ports of engines that can be killed: nothing that a killed one still does has an effect. */
export class FakeTopics {
  readonly #environment: Environment
  readonly #queues = new Map<string, Stored[][]>()
  readonly #waiting = new Set<() => void>()
  /** Sends in progress and what lets them go. */
  readonly #held: (() => void)[] = []
  isBlocked = false
  /** Sends to refuse. */
  failures = 0
  sendDelayMs = 0
  pulledCount = 0
  /** Messages stored of topics that are not repartition topics. */
  storedCount = 0
  readonly created: string[] = []
  readonly reported = new Map<string, number>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  create(topic: string, queues: number): void {
    this.#queues.set(
      topic,
      Array.from({ length: queues }, () => []),
    )
  }

  put<T>(topic: Topic<T>, value: T, queue?: number): void {
    const key = topic.key?.(value)
    const queues = this.#queues.get(topic.name)!
    const target = queue ?? (key === undefined ? 0 : queueOfKey(key, queues.length))
    queues[target]!.push({ body: topic.value.serialize(value), key: key?.toString(), properties: {} })
    for (const wake of this.#waiting) wake()
  }

  read<T>(topic: Topic<T>): Received<T>[] {
    return (this.#queues.get(topic.name) ?? []).flat().map(({ body, properties }) => ({
      value: topic.value.deserialize(body),
      task: properties[StreamProperty.TASK]!,
      sequence: Number(properties[StreamProperty.SEQUENCE]),
      epoch: Number(properties[StreamProperty.EPOCH]),
    }))
  }

  raw(topic: string): readonly Stored[] {
    return this.#queues.get(topic)!.flat()
  }

  unblock(): void {
    this.isBlocked = false
    for (const go of this.#held.splice(0)) go()
  }

  /** Ports of one engine. `state` opens the durable state of a task. */
  ports(state: (task: string) => Promise<StateBackend>): EnginePorts & { kill(): void } {
    let isAlive = true
    let listener: QueueListener | undefined
    let joined: QueueIndex[] = []
    const never = new Promise<never>(() => {})
    const whileAlive = async <T>(value: T): Promise<T> => (isAlive ? value : never)
    return {
      kill() {
        isAlive = false
      },
      openState: async task => new KillableState(await state(task), () => isAlive),
      reader: {
        join: async (_, topics, to) => {
          listener = to
          joined = topics.flatMap(topic => this.#queues.get(topic)!.map((_, queue) => ({ topic, queue })))
          await to.assigned(joined)
        },
        pull: async (queue, offset, recordsMax, signal) =>
          whileAlive(await this.#pull(queue, offset, recordsMax, signal)),
        offsetAt: async ({ topic, queue }, position) =>
          whileAlive(position === 'first' ? 0 : this.#queues.get(topic)![queue]!.length),
        reported: async ({ topic, queue }) => whileAlive(this.reported.get(`${topic}/${queue}`)),
        report: ({ topic, queue }, offset) => {
          if (isAlive) this.reported.set(`${topic}/${queue}`, offset)
        },
        leave: async () => {
          if (isAlive) await listener?.revoked(joined)
        },
      },
      writer: {
        queueCount: async topic => this.#queues.get(topic)?.length,
        createTopic: async (topic, queues) => {
          this.created.push(topic)
          this.create(topic, queues)
        },
        send: async (queue, messages) => {
          if (!isAlive) return never
          await this.#send(queue, messages)
          return whileAlive(undefined)
        },
      },
    }
  }

  async #pull({ topic, queue }: QueueIndex, offset: number, recordsMax: number, signal: AbortSignal): Promise<Pulled> {
    const messages = this.#queues.get(topic)![queue]!
    if (messages.length <= offset) await this.#news(signal)
    const taken = messages.slice(offset, offset + recordsMax)
    if (!topic.endsWith('-repartition')) this.pulledCount += taken.length
    const records = taken.map(({ body, key, properties }, index) => ({
      offset: offset + index,
      body,
      key,
      timestamp: Number(properties[StreamProperty.TIME] ?? 0),
    }))
    return { records, nextOffset: offset + records.length, minOffset: 0, maxOffset: messages.length }
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel()
        this.#waiting.delete(end)
        signal.removeEventListener('abort', end)
        if (signal.aborted) reject(new MillraceError('ABORTED', 'the pull was given up'))
        else resolve()
      }
      const cancel = this.#environment.scheduler.after(POLL_MS, end, { unref: true })
      this.#waiting.add(end)
      signal.addEventListener('abort', end)
    })
  }

  async #send({ topic, queue }: QueueIndex, messages: readonly OutgoingMessage[]): Promise<void> {
    if (this.isBlocked) await new Promise<void>(resolve => this.#held.push(resolve))
    if (this.sendDelayMs > 0)
      await new Promise<void>(resolve => this.#environment.scheduler.after(this.sendDelayMs, resolve))
    if (this.failures > 0) {
      this.failures--
      throw new MillraceError('CONNECTION_LOST', 'the broker is away')
    }
    this.#queues.get(topic)![queue]!.push(...messages)
    if (!topic.endsWith('-repartition')) this.storedCount += messages.length
    for (const wake of this.#waiting) wake()
  }
}

/** After the kill a commit never ends and leaves nothing. */
class KillableState implements StateBackend {
  readonly #state: StateBackend
  readonly #isAlive: () => boolean

  constructor(state: StateBackend, isAlive: () => boolean) {
    this.#state = state
    this.#isAlive = isAlive
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#state.get(key)
  }

  range(from: Uint8Array, to: Uint8Array, limit: number) {
    return this.#state.range(from, to, limit)
  }

  commit(changes: readonly StateChange[]): Promise<void> {
    return this.#isAlive() ? this.#state.commit(changes) : new Promise(() => {})
  }

  close(): Promise<void> {
    return this.#state.close()
  }
}
