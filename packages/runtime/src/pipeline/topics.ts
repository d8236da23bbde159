import type { InputRecord } from '@millrace/core'

/** A queue by its topic and its index among the topic's queues, which are sorted by broker name and queue id. */
export interface QueueIndex {
  readonly topic: string
  readonly queue: number
}

/** What a pull gave. */
export interface Pulled {
  /** In order; empty when nothing came while the pull waited. */
  readonly records: readonly InputRecord[]
  /** Where to read on. Beyond the last record when offsets in between are gone. */
  readonly nextOffset: number
  /** First offset that is still stored. */
  readonly minOffset: number
  /** Offset that the next message of the queue will get. */
  readonly maxOffset: number
}

/** Hears which queues are this process's to read. Calls do not overlap: the next waits for the promise of the last. */
export interface QueueListener {
  assigned(queues: readonly QueueIndex[]): Promise<void>
  revoked(queues: readonly QueueIndex[]): Promise<void>
}

/** Where tasks read from. All calls reject with a MillraceError; those that `isRetryable` are tried again. */
export interface TopicReader {
  /** Joins the group `group` for `topics`. Resolves when the listener has heard of the first queues. */
  join(group: string, topics: readonly string[], listener: QueueListener): Promise<void>
  /** Waits a while for records when there are none. */
  pull(queue: QueueIndex, offset: number, recordsMax: number, signal: AbortSignal): Promise<Pulled>
  /** The first offset stored, the offset after the last one, or the first that was stored at a time or later. */
  offsetAt(queue: QueueIndex, position: 'first' | 'last' | number): Promise<number>
  /** What `report` told last, in this process or another; undefined when nothing did. */
  reported(queue: QueueIndex): Promise<number | undefined>
  /** Tells the group's position for others to see: whoever takes the queue over without its state begins there, if it needs none. */
  report(queue: QueueIndex, offset: number): void
  /** Leaves the group: revokes every queue first. */
  leave(): Promise<void>
}

/** A message to send. */
export interface OutgoingMessage {
  readonly body: Uint8Array
  readonly key: string | undefined
  readonly properties: Readonly<Record<string, string>>
  /** When consumers shall see it, milliseconds since the epoch. */
  readonly deliverAt: number | undefined
}

/** Where tasks write to. Errors as with `TopicReader`. */
export interface TopicWriter {
  /** Number of queues of a topic; undefined when there is no such topic. */
  queueCount(topic: string): Promise<number | undefined>
  /** Makes a topic of at least one queue per broker, `queues` in all if that can be. */
  createTopic(topic: string, queues: number): Promise<void>
  /** Resolves when all are stored, in this order. After a rejection some may be. A delayed message comes alone. */
  send(queue: QueueIndex, messages: readonly OutgoingMessage[]): Promise<void>
}
