import { type MessageQueue, tagHash } from '@millrace/core'

/** Chooses queues: in turn, or always the same one for a sharding key. */
export class QueueSelector {
  readonly #turns = new Map<string, number>()

  /** The next queue in turn, of a broker that is not in `avoid` if there is one. `queues` is not empty. */
  next(topic: string, queues: readonly MessageQueue[], avoid?: ReadonlySet<string>): MessageQueue {
    let turn = this.#turns.get(topic) ?? 0
    let queue = queues[turn % queues.length]
    for (let tried = 1; tried < queues.length && avoid?.has(queue.brokerName); tried++)
      queue = queues[++turn % queues.length]
    this.#turns.set(topic, (turn + 1) % queues.length)
    return queue
  }

  /** The queue of a sharding key, by Java's string hash. It changes only when the number of queues does. */
  forKey(shardingKey: string, queues: readonly MessageQueue[]): MessageQueue {
    return queues[Math.abs(tagHash(shardingKey)) % queues.length]
  }
}
