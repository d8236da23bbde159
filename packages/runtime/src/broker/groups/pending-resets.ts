import type { Clock } from '@millrace/core'

interface Reset {
  readonly offset: number
  readonly at: number
}

/** A consumer that has not pulled for this long is gone; the next one starts at the committed offset anyway. */
const RESET_MS = 60_000

/**
 * Offsets that an operator set while consumers are running: the next pull of the queue is sent there, and commits of
 * where the consumer was before are not taken meanwhile. behaviour.md §9
 */
export class PendingResets {
  readonly #resets = new Map<string, Reset>()

  constructor(private readonly clock: Clock) {}

  set(group: string, topic: string, queueId: number, offset: number): void {
    this.#resets.set(keyOf(group, topic, queueId), { offset, at: this.clock.now() })
  }

  isPending(group: string, topic: string, queueId: number): boolean {
    return this.#resets.size > 0 && this.#find(keyOf(group, topic, queueId)) !== undefined
  }

  /** For a pull: where it should go on instead; undefined, the usual case, when nothing is pending. */
  take(group: string, topic: string, queueId: number): number | undefined {
    if (this.#resets.size === 0) return undefined
    const key = keyOf(group, topic, queueId)
    const reset = this.#find(key)
    this.#resets.delete(key)
    return reset?.offset
  }

  #find(key: string): Reset | undefined {
    const reset = this.#resets.get(key)
    if (!reset || this.clock.now() - reset.at <= RESET_MS) return reset
    this.#resets.delete(key)
    return undefined
  }
}

function keyOf(group: string, topic: string, queueId: number): string {
  return `${topic}@${group}@${queueId}`
}
