import { HALF, type HalfState } from './half-states.js'

/** What the transactions of one topic came to since the broker started. */
export interface TopicTransactions {
  committed: number
  rolledBack: number
  givenUp: number
}

/** Plain numbers about transactions, read by whoever shows them. */
export class TransactionCounters {
  readonly topics = new Map<string, TopicTransactions>()
  /** Check-backs that reached a producer. */
  checksSent = 0
  /** Half messages that nobody has decided about, as of now. */
  pending: () => number = () => 0

  ended(topic: string, state: HalfState): void {
    let counts = this.topics.get(topic)
    if (counts === undefined) this.topics.set(topic, (counts = { committed: 0, rolledBack: 0, givenUp: 0 }))
    if (state === HALF.committed) counts.committed++
    else if (state === HALF.rolledBack) counts.rolledBack++
    else counts.givenUp++
  }
}
