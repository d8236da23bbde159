import type { MessageQueue } from '@millrace/core'
import { queueKey } from './pull.js'

/** Keeps the offsets of a broadcasting consumer: brokers keep those of clustering groups only. */
export interface OffsetStore {
  /** The next offset to consume; undefined when none was stored for this queue. */
  load(group: string, queue: MessageQueue): Promise<number | undefined>
  /** Stores the next offset of a queue. */
  save(group: string, queue: MessageQueue, offset: number): Promise<void>
}

/** Keeps offsets as long as the process lives: a broadcasting consumer begins by `from` when it starts anew. */
export function memoryOffsetStore(): OffsetStore {
  const offsets = new Map<string, number>()
  return {
    load: (group, queue) => Promise.resolve(offsets.get(`${group}/${queueKey(queue)}`)),
    save: (group, queue, offset) => {
      offsets.set(`${group}/${queueKey(queue)}`, offset)
      return Promise.resolve()
    },
  }
}
