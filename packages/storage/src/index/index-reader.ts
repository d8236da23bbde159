import { BLOCK_ENTRIES, blockKey, ENTRY_BYTES, hashBytes, keyHash, queueKey, topicOf } from './index-format.js'
import { type IndexTables, type QueueBounds, readBounds, readDeletion } from './index-tables.js'
import { KeyRun } from './key-runs.js'
import { ENTRY_NUMBERS } from './queue-tails.js'

/** Reads what the index worker has committed. */
export class IndexReader {
  constructor(private readonly tables: IndexTables) {}

  /** First and next offset that the index knows of a queue. */
  bounds(topic: string, queueId: number): QueueBounds | undefined {
    return readBounds(this.tables, queueKey(topic, queueId))
  }

  /** Records of a topic before this position belong to one of the same name that was deleted; -1: never deleted. */
  deletedBefore(topic: string): number {
    return readDeletion(this.tables, topic) ?? -1
  }

  /** Topics that have a queue in the index. */
  topics(): Set<string> {
    const names = new Set<string>()
    for (const key of this.tables.queues.keys()) names.add(topicOf(Buffer.from(key)))
    return names
  }

  /** Copies up to `countMax` entries from `offset` on into `out` (position, size, tag hash each). Returns how many. */
  read(topic: string, queueId: number, offset: number, countMax: number, out: Float64Array): number {
    const key = queueKey(topic, queueId)
    let copied = 0
    while (copied < countMax) {
      const at = offset + copied
      const block = this.tables.blocks.peekBinary(blockKey(key, Math.floor(at / BLOCK_ENTRIES)))
      if (block === undefined) break
      const available = block.length / ENTRY_BYTES
      let index = at % BLOCK_ENTRIES
      if (index >= available) break
      for (; index < available && copied < countMax; index++, copied++) {
        const from = index * ENTRY_BYTES
        const to = copied * ENTRY_NUMBERS
        out[to] = block.readDoubleLE(from)
        out[to + 1] = block.readUInt32LE(from + 8)
        out[to + 2] = block.readInt32LE(from + 12)
      }
    }
    return copied
  }

  /** Positions of records that may carry the key, oldest first; store times within [fromMs, toMs] at run level. */
  findKey(topic: string, key: string, fromMs: number, toMs: number): number[] {
    const topicBytes = Buffer.from(topic)
    const keyBytes = Buffer.from(key)
    const hash = keyHash(hashBytes(topicBytes, 0, topicBytes.length), keyBytes, 0, keyBytes.length)
    const positions: number[] = []
    for (const { value } of this.tables.runs.range()) {
      const run = new KeyRun(value as Buffer)
      if (run.lastTime < fromMs || run.firstTime > toMs) continue
      for (const position of run.find(hash)) positions.push(position)
    }
    return positions.sort((a, b) => a - b)
  }
}
