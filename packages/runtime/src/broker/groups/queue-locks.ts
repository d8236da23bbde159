import type { MessageQueue } from '@millrace/core'

interface Lock {
  readonly clientId: string
  readonly takenAt: number
}

/** A lock that is not taken again for this long is free. @see RocketMQ `RebalanceLockManager` */
const LOCK_MS = 60_000

/** Which client of a group may consume an orderly queue. behaviour.md §13 */
export class QueueLocks {
  readonly #groups = new Map<string, Map<string, Lock>>()

  /** Takes what is free, expired or the client's own; returns those queues. */
  lock(group: string, clientId: string, queues: readonly MessageQueue[], now: number): MessageQueue[] {
    const locks = this.#groups.get(group) ?? new Map<string, Lock>()
    const granted = queues.filter(queue => {
      const held = locks.get(keyOf(queue))
      return held === undefined || held.clientId === clientId || isExpired(held, now)
    })
    for (const queue of granted) locks.set(keyOf(queue), { clientId, takenAt: now })
    if (locks.size > 0) this.#groups.set(group, locks)
    return granted
  }

  /** Frees the client's own locks; those of others stay. */
  unlock(group: string, clientId: string, queues: readonly MessageQueue[]): void {
    const locks = this.#groups.get(group)
    if (!locks) return
    for (const queue of queues) if (locks.get(keyOf(queue))?.clientId === clientId) locks.delete(keyOf(queue))
    if (locks.size === 0) this.#groups.delete(group)
  }

  /** Does any client of the group hold a lock? Then its messages are consumed in order. */
  isHeld(group: string, now: number): boolean {
    return [...(this.#groups.get(group)?.values() ?? [])].some(lock => !isExpired(lock, now))
  }

  /** Forgets expired locks. */
  expire(now: number): void {
    for (const [group, locks] of this.#groups) {
      for (const [key, lock] of locks) if (isExpired(lock, now)) locks.delete(key)
      if (locks.size === 0) this.#groups.delete(group)
    }
  }
}

function isExpired(lock: Lock, now: number): boolean {
  return now - lock.takenAt > LOCK_MS
}

function keyOf({ brokerName, queueId, topic }: MessageQueue): string {
  return `${topic}@${brokerName}@${queueId}`
}
