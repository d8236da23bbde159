import type { NetAddress } from '@millrace/core'

/** Where a message went. */
export interface Appended {
  /** Byte position of the record in the commit log. */
  readonly position: number
  /** Length of the record in bytes. */
  readonly sizeBytes: number
  /** Offset in its queue: 0-based, dense. */
  readonly queueOffset: number
  /** Broker clock, milliseconds. */
  readonly storeTimestamp: number
}

/** A message to store, with everything but what the store itself gives (position, queue offset, store time). */
export interface MessageToAppend {
  readonly topic: string
  readonly queueId: number
  readonly flag: number
  readonly sysFlag: number
  readonly bornTimestamp: number
  readonly bornHost: NetAddress
  /** The broker's address that clients can reach; part of the offset message id. */
  readonly storeHost: NetAddress
  readonly reconsumeTimes: number
  readonly preparedTransactionOffset: number
  readonly body: Uint8Array
  /** Property string, UTF-8: name U+0001 value U+0002 … */
  readonly properties: Uint8Array
}

/** One entry of a consume queue. */
export interface QueueEntry {
  readonly position: number
  readonly sizeBytes: number
  /** Java hash of the TAGS property, 0 without one. */
  readonly tagHash: number
}

/** A stored record to be stored once more, elsewhere. */
export interface RecordCopy {
  /** The whole record, as `record` gives it. */
  readonly record: Buffer
  readonly topic: string
  readonly queueId: number
  /** Property string in place of the record's own. */
  readonly properties?: Buffer
  /** Property pairs to add; left out when the properties would get too long. */
  readonly added: Buffer
}

/**
 * The broker's messages: a commit log in Apache RocketMQ's format and what is derived from it.
 * A queue is named by (topic, queue id); queues that were never written to exist with offsets 0.
 */
export interface MessageStore {
  /**
   * Stores one message. Resolves when the record is where the flush policy says
   * (sync: fdatasync returned; async: handed to the operating system).
   * @throws MillraceError STORE_READ_ONLY | DISK_FULL | INVALID_ARGUMENT (over a size limit)
   */
  append(message: MessageToAppend): Promise<Appended>
  /**
   * Stores copies of records, in order, in this turn: the fast way for the broker's own deliveries. As many as there is room for now;
   * resolves with their number when all of those are where the flush policy says.
   * @throws MillraceError STORE_READ_ONLY | DISK_FULL (none counts as stored)
   */
  appendCopies(copies: readonly RecordCopy[]): Promise<number>
  /** First offset still stored. */
  minOffset(topic: string, queueId: number): number
  /** Offset the next message will get, of messages that consumers may see. */
  maxOffset(topic: string, queueId: number): number
  /** Entry at `offset`; undefined outside [min, max). */
  entry(topic: string, queueId: number, offset: number): QueueEntry | undefined
  /** Up to `countMax` entries from `offset` on, of messages that consumers may see. */
  entries(topic: string, queueId: number, offset: number, countMax: number): QueueEntry[]
  /** The record that starts at `position` (a copy); undefined when no record starts there. */
  record(position: number): Buffer | undefined
  /**
   * Offset by store time (ms): 'lower' is the first offset stored at or after it (max offset when none),
   * 'upper' the last one stored at or before it.
   */
  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: 'lower' | 'upper'): number
  /** Records of `topic` whose KEYS (a blank-separated token) or UNIQ_KEY is `key`, newest first, store time within [fromMs, toMs]. */
  findByKey(
    topic: string,
    key: string,
    range: { fromMs: number; toMs: number; maxCount: number; uniqueOnly?: boolean },
  ): Buffer[]
  /** Topics of which anything was ever stored and not deleted, known to the broker or not. */
  storedTopics(): string[]
  /** Drops all queues of a topic from the index; the log keeps its bytes until retention takes the files. */
  deleteTopic(topic: string): Promise<void>
  /** Up to this position `findByKey` knows every record. */
  readonly indexed: number
  /** Position after the last record, and the first position still stored. */
  readonly logEnd: number
  readonly logBegin: number
  close(): Promise<void>
}
