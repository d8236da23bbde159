import { type ExtraInfo, MillraceError, validateGroup } from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import { POP_INVISIBLE_MS, POP_SHARED_POLL_MS, PULL_MESSAGES_MAX, PULL_SUSPEND_MS } from '../limits.js'
import { subscriptionOf, type TopicFilter } from '../membership/subscription.js'
import { acknowledge, changeInvisible, type PoppedParts, pop } from './pop.js'
import type { ReceivedMessage } from './received-message.js'

export interface PopConsumerOptions {
  /** The group whose members share the messages. */
  readonly group: string
}

export interface PopOptions {
  readonly topic: string
  /** At most this many messages, 1 to 32, default 32. */
  readonly max?: number | undefined
  /** How long the messages stay invisible to the rest of the group unless they are settled, default 60,000 ms. */
  readonly invisibleMs?: number | undefined
  /** How long the brokers may wait for a message when there is none, default 15,000 ms; 0 asks for an answer at once. */
  readonly pollMs?: number | undefined
  /** Default `*`. */
  readonly filter?: TopicFilter | undefined
  /** Each queue's messages in order: nothing more comes of a queue while something of it is out. Default false. */
  readonly isOrdered?: boolean | undefined
  /** Where a group without an offset begins, default 'last'; brokers take 'first' for a topic that is young. */
  readonly from?: 'first' | 'last' | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Takes messages from brokers that keep track of them: no queues are assigned, any number of consumers share a topic, and
 * each message that is not acknowledged in time comes again to somebody. Calls may overlap.
 *
 * ```ts
 * const consumer = client.popConsumer({ group: 'workers' })
 * for (const popped of await consumer.pop({ topic: 'jobs', invisibleMs: 30_000 })) {
 *   await work(popped.message.body)
 *   await popped.ack()
 * }
 * ```
 */
export class PopConsumer {
  readonly group: string
  readonly #context: ClientContext
  #turn = 0

  /** @internal Made by `Client.popConsumer`. */
  constructor(context: ClientContext, { group }: PopConsumerOptions) {
    const valid = validateGroup(group)
    if (!valid.ok) throw new MillraceError('INVALID_ARGUMENT', valid.reason)
    this.group = group
    this.#context = context
  }

  /**
   * Pops messages of a topic; none when nothing came in time.
   * @throws RequestError; MillraceError TOPIC_NOT_FOUND | TIMEOUT | CONNECT_FAILED | CONNECTION_LOST | ABORTED | PROTOCOL
   */
  async pop(options: PopOptions): Promise<PoppedMessage[]> {
    const { topic } = options
    const { clock } = this.#context.environment
    const { readQueues } = await this.#context.routes.route(topic)
    const brokers = [...new Set(readQueues.map(({ brokerName }) => brokerName))]
    const pollMs = options.pollMs ?? PULL_SUSPEND_MS
    const deadlineMs = clock.monotonic() + pollMs
    // Brokers have their turns; with several of them nobody waits for one alone.
    for (let i = 0; brokers.length > 0; i++) {
      const leftMs = Math.max(0, Math.ceil(deadlineMs - clock.monotonic()))
      if (i >= brokers.length && leftMs === 0) break
      const brokerName = brokers[this.#turn++ % brokers.length]!
      const found = await pop(this.#context, {
        group: this.group,
        topic,
        brokerName,
        max: options.max ?? PULL_MESSAGES_MAX,
        invisibleMs: options.invisibleMs ?? POP_INVISIBLE_MS,
        pollMs: brokers.length === 1 ? leftMs : Math.min(leftMs, POP_SHARED_POLL_MS),
        isOrdered: options.isOrdered ?? false,
        from: options.from ?? 'last',
        subscription: subscriptionOf(topic, options.filter ?? '*', clock.now()),
        signal: options.signal,
      })
      if (found.length > 0) return found.map(parts => new PoppedMessage(this.#context, this.group, topic, parts))
      if (brokers.length === 1) break
    }
    return []
  }
}

/** A message that was popped, to be settled by `ack` or `retry` before its invisible time is over. */
export class PoppedMessage {
  readonly message: ReceivedMessage
  /** How often it was handed out before and not acknowledged. */
  readonly reconsumeTimes: number
  readonly #context: ClientContext
  readonly #group: string
  readonly #topic: string
  #handle: ExtraInfo

  /** @internal Made by `PopConsumer.pop`. */
  constructor(context: ClientContext, group: string, topic: string, { handle, message, reconsumeTimes }: PoppedParts) {
    this.message = message
    this.reconsumeTimes = reconsumeTimes
    this.#context = context
    this.#group = group
    this.#topic = topic
    this.#handle = handle
  }

  /** Milliseconds since the epoch, by the broker's clock: when the message is visible again if it is not settled. */
  get visibleAt(): number {
    return this.#handle.popTime + this.#handle.invisibleTime
  }

  /** It is consumed and does not come again. Without effect when its time was over. @throws as `PopConsumer.pop` */
  ack(): Promise<void> {
    return acknowledge(this.#context, this.#group, this.#topic, this.#handle)
  }

  /** It could not be consumed: it comes again in `delayMs`, default at once, to any member of the group. @throws as `PopConsumer.pop` */
  retry(delayMs = 0): Promise<void> {
    return this.extend(delayMs)
  }

  /** Keeps it invisible for `invisibleMs` from now on. @throws as `PopConsumer.pop` */
  async extend(invisibleMs: number): Promise<void> {
    this.#handle = await changeInvisible(this.#context, this.#group, this.#topic, this.#handle, invisibleMs)
  }
}
