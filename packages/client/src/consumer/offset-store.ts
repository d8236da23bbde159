import type { MessageQueue } from '@millrace/core'

/** Keeps the offsets of a broadcasting consumer: brokers keep those of clustering groups only. */
export interface OffsetStore {
  /** The next offset to consume; undefined when this queue was never stored. */
  load(group: string, queue: MessageQueue): Promise<number | undefined>
  /** Stores the next offset of each queue. */
  save(group: string, offsets: ReadonlyMap<MessageQueue, number>): Promise<void>
}
