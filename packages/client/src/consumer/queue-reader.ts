import type { Environment, MessageQueue } from '@millrace/core'
import { PREFETCH_BYTES, PREFETCH_MESSAGES, PULL_RETRY_PAUSE_MS } from '../limits.js'
import { pause } from '../pause.js'
import { type DeliverySink, PendingDelivery } from './delivery.js'
import { OffsetWindow } from './offset-window.js'
import type { PullResult } from './pull.js'
import type { ReceivedMessage } from './received-message.js'
import { Repeats } from './repeats.js'

/** What a reader needs of its consumer. */
export interface ReaderHost extends DeliverySink {
  readonly environment: Environment
  /** Where to begin. */
  startOffset(queue: MessageQueue): Promise<number>
  pull(queue: MessageQueue, offset: number, commitOffset: number, signal: AbortSignal): Promise<PullResult>
  /** True when the queue may be consumed now; an ordered consumer asks for the queue's lock first. */
  acquire(queue: MessageQueue): Promise<boolean>
  isHeld(queue: MessageQueue): boolean
  /** There are messages to hand out. */
  ready(reader: QueueReader): void
  report(error: unknown): void
}

interface Buffered {
  readonly message: ReceivedMessage
  readonly ticket: number
}

/**
 * Fetches the messages of one queue ahead of the handlers, within bounds on messages and bytes.
 *
 * States: starting (no window) → reading → stopped. A reset (the broker moved the offset, or the lock was lost) drops
 * what is buffered and begins a new window; deliveries of the old one still end, and count for nothing.
 */
export class QueueReader {
  readonly queue: MessageQueue
  /** In the consumer's list of readers with something to hand out. */
  isListed = false
  readonly #host: ReaderHost
  readonly #stopping = new AbortController()
  readonly #deduplicate: boolean
  #repeats: Repeats | undefined
  /** Ends the pull under way. */
  #pulling = new AbortController()
  #window: OffsetWindow | undefined
  #buffer: Buffered[] = []
  #head = 0
  /** Deliveries to hand out once more, before anything buffered. */
  #again: PendingDelivery[] = []
  #unfinishedBytes = 0
  #running = 0
  /** Nothing is handed out until a delivery that failed has been settled: the order is kept. */
  #isBlocked = false
  #wakeLoop: (() => void) | undefined
  #wakeIdle: (() => void) | undefined

  /** @param deduplicate  drops what a pipeline has sent twice. */
  constructor(host: ReaderHost, queue: MessageQueue, deduplicate = false) {
    this.#host = host
    this.queue = queue
    this.#deduplicate = deduplicate
  }

  /** Where the group would continue; undefined until the first offset is known. */
  get commitOffset(): number | undefined {
    return this.#window?.commitOffset
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted
  }

  /** True when `take` would hand something out. */
  get hasMessages(): boolean {
    return !this.isStopped && !this.#isBlocked && (this.#again.length > 0 || this.#head < this.#buffer.length)
  }

  /** True while a handler has messages of this queue. */
  get isBusy(): boolean {
    return this.#running > 0
  }

  start(): void {
    void this.#run()
  }

  /** Stops fetching and drops what no handler has begun. */
  stop(): void {
    this.#stopping.abort()
    this.#pulling.abort()
    this.#buffer = []
    this.#again = []
    this.#head = 0
    this.#wakeLoop?.()
  }

  /** Messages fetched that are not settled. */
  get unsettledCount(): number {
    return this.#window?.inFlight ?? 0
  }

  /** Goes on at `offset`; what was fetched before is dropped, what handlers have begun counts for nothing. */
  moveTo(offset: number): void {
    if (this.isStopped || this.#window === undefined) return
    this.#reset(offset)
    this.#pulling.abort()
    this.#pulling = new AbortController()
    this.#wakeLoop?.()
  }

  /** Resolves when no handler works on this queue, or `timeoutMs` has passed. */
  async idle(timeoutMs: number): Promise<void> {
    if (!this.isBusy) return
    const over = new AbortController()
    this.#wakeIdle = () => over.abort()
    await pause(this.#host.environment, timeoutMs, over.signal)
  }

  /** Hands out up to `max` messages. Call only when `hasMessages`. */
  take(max: number): PendingDelivery {
    this.#running++
    const again = this.#again.shift()
    if (again) return again
    const taken = this.#buffer.slice(this.#head, this.#head + max)
    this.#head += taken.length
    if (this.#head === this.#buffer.length) {
      this.#buffer = []
      this.#head = 0
    }
    const messages = taken.map(entry => entry.message)
    const tickets = taken.map(entry => entry.ticket)
    return new PendingDelivery(this.#host, this, this.#window as OffsetWindow, { messages, tickets })
  }

  /** A handler is done with a delivery, whatever comes of it. */
  released(): void {
    this.#running--
    if (this.#running > 0) return
    this.#wakeIdle?.()
    this.#wakeIdle = undefined
  }

  /** Hands nothing out until a delivery of this window is finished or handed out again. */
  block(delivery: PendingDelivery): void {
    this.#isBlocked = delivery.window === this.#window
  }

  /** The messages of a delivery need no more work. */
  finish(delivery: PendingDelivery): void {
    for (const ticket of delivery.tickets) delivery.window.finish(ticket)
    if (delivery.window !== this.#window) return
    this.#isBlocked = false
    for (const message of delivery.messages) this.#unfinishedBytes -= message.storedBodyBytes
    if (this.#hasRoom) this.#wakeLoop?.()
  }

  /** Hands a delivery out once more, unless the queue was reset or stopped meanwhile. */
  redeliver(delivery: PendingDelivery): void {
    if (this.isStopped || delivery.window !== this.#window) return
    this.#isBlocked = false
    delivery.reopen()
    this.#again.push(delivery)
    this.#host.ready(this)
  }

  get #hasRoom(): boolean {
    const inFlight = this.#window?.inFlight ?? 0
    return inFlight < PREFETCH_MESSAGES && this.#unfinishedBytes < PREFETCH_BYTES
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#step(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#host.report(error)
        await pause(this.#host.environment, PULL_RETRY_PAUSE_MS, signal)
      }
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    if (!this.#window || !this.#host.isHeld(this.queue)) {
      if (!(await this.#host.acquire(this.queue))) {
        await pause(this.#host.environment, PULL_RETRY_PAUSE_MS, signal)
        return
      }
      this.#reset(await this.#host.startOffset(this.queue))
    }
    if (!this.#hasRoom) {
      await new Promise<void>(resolve => {
        this.#wakeLoop = resolve
        if (signal.aborted) resolve()
      })
      this.#wakeLoop = undefined
      return
    }
    const window = this.#window as OffsetWindow
    let result: PullResult
    try {
      result = await this.#host.pull(this.queue, window.nextOffset, window.commitOffset, this.#pulling.signal)
    } catch (error) {
      if (window !== this.#window) return
      throw error
    }
    // Stopped, or moved elsewhere meanwhile.
    if (signal.aborted || window !== this.#window) return
    if (result.status === 'offset-moved') this.#reset(result.nextOffset)
    else this.#accept(window, result)
  }

  #accept(window: OffsetWindow, result: PullResult): void {
    for (const message of result.messages) {
      const ticket = window.add(message.queueOffset)
      if (this.#repeats?.isRepeat(message) === true) {
        window.finish(ticket)
        continue
      }
      this.#buffer.push({ message, ticket })
      this.#unfinishedBytes += message.storedBodyBytes
    }
    window.advance(result.nextOffset)
    if (result.messages.length > 0) this.#host.ready(this)
  }

  #reset(offset: number): void {
    this.#window = new OffsetWindow(offset)
    this.#repeats = this.#deduplicate ? new Repeats() : undefined
    this.#buffer = []
    this.#again = []
    this.#head = 0
    this.#unfinishedBytes = 0
    this.#isBlocked = false
  }
}
