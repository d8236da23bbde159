import { assert, type Clock, type DataVersion } from '@millrace/core'
import type { KeyValue, KeyValueTable } from '../kv/key-value.js'
import { firstDataVersion, nextDataVersion } from './data-version.js'

type QueueOffsets = Map<number, number>
/** One row a (group, topic): queue id, offset, queue id, offset, … */
type Row = readonly number[]

/** Beside the names of metadata tables. */
const VERSION_KEY = '$offsets'

/** Changes that have to reach the disk together with the offsets. */
export interface FlushCompanion {
  readonly hasChanges: boolean
  /** Called inside the transaction: puts and removes of the same store. */
  write(): void
  /** What the last `write` wrote is stored. */
  written(): void
  /** It is not, or nobody knows. */
  failed(): void
  /** The offsets of a group, or of a topic of it, are forgotten. */
  forget(names: { readonly group: string; readonly topic?: string }): void
}

/**
 * Next offset to consume, by (group, topic, queue). Sets are made in memory; `flush` stores all that changed since
 * the last one in a single transaction.
 *
 * Invariants: a row is dirty or stored as it is in memory or part of the flush under way; one flush at a time.
 * @see RocketMQ `ConsumerOffsetManager`
 */
export class ConsumerOffsets {
  readonly #groups = new Map<string, Map<string, QueueOffsets>>()
  /** Group → topics whose row has to be written (or removed, when it is gone from memory). */
  #dirty = new Map<string, Set<string>>()
  #flushing: Promise<void> | undefined
  #next: Promise<void> | undefined
  #companion: FlushCompanion | undefined
  #version: DataVersion
  readonly #store: KeyValue
  readonly #stored: KeyValueTable<Row, readonly [string, string]>
  readonly #versions: KeyValueTable<DataVersion, string>
  readonly #clock: Clock

  /** @internal made by `MetadataStore` */
  constructor(store: KeyValue, versions: KeyValueTable<DataVersion, string>, clock: Clock) {
    this.#store = store
    this.#stored = store.table('offsets')
    this.#versions = versions
    this.#clock = clock
    this.#version = versions.get(VERSION_KEY) ?? firstDataVersion(clock.now())
    for (const { key, value } of this.#stored.range()) {
      const queues = this.#queues(key[0], key[1])
      for (let i = 0; i + 1 < value.length; i += 2) queues.set(value[i] as number, value[i + 1] as number)
    }
  }

  /** Counts the flushes that changed something. */
  get version(): DataVersion {
    return this.#version
  }

  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#groups.get(group)?.get(topic)?.get(queueId)
  }

  /** In memory at once; see `flush` and `durable`. Lower offsets are taken too: an operator resets that way. */
  set(group: string, topic: string, queueId: number, offset: number): void {
    assert(Number.isSafeInteger(offset) && offset >= 0, 'consumer offset', { group, topic, queueId, offset })
    const queues = this.#queues(group, topic)
    if (queues.get(queueId) === offset) return
    queues.set(queueId, offset)
    this.#touch(group, topic)
  }

  /** Queue id → offset of one group and topic; empty when nothing was committed. A live view: do not keep it. */
  queues(group: string, topic: string): ReadonlyMap<number, number> {
    return this.#groups.get(group)?.get(topic) ?? NO_QUEUES
  }

  groups(): IterableIterator<string> {
    return this.#groups.keys()
  }

  topicsOf(group: string): string[] {
    return [...(this.#groups.get(group)?.keys() ?? [])]
  }

  groupsOf(topic: string): string[] {
    return [...this.#groups].filter(([, topics]) => topics.has(topic)).map(([group]) => group)
  }

  /** Forgets the offsets of a group, or of one topic of it. */
  remove(group: string, topic?: string): void {
    this.#companion?.forget(topic === undefined ? { group } : { group, topic })
    const topics = this.#groups.get(group)
    if (topics === undefined) return
    for (const name of topic === undefined ? [...topics.keys()] : [topic]) {
      if (topics.delete(name)) this.#touch(group, name)
    }
    if (topics.size === 0) this.#groups.delete(group)
  }

  /** Forgets a topic in all groups. */
  removeTopic(topic: string): void {
    for (const group of this.groupsOf(topic)) this.remove(group, topic)
  }

  /**
   * Resolves when everything set before the call is on stable storage. Calls made while a flush is under way share
   * the next one. For commits that are answered; one-way commits need no more than a `flush` every few seconds.
   * @throws MillraceError DISK_FULL (stays dirty: the next flush tries again) | DISK_FAILED | STORE_READ_ONLY
   */
  flush(): Promise<void> {
    if (this.#flushing === undefined) return this.#start()
    if (this.#next === undefined) {
      const again = () => {
        this.#next = undefined
        return this.#start()
      }
      this.#next = this.#flushing.then(again, again)
    }
    return this.#next
  }

  /** From here on every flush also stores what `companion` has to store, in the same transaction. */
  accompany(companion: FlushCompanion): void {
    this.#companion = companion
  }

  #start(): Promise<void> {
    const companion = this.#companion?.hasChanges ? this.#companion : undefined
    if (this.#dirty.size === 0 && companion === undefined) return Promise.resolve()
    const dirty = this.#takeDirty()
    const written = this.#store.batch(() => {
      this.#writeAll(dirty)
      companion?.write()
    })
    const flushing = written.then(
      () => {
        this.#flushing = undefined
        companion?.written()
      },
      error => {
        this.#flushing = undefined
        for (const [group, topics] of dirty) for (const topic of topics) this.#touch(group, topic)
        companion?.failed()
        throw error
      },
    )
    // A flush by timer may have nobody who waits; the store's onFailure tells.
    flushing.catch(() => undefined)
    this.#flushing = flushing
    return flushing
  }

  #takeDirty(): ReadonlyMap<string, ReadonlySet<string>> {
    const dirty = this.#dirty
    if (dirty.size === 0) return NOTHING
    this.#dirty = new Map()
    this.#version = nextDataVersion(this.#version, this.#clock.now())
    return dirty
  }

  #writeAll(dirty: ReadonlyMap<string, ReadonlySet<string>>): void {
    if (dirty.size === 0) return
    for (const [group, topics] of dirty) for (const topic of topics) this.#write(group, topic)
    void this.#versions.put(VERSION_KEY, this.#version)
  }

  #write(group: string, topic: string): void {
    const queues = this.#groups.get(group)?.get(topic)
    if (queues) void this.#stored.put([group, topic], [...queues].flat())
    else void this.#stored.remove([group, topic])
  }

  #queues(group: string, topic: string): QueueOffsets {
    let topics = this.#groups.get(group)
    if (topics === undefined) this.#groups.set(group, (topics = new Map()))
    let queues = topics.get(topic)
    if (queues === undefined) topics.set(topic, (queues = new Map()))
    return queues
  }

  #touch(group: string, topic: string): void {
    let topics = this.#dirty.get(group)
    if (topics === undefined) this.#dirty.set(group, (topics = new Set()))
    topics.add(topic)
  }
}

const NOTHING: ReadonlyMap<string, ReadonlySet<string>> = new Map()
const NO_QUEUES: ReadonlyMap<number, number> = new Map()
