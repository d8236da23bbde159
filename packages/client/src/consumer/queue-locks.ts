import { decodeLockedQueues, encodeLockBatch, type MessageQueue, RequestCode, ResponseCode } from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import { queueKey } from './pull.js'

/** A lock that was not renewed for so long is not relied on; brokers drop it after 60 s. */
const LOCK_VALID_MS = 30_000

/** Locks of an ordered consumer: brokers give each queue of a group to one client at a time. behaviour.md §13 */
export class QueueLocks {
  readonly #context: ClientContext
  readonly #group: string
  /** Queue key → monotonic time of the last renewal. */
  readonly #lockedAt = new Map<string, number>()

  constructor(context: ClientContext, group: string) {
    this.#context = context
    this.#group = group
  }

  isHeld(queue: MessageQueue): boolean {
    const lockedAt = this.#lockedAt.get(queueKey(queue))
    return lockedAt !== undefined && this.#context.environment.clock.monotonic() - lockedAt < LOCK_VALID_MS
  }

  /** Takes the locks of queues, or renews them. Resolves when every broker has answered; @throws as the pool. */
  async lock(queues: readonly MessageQueue[]): Promise<void> {
    for (const [brokerName, mqSet] of byBroker(queues)) {
      const address = this.#context.routes.addressOf(brokerName)
      if (address === undefined) continue
      const sentAt = this.#context.environment.clock.monotonic()
      const answer = await this.#context.pool.request(address, {
        code: RequestCode.LOCK_BATCH_MQ,
        body: this.#body(mqSet),
      })
      const locked = answer.code === ResponseCode.SUCCESS ? decodeLockedQueues(answer.body) : undefined
      for (const queue of mqSet) this.#lockedAt.delete(queueKey(queue))
      if (locked?.ok) for (const queue of locked.value) this.#lockedAt.set(queueKey(queue), sentAt)
    }
  }

  /** Gives locks back; nothing is waited for. */
  unlock(queues: readonly MessageQueue[]): void {
    for (const [brokerName, mqSet] of byBroker(queues)) {
      const address = this.#context.routes.addressOf(brokerName)
      const connection = address === undefined ? undefined : this.#context.pool.live(address)
      connection?.notify({ code: RequestCode.UNLOCK_BATCH_MQ, body: this.#body(mqSet) })
      for (const queue of mqSet) this.#lockedAt.delete(queueKey(queue))
    }
  }

  #body(mqSet: readonly MessageQueue[]): Buffer {
    return encodeLockBatch({
      clientId: this.#context.clientId,
      consumerGroup: this.#group,
      mqSet,
      onlyThisBroker: false,
    })
  }
}

function byBroker(queues: readonly MessageQueue[]): Map<string, MessageQueue[]> {
  const groups = new Map<string, MessageQueue[]>()
  for (const queue of queues) {
    const group = groups.get(queue.brokerName)
    if (group) group.push(queue)
    else groups.set(queue.brokerName, [queue])
  }
  return groups
}
