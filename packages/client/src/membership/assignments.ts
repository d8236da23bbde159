import {
  allocateQueues,
  type Cancel,
  decodeConsumerIds,
  type MessageQueue,
  MillraceError,
  RequestCode,
  ResponseCode,
  type SubscriptionData,
  validateGroup,
} from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import { type PullResult, pull, queueKey } from '../consumer/pull.js'
import { QueueOffsets, type StartPosition } from '../consumer/queue-offsets.js'
import { ErrorReporter } from '../error-reporter.js'
import { PULL_MESSAGES_MAX, PULL_SUSPEND_MS, REBALANCE_INTERVAL_MS } from '../limits.js'
import { subscriptionsOf, type Topics } from './subscription.js'

/** Pause before a rebalance that could not be completed, or whose topic does not exist yet, is tried again. */
const REBALANCE_RETRY_MS = 1_000

export interface AssignmentsOptions {
  readonly group: string
  readonly topics: Topics
  /** `clustering` (default): the members of the group share the queues. `broadcasting`: each has all of them. */
  readonly model?: 'clustering' | 'broadcasting' | undefined
  /** Where the group begins in a queue for which it has no offset. Default `last`. */
  readonly from?: StartPosition | undefined
  /** Hears of failures that are tried again, such as a broker that is away. Default: a process warning. */
  readonly onError?: ((error: Error) => void) | undefined
}

/**
 * Hears which queues this member has. Calls never overlap; the next waits for the promise of the last.
 * Queues are revoked before others are assigned. Another member may begin to read a queue before its revocation has
 * been handled here: a record can be seen twice around a rebalance, never lost.
 */
export interface AssignmentListener {
  assigned(queues: readonly MessageQueue[]): void | Promise<void>
  revoked(queues: readonly MessageQueue[]): void | Promise<void>
}

export interface AssignedPullOptions {
  /** At most this many messages, default 32. */
  readonly max?: number | undefined
  /** How long the broker may wait for a message, default 15,000 ms; 0 asks for an answer at once. */
  readonly suspendMs?: number | undefined
  /** Stores this offset of the group on the way, without a request of its own. */
  readonly commitOffset?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Membership in a consumer group without a consumer: which queues are ours, and the calls to read them and to store
 * offsets at the caller's will. Queues are shared by RocketMQ's AVG strategy, every 20 s and at once when a broker
 * tells of a change. behaviour.md §3
 */
export class Assignments {
  readonly offsets: QueueOffsets
  readonly #context: ClientContext
  readonly #options: AssignmentsOptions
  readonly #listener: AssignmentListener
  readonly #reporter: ErrorReporter
  readonly #subscriptions: ReadonlyMap<string, SubscriptionData>
  /** By queue key. */
  readonly #queues = new Map<string, MessageQueue>()
  readonly #brokerIds = new Map<string, number>()
  #endings: (() => void)[] = []
  #cancelTimer: Cancel | undefined
  #running: Promise<void> | undefined
  #isAgainDue = false
  #isMember = false
  #isClosed = false

  /** @internal Made by `Client.assignments`. */
  constructor(
    context: ClientContext,
    options: AssignmentsOptions,
    listener: AssignmentListener,
    extraSubscriptions: readonly SubscriptionData[] = [],
  ) {
    const valid = validateGroup(options.group)
    if (!valid.ok) throw new MillraceError('INVALID_ARGUMENT', valid.reason)
    this.#context = context
    this.#options = options
    this.#listener = listener
    this.#reporter = new ErrorReporter(context.environment.clock, options.onError)
    this.offsets = new QueueOffsets(context)
    const subscriptions = [...subscriptionsOf(options.topics, context.environment.clock.now()), ...extraSubscriptions]
    this.#subscriptions = new Map(subscriptions.map(subscription => [subscription.topic, subscription]))
  }

  get group(): string {
    return this.#options.group
  }

  get subscriptions(): readonly SubscriptionData[] {
    return [...this.#subscriptions.values()]
  }

  /** The queues of this member now. */
  get queues(): readonly MessageQueue[] {
    return [...this.#queues.values()]
  }

  /** Joins the group. Resolves when every broker in reach knows of this member and the first queues were assigned. @internal */
  async join(): Promise<void> {
    const { group } = this.#options
    const registration = {
      group,
      messageModel: this.#options.model === 'broadcasting' ? 'BROADCASTING' : 'CLUSTERING',
      consumeFromWhere: consumeFromWhere(this.#options.from ?? 'last'),
      subscriptions: [...this.#subscriptions.values()],
    } as const
    if (!this.#context.heartbeats.addConsumer(registration))
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `this client is already a member of group "${group}"; use another client for a second member`,
      )
    this.#isMember = true
    this.#endings = [
      this.#context.served.onMembersChanged(group, () => void this.rebalance()),
      this.#context.routes.onChange(route => {
        if (!this.#isClosed && this.#subscriptions.has(route.topic)) void this.#announceAndRebalance()
      }),
    ]
    await this.#loadRoutes()
    await this.#announceAndRebalance()
  }

  /** Computes the queues anew. Calls at the same time share one run. Resolves when the listener has heard of all changes. */
  rebalance(): Promise<void> {
    this.#isAgainDue = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /**
   * Pulls messages from a queue, with the filter of its topic.
   * @throws RequestError; MillraceError TIMEOUT | CONNECT_FAILED | CONNECTION_LOST | ABORTED
   */
  async pull(queue: MessageQueue, offset: number, options: AssignedPullOptions = {}): Promise<PullResult> {
    const subscription = this.#subscriptions.get(queue.topic)
    if (!subscription)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `group "${this.group}" does not subscribe to topic "${queue.topic}" here; name it in topics`,
      )
    const key = queueKey(queue)
    const result = await pull(this.#context, {
      group: this.group,
      queue,
      offset,
      max: options.max ?? PULL_MESSAGES_MAX,
      suspendMs: options.suspendMs ?? PULL_SUSPEND_MS,
      subscription,
      commitOffset: options.commitOffset,
      brokerId: this.#brokerIds.get(key) ?? 0,
      signal: options.signal,
    })
    this.#brokerIds.set(key, result.suggestedBrokerId)
    return result
  }

  /** Where to begin in a queue: the group's committed offset, else by `from`. */
  startOffset(queue: MessageQueue): Promise<number> {
    // A retry topic holds only this group's own messages: none of them may be skipped.
    const from = queue.topic.startsWith('%RETRY%') ? 'first' : (this.#options.from ?? 'last')
    return this.offsets.start(this.group, queue, from)
  }

  /** Stores the next offset to consume of a queue. Resolves when the broker has it. */
  commit(queue: MessageQueue, nextOffset: number): Promise<void> {
    return this.offsets.commit(this.group, queue, nextOffset)
  }

  /** Leaves the group: revokes every queue, then tells the brokers, so that other members take over. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelTimer?.()
    for (const end of this.#endings) end()
    await this.#running
    const queues = this.queues
    this.#queues.clear()
    if (queues.length > 0) await this.#tell(() => this.#listener.revoked(queues))
    if (this.#isMember) await this.#context.heartbeats.removeConsumer(this.group)
    this.#context.open.delete(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #announceAndRebalance(): Promise<void> {
    await this.#context.heartbeats.beat()
    // Brokers make the retry topic when they hear of the group: its route may not have existed before.
    await this.#loadRoutes()
    await this.rebalance()
  }

  /** Reads the routes that are not known yet. True when all are. */
  async #loadRoutes(): Promise<boolean> {
    const missing = [...this.#subscriptions.keys()].filter(topic => !this.#context.routes.get(topic))
    const results = await Promise.all(
      missing.map(topic =>
        this.#context.routes.load(topic).then(
          () => true,
          error => {
            const isMissing = error instanceof MillraceError && error.code === 'TOPIC_NOT_FOUND'
            if (!isMissing) this.#report(error)
            return false
          },
        ),
      ),
    )
    return results.every(isKnown => isKnown)
  }

  async #run(): Promise<void> {
    let isComplete = true
    while (this.#isAgainDue && !this.#isClosed) {
      this.#isAgainDue = false
      this.#cancelTimer?.()
      isComplete = await this.#loadRoutes()
      const wanted = new Map<string, MessageQueue>()
      for (const topic of this.#subscriptions.keys()) {
        const queues = await this.#queuesOf(topic)
        if (!queues) isComplete = false
        for (const queue of queues ?? this.queues.filter(held => held.topic === topic))
          wanted.set(queueKey(queue), queue)
      }
      if (!this.#isClosed) await this.#apply(wanted)
    }
    if (this.#isClosed) return
    const delayMs = isComplete ? REBALANCE_INTERVAL_MS : REBALANCE_RETRY_MS
    this.#cancelTimer = this.#context.environment.scheduler.after(delayMs, () => void this.rebalance(), { unref: true })
  }

  /** Our share of a topic; undefined when it cannot be told now, so that what we have stays ours. */
  async #queuesOf(topic: string): Promise<readonly MessageQueue[] | undefined> {
    const { environment, routes, clientId, heartbeats } = this.#context
    const route = routes.get(topic)
    if (!route) return undefined
    if (this.#options.model === 'broadcasting') return route.readQueues
    const brokers = [...route.brokers.keys()]
    const brokerName = brokers[environment.random.int(Math.max(1, brokers.length))]
    const address = brokerName === undefined ? undefined : routes.addressOf(brokerName)
    if (address === undefined) return undefined
    const members = await this.#members(address)
    if (!members?.includes(clientId)) {
      // This broker does not know us (it restarted, or our connection to it is new): the next round will be right.
      await heartbeats.beatTo(address)
      return undefined
    }
    return allocateQueues('AVG', clientId, members, route.readQueues)
  }

  async #members(address: string): Promise<readonly string[] | undefined> {
    const request = { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP, fields: { consumerGroup: this.group } }
    try {
      const answer = await this.#context.pool.request(address, request)
      if (answer.code !== ResponseCode.SUCCESS) return undefined
      const ids = decodeConsumerIds(answer.body)
      return ids.ok ? ids.value : undefined
    } catch (error) {
      this.#report(error)
      return undefined
    }
  }

  async #apply(wanted: ReadonlyMap<string, MessageQueue>): Promise<void> {
    const revoked = [...this.#queues].filter(([key]) => !wanted.has(key))
    const assigned = [...wanted].filter(([key]) => !this.#queues.has(key))
    for (const [key] of revoked) {
      this.#queues.delete(key)
      this.#brokerIds.delete(key)
    }
    for (const [key, queue] of assigned) this.#queues.set(key, queue)
    if (revoked.length > 0) await this.#tell(() => this.#listener.revoked(revoked.map(([, queue]) => queue)))
    if (assigned.length > 0) await this.#tell(() => this.#listener.assigned(assigned.map(([, queue]) => queue)))
  }

  async #tell(call: () => void | Promise<void>): Promise<void> {
    try {
      await call()
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    if (this.#isClosed) return
    this.#reporter.report(error)
  }
}

function consumeFromWhere(from: StartPosition) {
  if (from === 'first') return 'CONSUME_FROM_FIRST_OFFSET'
  return from === 'last' ? 'CONSUME_FROM_LAST_OFFSET' : 'CONSUME_FROM_TIMESTAMP'
}
