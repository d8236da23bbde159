import { setTimeout as sleep } from 'node:timers/promises'
import type { AssignmentListener, Assignments, ReceivedMessage } from '@millrace/client'
import { type MessageQueue, MillraceError } from '@millrace/core'

export interface QueueReadersOptions {
  /** True: waits for more at the end of a queue. False: each queue ends where it ended when its reader began. */
  readonly isFollowing: boolean
  /** Ends all readers. */
  readonly signal: AbortSignal
  /** Where the reader of a queue begins. */
  readonly start: (assignments: Assignments, queue: MessageQueue) => Promise<number>
  /** Takes messages of one queue in order, says how many it took, and may end everything by `done`. */
  readonly onMessages: (messages: readonly ReceivedMessage[], done: () => void) => number
  readonly isCommitting: boolean
  /** Hears how long each pull took. */
  readonly onPulled?: (latencyMs: number) => void
}

/** Pause after a pull that failed. */
const RETRY_PAUSE_MS = 1000

/** Reads every queue that is assigned, one pull at a time each, until told to end. */
export class QueueReaders implements AssignmentListener {
  readonly #options: QueueReadersOptions
  readonly #stops = new Map<string, AbortController>()
  readonly #ending = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #assignments: Assignments | undefined
  #waiting: MessageQueue[] = []
  #failure: unknown

  constructor(options: QueueReadersOptions) {
    this.#options = options
  }

  assigned(queues: readonly MessageQueue[]): void {
    if (this.#assignments) for (const queue of queues) this.#read(this.#assignments, queue)
    else this.#waiting.push(...queues)
  }

  revoked(queues: readonly MessageQueue[]): void {
    for (const queue of queues) this.#stops.get(keyOf(queue))?.abort()
    this.#waiting = this.#waiting.filter(waiting => !queues.some(queue => keyOf(queue) === keyOf(waiting)))
  }

  /** Resolves when everything was read (without following), when `done` was called, or when the signal was aborted. */
  async run(assignments: Assignments): Promise<void> {
    const { signal, isFollowing } = this.#options
    const end = (): void => this.#ending.abort()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    this.#assignments = assignments
    this.assigned(this.#waiting.splice(0))
    try {
      if (isFollowing && !this.#ending.signal.aborted)
        await new Promise(resolve => this.#ending.signal.addEventListener('abort', resolve, { once: true }))
      await Promise.all(this.#running)
    } finally {
      signal.removeEventListener('abort', end)
      end()
    }
    if (this.#failure) throw this.#failure
  }

  #read(assignments: Assignments, queue: MessageQueue): void {
    const stop = new AbortController()
    this.#stops.set(keyOf(queue), stop)
    const signal = AbortSignal.any([stop.signal, this.#ending.signal])
    const running = this.#readQueue(assignments, queue, signal)
      .catch(error => {
        this.#failure ??= error
        this.#ending.abort()
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #readQueue(assignments: Assignments, queue: MessageQueue, signal: AbortSignal): Promise<void> {
    const { isFollowing, onMessages, isCommitting, start } = this.#options
    let offset = await start(assignments, queue)
    const end = isFollowing ? Number.POSITIVE_INFINITY : await assignments.offsets.max(queue)
    while (offset < end && !signal.aborted) {
      try {
        const pulledAt = performance.now()
        const pulled = await assignments.pull(queue, offset, { signal, ...(isFollowing ? {} : { suspendMs: 0 }) })
        if (signal.aborted) return
        this.#options.onPulled?.(performance.now() - pulledAt)
        const taken = onMessages(pulled.messages, () => this.#ending.abort())
        offset = taken < pulled.messages.length ? pulled.messages[taken].queueOffset : pulled.nextOffset
        if (isCommitting && taken > 0) await assignments.commit(queue, offset)
      } catch (error) {
        if (signal.aborted) return
        if (!isFollowing || !(error instanceof MillraceError && error.isRetryable)) throw error
        await sleep(RETRY_PAUSE_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }
}

const keyOf = (queue: MessageQueue): string => `${queue.topic}@${queue.brokerName}:${queue.queueId}`
