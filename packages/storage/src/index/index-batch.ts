import { PropertyScan, scanProperties } from '@millrace/core'
import type { RecordView } from '../log/record-view.js'
import { hashBytes, keyHash } from './index-format.js'
import { grown, KeyBatch } from './key-runs.js'

const BLANK = 0x20

/** One topic as the index worker knows it. */
interface KnownTopic {
  readonly name: string
  readonly bytes: Buffer
  readonly hash: number
  /** Numbers of its queues, by queue id. */
  readonly queues: number[]
}

/** One queue as the index worker knows it. */
export interface KnownQueue {
  readonly topic: string
  readonly queueId: number
}

/** Gives every (topic, queue id) a small number, without making a string per record. */
export class QueueNumbers {
  readonly queues: KnownQueue[] = []
  private readonly topics = new Map<number, KnownTopic[]>()
  private last: KnownTopic | undefined

  /** Number of the queue that a record belongs to. */
  of(bytes: Buffer, view: RecordView): number {
    const topic = this.topic(bytes, view.topicStart, view.topicLength)
    const known = topic.queues[view.queueId]
    if (known !== undefined) return known
    const number = this.queues.length
    this.queues.push({ topic: topic.name, queueId: view.queueId })
    topic.queues[view.queueId] = number
    return number
  }

  /** Hash of the topic of the last record asked for. */
  get lastTopicHash(): number {
    return this.last!.hash
  }

  private topic(bytes: Buffer, start: number, length: number): KnownTopic {
    const { last } = this
    if (last !== undefined && isSame(bytes, start, length, last.bytes)) return last
    const hash = hashBytes(bytes, start, start + length)
    let sameHash = this.topics.get(hash)
    if (sameHash === undefined) this.topics.set(hash, (sameHash = []))
    let topic = sameHash.find(known => isSame(bytes, start, length, known.bytes))
    if (topic === undefined) {
      const copy = Buffer.from(bytes.subarray(start, start + length))
      topic = { name: copy.toString(), bytes: copy, hash, queues: [] }
      sameHash.push(topic)
    }
    this.last = topic
    return topic
  }
}

function isSame(bytes: Buffer, start: number, length: number, other: Buffer): boolean {
  if (other.length !== length) return false
  for (let i = 0; i < length; i++) if (bytes[start + i] !== other[i]) return false
  return true
}

/**
 * Index entries of a stretch of the log, in the log's order, not yet written.
 * Shape: parallel arrays, one place per record.
 */
export class IndexBatch {
  count = 0
  readonly keys = new KeyBatch()
  queueNumber = new Int32Array(1024)
  offset = new Float64Array(1024)
  position = new Float64Array(1024)
  size = new Uint32Array(1024)
  tag = new Int32Array(1024)
  /** Position after the last record taken in. */
  end: number
  private readonly properties = new PropertyScan()

  constructor(begin: number) {
    this.end = begin
  }

  /** Empties the batch for records from `begin` on; its arrays are used again. */
  reset(begin: number): void {
    this.count = 0
    this.end = begin
    this.keys.reset()
  }

  /** Takes in the record at `position`. */
  add(bytes: Buffer, position: number, view: RecordView, numbers: QueueNumbers): void {
    if (this.count === this.offset.length) this.grow()
    const i = this.count++
    const { properties } = this
    const propertiesEnd = view.propertiesStart + view.propertiesLength
    scanProperties(bytes, view.propertiesStart, propertiesEnd, properties)
    this.queueNumber[i] = numbers.of(bytes, view)
    this.offset[i] = view.queueOffset
    this.position[i] = position
    this.size[i] = view.totalSize
    this.tag[i] = properties.tagHash
    this.end = position + view.totalSize
    const topicHash = numbers.lastTopicHash
    if (properties.uniqueKeyEnd > properties.uniqueKeyStart) {
      this.keys.add(
        keyHash(topicHash, bytes, properties.uniqueKeyStart, properties.uniqueKeyEnd),
        position,
        view.storeTimestamp,
      )
    }
    let from = properties.keysStart
    for (let at = from; at <= properties.keysEnd && properties.keysEnd > properties.keysStart; at++) {
      if (at < properties.keysEnd && bytes[at] !== BLANK) continue
      if (at > from) this.keys.add(keyHash(topicHash, bytes, from, at), position, view.storeTimestamp)
      from = at + 1
    }
  }

  private grow(): void {
    const size = this.count * 2
    this.queueNumber = grown(this.queueNumber, new Int32Array(size))
    this.offset = grown(this.offset, new Float64Array(size))
    this.position = grown(this.position, new Float64Array(size))
    this.size = grown(this.size, new Uint32Array(size))
    this.tag = grown(this.tag, new Int32Array(size))
  }
}
