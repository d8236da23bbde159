import type { InputRecord, TaskInput } from '@millrace/core'
import type { Pulled, QueueIndex } from './topics.js'

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000

/** One queue that a task reads: what was pulled and not processed, and where to pull on. */
export class InputLane {
  readonly place: number
  readonly source: QueueIndex
  readonly isGlobal: boolean
  readonly idleMs: number
  isPulling = false
  nextOffset: number
  /** Offset that the queue's next message will get, as of the last pull. */
  maxOffset: number | undefined
  committedOffset: number
  #pulled: readonly InputRecord[] = []
  #done = 0
  #retryMs = RETRY_MS_MIN

  constructor(place: number, input: TaskInput) {
    this.place = place
    this.source = { topic: input.input.topic, queue: input.queue }
    this.isGlobal = input.isGlobal
    this.idleMs = input.input.idleMs
    this.nextOffset = this.committedOffset = input.offset ?? 0
  }

  /** Records pulled and not processed. */
  get size(): number {
    return this.#pulled.length - this.#done
  }

  /** When the next record was made; infinite when there is none. */
  get nextTimestamp(): number {
    return this.#pulled[this.#done]?.timestamp ?? Number.POSITIVE_INFINITY
  }

  /** Everything that the queue held at the last pull has been processed. */
  get isAtEnd(): boolean {
    return this.size === 0 && this.maxOffset !== undefined && this.nextOffset >= this.maxOffset
  }

  get lag(): number {
    return Math.max(0, (this.maxOffset ?? this.committedOffset) - this.committedOffset)
  }

  take({ records, nextOffset, maxOffset }: Pulled): void {
    this.#retryMs = RETRY_MS_MIN
    this.#pulled = this.size > 0 ? [...this.#pulled.slice(this.#done), ...records] : records
    this.#done = 0
    this.nextOffset = nextOffset
    this.maxOffset = maxOffset
  }

  /** Hands what waits to `process`, which tells how far it came. */
  run(process: (records: readonly InputRecord[], from: number) => number): void {
    this.#done = process(this.#pulled, this.#done)
    if (this.#done === this.#pulled.length) this.drop()
  }

  drop(): void {
    this.#pulled = []
    this.#done = 0
  }

  /** How long to wait after a failed pull; each time longer. */
  nextRetryMs(): number {
    const wait = this.#retryMs
    this.#retryMs = Math.min(RETRY_MS_MAX, wait * 2)
    return wait
  }
}
