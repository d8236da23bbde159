import { type Cancel, type MessageQueue, MillraceError, retryTopic } from '@millrace/core'
import { Observable } from 'rxjs'
import type { ClientContext } from '../client-context.js'
import { ErrorReporter } from '../error-reporter.js'
import {
  COMMIT_INTERVAL_MS,
  CONSUMER_CONCURRENCY,
  LOCAL_RETRY_PAUSE_MS,
  LOCK_INTERVAL_MS,
  RECONSUME_TIMES_MAX,
} from '../limits.js'
import { Assignments, type AssignmentsOptions } from '../membership/assignments.js'
import { subscriptionOf } from '../membership/subscription.js'
import { servedConsumer } from '../served/served-consumer.js'
import type { ServedConsumer } from '../served/server-requests.js'
import type { Tracer } from '../trace/tracer.js'
import type { Delivery, PendingDelivery } from './delivery.js'
import { memoryOffsetStore, type OffsetStore } from './offset-store.js'
import { type PullResult, queueKey } from './pull.js'
import { QueueLocks } from './queue-locks.js'
import { QueueReader, type ReaderHost } from './queue-reader.js'
import type { ReceivedMessage } from './received-message.js'
import { sendBack } from './send-back.js'

/** How long a queue that is taken away waits for its running handlers, so that fewer messages come twice. */
const REVOKE_WAIT_MS = 1_000

export interface ConsumerOptions extends AssignmentsOptions {
  /** Handlers that run at a time, default 20. */
  readonly concurrency?: number | undefined
  /**
   * Handles the messages of a queue one after another, in order, and no other member does at the same time. A message
   * whose handler fails is tried again before the next one. Default false.
   */
  readonly isOrdered?: boolean | undefined
  /**
   * Drops messages that a Millrace pipeline has stored twice, which happens on Apache's brokers when the pipeline is killed. Only for topics
   * that pipelines write and nothing copies or reorders. It knows what it has read since it began: a repeat of what an earlier run
   * has read gets through. Default false.
   */
  readonly deduplicate?: boolean | undefined
  /** Writes a trace of every message that is handled to RMQ_SYS_TRACE_TOPIC, as official clients do. Default false. */
  readonly trace?: boolean | undefined
  /** Where a broadcasting consumer keeps its offsets. Default: in memory. */
  readonly offsetStore?: OffsetStore | undefined
  /** How long `close` waits for running handlers, default 10,000 ms. */
  readonly closeTimeoutMs?: number | undefined
  /** Closes the consumer when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

export type MessageHandler = (message: ReceivedMessage) => Promise<void> | void
export type BatchHandler = (messages: readonly ReceivedMessage[]) => Promise<void> | void

/**
 * Consumes topics as a member of a group: at least once each message, until its handler has succeeded.
 * A message whose handler throws or rejects comes again after 10 s, 30 s, 1 min … 2 h, and goes to `%DLQ%group` after
 * 16 times; a broadcasting consumer only reports the error. Each queue is fetched ahead up to 256 messages or 4 MiB of
 * bodies that are not settled; a slow handler therefore slows the fetching, not the process.
 *
 * Choose one of `run`, `runBatch`, `messages$` and `for await`; each can be started once.
 */
export class Consumer implements AsyncIterable<ReceivedMessage> {
  readonly #context: ClientContext
  readonly #options: ConsumerOptions
  readonly #assignments: Assignments
  readonly #isClustering: boolean
  readonly #store: OffsetStore
  readonly #locks: QueueLocks | undefined
  readonly #readers = new Map<string, QueueReader>()
  readonly #committed = new Map<string, number>()
  readonly #host: ReaderHost
  readonly #tracer: Tracer | undefined
  readonly #reporter: ErrorReporter
  #listed: QueueReader[] = []
  /** Handles one message out of line; undefined where the application takes them as a stream. */
  #direct: MessageHandler | undefined
  #handle: ((delivery: PendingDelivery) => void) | undefined
  #concurrency: number
  #batchMax = 1
  #running = 0
  #isPumping = false
  #closing: Promise<void> | undefined
  #endings: Cancel[] = []
  #onClose: () => void = () => {}

  /** @internal Made by `Client.consumer`. */
  constructor(context: ClientContext, options: ConsumerOptions) {
    this.#context = context
    this.#options = options
    this.#reporter = new ErrorReporter(context.environment.clock, options.onError)
    this.#tracer = options.trace ? context.tracer(options.group) : undefined
    this.#isClustering = options.model !== 'broadcasting'
    this.#store = options.offsetStore ?? memoryOffsetStore()
    this.#concurrency = options.concurrency ?? CONSUMER_CONCURRENCY
    this.#locks = options.isOrdered && this.#isClustering ? new QueueLocks(context, options.group) : undefined
    const retries = this.#isClustering
      ? [subscriptionOf(retryTopic(options.group), '*', context.environment.clock.now())]
      : []
    const listener = {
      assigned: (queues: readonly MessageQueue[]) => this.#assigned(queues),
      revoked: (queues: readonly MessageQueue[]) => this.#revoked(queues),
    }
    this.#assignments = new Assignments(context, options, listener, retries)
    this.#host = {
      environment: context.environment,
      startOffset: queue => this.#startOffset(queue),
      pull: (queue, offset, commitOffset, signal) => this.#pull(queue, offset, commitOffset, signal),
      acquire: queue => this.#acquire(queue),
      isHeld: queue => this.#locks?.isHeld(queue) ?? true,
      ready: reader => this.#ready(reader),
      report: error => this.#report(error),
      completed: (delivery, isConsumed) => this.#completed(delivery, isConsumed),
      dropped: ({ reader }) => this.#release(reader),
    }
  }

  get group(): string {
    return this.#options.group
  }

  /** The queues that this consumer has now, those of the group's retry topic included. */
  get queues(): readonly MessageQueue[] {
    return this.#assignments.queues
  }

  /**
   * Calls `handler` for each message. Resolves when this consumer is a member of its group; it then goes on until `close`.
   * @throws MillraceError INVALID_ARGUMENT when it runs already, or this client has another member of the group; CLOSED
   */
  run(handler: MessageHandler): Promise<void> {
    this.#direct ??= handler
    return this.#start(this.#concurrency, 1, delivery => this.#call(delivery, () => handler(delivery.message)))
  }

  /**
   * Calls `handler` with up to `max` messages of one queue; they succeed or fail together.
   * @throws as `run`
   */
  runBatch(handler: BatchHandler, options: { readonly max?: number } = {}): Promise<void> {
    const max = options.max ?? 32
    this.#direct ??= message => handler([message])
    return this.#start(this.#concurrency, max, delivery => this.#call(delivery, () => handler(delivery.messages)))
  }

  /**
   * The messages as a stream with manual acknowledgement. At most `unsettledMax` deliveries are out that have had neither
   * `ack` nor `retry`: settling one lets the next through, so that the speed is the subscriber's. What is not settled
   * when the stream ends comes again. Takes one subscriber; unsubscribing closes the consumer. The stream completes
   * when the consumer is closed and errors only when it cannot start.
   */
  messages$(options: { readonly unsettledMax?: number } = {}): Observable<Delivery> {
    return new Observable(subscriber => {
      this.#onClose = () => subscriber.complete()
      const start = this.#start(options.unsettledMax ?? 256, 1, delivery => subscriber.next(delivery))
      start.catch(error => subscriber.error(error))
      return () => void this.close()
    })
  }

  /**
   * The messages one by one. A message is acknowledged when the next one is asked for: one whose loop body throws, or
   * ends the loop, comes again. Ending the loop closes the consumer.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage, void, undefined> {
    let given: PendingDelivery | undefined
    const arrived: PendingDelivery[] = []
    let wake = (): void => {}
    this.#onClose = () => {
      wake()
    }
    try {
      await this.#start(1, 1, delivery => {
        arrived.push(delivery)
        wake()
      })
      while (!this.#closing) {
        given = arrived.shift()
        if (given) {
          yield given.message
          given.ack()
        } else {
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
      }
    } finally {
      given?.drop()
      for (const delivery of arrived) delivery.drop()
      await this.close()
    }
  }

  /**
   * Stops fetching, waits for running handlers, stores the offsets, gives locks back and leaves the group.
   * Messages that were fetched and not handled come again, to this group's other members or its next.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(concurrency: number, batchMax: number, handle: (delivery: PendingDelivery) => void): Promise<void> {
    if (this.#closing)
      throw new MillraceError('CLOSED', `the consumer of group "${this.group}" is closed; make a new one`)
    if (this.#handle)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `the consumer of group "${this.group}" runs already; make another client for a second one`,
      )
    const { signal } = this.#options
    signal?.throwIfAborted()
    this.#handle = handle
    this.#context.open.add(this)
    this.#endings.push(this.#context.served.serve(this.group, this.#served()))
    this.#concurrency = concurrency
    this.#batchMax = batchMax
    const onAbort = (): void => void this.close()
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#endings.push(() => signal?.removeEventListener('abort', onAbort))
    this.#every(COMMIT_INTERVAL_MS, () => this.#commitAll())
    if (this.#locks) this.#every(LOCK_INTERVAL_MS, () => this.#renewLocks())
    try {
      await this.#assignments.join()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  #served(): ServedConsumer {
    return servedConsumer({
      clock: this.#context.environment.clock,
      isOrdered: this.#options.isOrdered ?? false,
      startedAt: this.#context.environment.clock.now(),
      concurrency: this.#concurrency,
      nameservers: this.#context.nameservers.addresses,
      readers: this.#readers,
      subscriptions: () => this.#assignments.subscriptions,
      isLocked: queue => this.#locks?.isHeld(queue) ?? false,
      handler: this.#direct,
      commit: () => void this.#commitAll().catch(error => this.#report(error)),
    })
  }

  async #close(): Promise<void> {
    for (const end of this.#endings) end()
    for (const reader of this.#readers.values()) reader.stop()
    this.#listed = []
    const timeoutMs = this.#options.closeTimeoutMs ?? 10_000
    await Promise.all([...this.#readers.values()].map(reader => reader.idle(timeoutMs)))
    await this.#assignments.close()
    this.#context.open.delete(this)
    this.#onClose()
  }

  #assigned(queues: readonly MessageQueue[]): void {
    if (this.#closing) return
    for (const queue of queues) {
      const reader = new QueueReader(this.#host, queue, this.#options.deduplicate ?? false)
      this.#readers.set(queueKey(queue), reader)
      reader.start()
    }
  }

  async #revoked(queues: readonly MessageQueue[]): Promise<void> {
    await Promise.all(
      queues.map(async queue => {
        const key = queueKey(queue)
        const reader = this.#readers.get(key)
        this.#readers.delete(key)
        if (!reader) return
        reader.stop()
        if (!this.#closing) await reader.idle(REVOKE_WAIT_MS)
        const offset = reader.commitOffset
        if (offset === undefined) return
        try {
          if (this.#isClustering) await this.#assignments.commit(queue, offset)
          else await this.#store.save(this.group, queue, offset)
        } catch (error) {
          this.#report(error)
        }
        this.#committed.delete(key)
      }),
    )
    this.#locks?.unlock(queues)
  }

  async #startOffset(queue: MessageQueue): Promise<number> {
    if (this.#isClustering) return this.#assignments.startOffset(queue)
    return (
      (await this.#store.load(this.group, queue)) ?? this.#assignments.offsets.at(queue, this.#options.from ?? 'last')
    )
  }

  #pull(queue: MessageQueue, offset: number, commitOffset: number, signal: AbortSignal): Promise<PullResult> {
    // Offset 0 is where a group without a stored offset might begin anyway; storing it would override `from`.
    const commit = this.#isClustering && commitOffset > 0 ? commitOffset : undefined
    return this.#assignments.pull(queue, offset, { signal, commitOffset: commit })
  }

  async #acquire(queue: MessageQueue): Promise<boolean> {
    if (!this.#locks) return true
    await this.#locks.lock([queue])
    return this.#locks.isHeld(queue)
  }

  async #renewLocks(): Promise<void> {
    // A lock that was lost is taken again by the queue's reader, which then begins at the stored offset.
    const held = [...this.#readers.values()].filter(reader => this.#host.isHeld(reader.queue))
    await this.#locks?.lock(held.map(reader => reader.queue))
  }

  #ready(reader: QueueReader): void {
    if (!reader.isListed) {
      reader.isListed = true
      this.#listed.push(reader)
    }
    this.#pump()
  }

  /** Hands messages out, a delivery of each queue in turn, while handlers are free. */
  #pump(): void {
    // A handler that ends at once comes back here: the loop below goes on, the stack does not grow.
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#running < this.#concurrency && this.#listed.length > 0) {
      const reader = this.#listed.shift() as QueueReader
      reader.isListed = false
      if (!this.#mayTake(reader)) continue
      this.#running++
      const delivery = reader.take(this.#batchMax)
      if (!this.#options.isOrdered && reader.hasMessages) this.#ready(reader)
      this.#tracer?.taken(delivery)
      this.#handle?.(delivery)
    }
    this.#isPumping = false
  }

  #mayTake(reader: QueueReader): boolean {
    if (!reader.hasMessages) return false
    // An ordered reader comes back when its handler ends, or when its lock is back.
    return !this.#options.isOrdered || (!reader.isBusy && this.#host.isHeld(reader.queue))
  }

  #call(delivery: PendingDelivery, handler: () => Promise<void> | void): void {
    const failed = (error: unknown): void => {
      this.#report(error)
      delivery.retry()
    }
    try {
      const result = handler()
      if (result === undefined) delivery.ack()
      else result.then(() => delivery.ack(), failed)
    } catch (error) {
      failed(error)
    }
  }

  #completed(delivery: PendingDelivery, isConsumed: boolean): void {
    const { reader } = delivery
    this.#tracer?.settled(delivery, isConsumed)
    if (isConsumed || !this.#isClustering) reader.finish(delivery)
    else {
      if (this.#options.isOrdered) reader.block(delivery)
      if (this.#options.isOrdered && delivery.attempts < RECONSUME_TIMES_MAX) this.#tryAgain(delivery)
      else void this.#sendBack(delivery)
    }
    this.#release(reader)
  }

  #release(reader: QueueReader): void {
    this.#running--
    reader.released()
    if (reader.hasMessages) this.#ready(reader)
    else this.#pump()
  }

  async #sendBack(delivery: PendingDelivery): Promise<void> {
    try {
      for (const message of delivery.messages) await sendBack(this.#context, this.group, message)
      delivery.reader.finish(delivery)
      if (delivery.reader.hasMessages) this.#ready(delivery.reader)
    } catch (error) {
      this.#report(error)
      this.#tryAgain(delivery)
    }
  }

  #tryAgain(delivery: PendingDelivery): void {
    this.#context.environment.scheduler.after(LOCAL_RETRY_PAUSE_MS, () => delivery.reader.redeliver(delivery))
  }

  async #commitAll(): Promise<void> {
    for (const [key, reader] of this.#readers) {
      const offset = reader.commitOffset
      if (offset === undefined || this.#committed.get(key) === offset) continue
      this.#committed.set(key, offset)
      if (this.#isClustering) this.#assignments.offsets.commitOneWay(this.group, reader.queue, offset)
      else await this.#store.save(this.group, reader.queue, offset)
    }
  }

  #every(intervalMs: number, work: () => Promise<void>): void {
    const { scheduler } = this.#context.environment
    let cancel: Cancel
    const schedule = (): void => {
      cancel = scheduler.after(
        intervalMs,
        () =>
          void work()
            .catch(error => this.#report(error))
            .then(rearm),
        { unref: true },
      )
    }
    const rearm = (): void => {
      if (!this.#closing) schedule()
    }
    this.#endings.push(() => cancel())
    schedule()
  }

  #report(error: unknown): void {
    this.#reporter.report(error)
  }
}
