import { type MessageQueue, MillraceError, type SubscriptionData, validateGroup } from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import { PULL_MESSAGES_MAX } from '../limits.js'
import { subscriptionOf, type TopicFilter } from '../membership/subscription.js'
import { type PullResult, pull } from './pull.js'
import { QueueOffsets } from './queue-offsets.js'

export interface PullConsumerOptions {
  /** Under whose name messages are pulled and offsets are stored. */
  readonly group: string
}

export interface PullOptions {
  readonly queue: MessageQueue
  /** The first offset to read. */
  readonly offset: number
  /** At most this many messages, default 32; the broker may give fewer. */
  readonly max?: number | undefined
  /** How long the broker may wait for a message when there is none. Default 0: it answers at once. */
  readonly suspendMs?: number | undefined
  /** Default `*`. */
  readonly filter?: TopicFilter | undefined
  readonly signal?: AbortSignal | undefined
}

/** Reads queues at the caller's will: which queue, from where, how far. Calls may overlap. */
export class PullConsumer {
  readonly group: string
  /** First, last and by-time offsets of queues. */
  readonly offsets: QueueOffsets
  readonly #context: ClientContext

  /** @internal Made by `Client.pullConsumer`. */
  constructor(context: ClientContext, { group }: PullConsumerOptions) {
    const valid = validateGroup(group)
    if (!valid.ok) throw new MillraceError('INVALID_ARGUMENT', valid.reason)
    this.group = group
    this.offsets = new QueueOffsets(context)
    this.#context = context
  }

  /** The queues of a topic that can be read now. @throws MillraceError TOPIC_NOT_FOUND, CONNECT_FAILED */
  async queues(topic: string): Promise<readonly MessageQueue[]> {
    return (await this.#context.routes.route(topic)).readQueues
  }

  /**
   * Pulls messages of a queue.
   * @throws RequestError; MillraceError TIMEOUT | CONNECT_FAILED | CONNECTION_LOST | ABORTED | PROTOCOL
   */
  async pull({ queue, offset, max, suspendMs, filter, signal }: PullOptions): Promise<PullResult> {
    await this.#context.routes.route(queue.topic)
    return pull(this.#context, {
      group: this.group,
      queue,
      offset,
      max: max ?? PULL_MESSAGES_MAX,
      suspendMs: suspendMs ?? 0,
      subscription: this.#subscription(queue.topic, filter),
      signal,
    })
  }

  /** Next offset that the group consumes; undefined when it has stored none. */
  committed(queue: MessageQueue): Promise<number | undefined> {
    return this.offsets.committed(this.group, queue)
  }

  /** Stores the next offset that the group consumes. Resolves when the broker has it. */
  commit(queue: MessageQueue, offset: number): Promise<void> {
    return this.offsets.commit(this.group, queue, offset)
  }

  #subscription(topic: string, filter: TopicFilter = '*'): SubscriptionData {
    return subscriptionOf(topic, filter, this.#context.environment.clock.now())
  }
}
