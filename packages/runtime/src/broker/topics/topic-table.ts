import { type DataVersion, isSendForbidden, SystemTopic, type TopicConfig } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import type { Topic } from './topic.js'

/** A topic as it is stored, under its name. */
export type TopicRecord = Omit<TopicConfig, 'topicName'>

/**
 * The topics of this broker by name. Reading is a map lookup; only the Topics actor changes it.
 *
 * Invariant: what `find` returns is durable, or is a system topic, which is made anew at every start.
 */
export class TopicTable {
  readonly #topics = new Map<string, Topic>()
  #lastId = 0

  constructor(
    private readonly records: MetadataTable<TopicRecord>,
    systemTopics: readonly TopicConfig[],
  ) {
    for (const topic of systemTopics) this.#set(topic)
    for (const [name, record] of records.entries()) this.#set({ ...record, topicName: name })
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  get size(): number {
    return this.#topics.size
  }

  /** Counts the changes. */
  get dataVersion(): DataVersion {
    return this.records.version
  }

  all(): IterableIterator<Topic> {
    return this.#topics.values()
  }

  /** Stores a topic; `find` has it once it is durable. @throws MillraceError DISK_FULL | DISK_FAILED */
  async put(config: TopicConfig): Promise<Topic> {
    const { topicName, ...record } = config
    await this.records.put(topicName, record)
    return this.#set(config)
  }

  /** Forgets a topic at once; resolves when that is durable. @throws MillraceError DISK_FULL | DISK_FAILED */
  remove(name: string): Promise<void> {
    this.#topics.delete(name)
    return this.records.remove(name)
  }

  #set(config: TopicConfig): Topic {
    const known = this.#topics.get(config.topicName)
    // Written out, so that all topics have one shape, whatever the config came from.
    const topic: Topic = {
      id: known?.id ?? this.#nextId(),
      name: config.topicName,
      readQueueNums: config.readQueueNums,
      writeQueueNums: config.writeQueueNums,
      perm: config.perm,
      topicFilterType: config.topicFilterType,
      topicSysFlag: config.topicSysFlag,
      order: config.order,
      attributes: config.attributes,
      // A forged timer would reach topics that its producer may not send to.
      isSendForbidden:
        known?.isSendForbidden ?? (isSendForbidden(config.topicName) || config.topicName === SystemTopic.TIMER),
    }
    this.#topics.set(config.topicName, topic)
    return topic
  }

  #nextId(): number {
    this.#lastId += 1
    return this.#lastId
  }
}
