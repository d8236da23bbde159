import {
  isInherited,
  isRetryTopic,
  Permission,
  ResponseCode,
  SystemTopic,
  type TopicConfig,
  validateTopic,
} from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import { Refusal, withFaq } from '../../requests/answer.js'
import type { SystemTopics } from './system-topics.js'
import { isSameTopicConfig, TOPIC_DEFAULTS, TOPIC_QUEUES_MAX, type Topic } from './topic.js'
import { changeAttributes } from './topic-attributes.js'
import type { TopicTable } from './topic-table.js'

/** Makes topic changes known. Resolves once the nameservers that can be reached show them. Never rejects. */
export type AnnounceTopics = (changed: readonly Topic[], removed: readonly string[]) => Promise<void>

/** Removes what else is kept by topic: messages, offsets. */
export type ForgetTopic = (topic: string) => Promise<void>

/** What a client asks for of a topic that it creates or changes. */
export interface TopicRequest extends Omit<TopicConfig, 'attributes'> {
  /** `+name=value,-name` */
  readonly attributeChanges: string | undefined
}

/**
 * Creates, changes and deletes topics. What resolves is durable and announced.
 * Changes of one topic are made one after the other, those of different topics side by side. behaviour.md §4
 */
export class TopicAdmin {
  /** Last change under way, by topic. */
  readonly #pending = new Map<string, Promise<unknown>>()

  constructor(
    private readonly table: TopicTable,
    private readonly systemTopics: SystemTopics,
    private readonly config: () => BrokerConfig,
    private readonly announce: AnnounceTopics,
    private readonly forget: ForgetTopic,
  ) {}

  /** @throws Refusal 29 | 1, MillraceError DISK_FULL | DISK_FAILED */
  async createOrUpdate(request: TopicRequest): Promise<Topic> {
    const name = request.topicName
    this.#checkName(name)
    checkNumbers(request)
    return this.#inOrder(name, async () => {
      const known = this.table.find(name)
      const { attributeChanges, ...config } = request
      const attributes = changeAttributes(known?.attributes, attributeChanges)
      if (attributes['message.type'] === 'MIXED')
        throw new Refusal(ResponseCode.INVALID_PARAMETER, 'MIXED message type is not supported.')
      const changed = { ...config, attributes }
      if (known && isSameTopicConfig(known, changed)) return known
      return this.#store(changed)
    })
  }

  /**
   * Creates a topic that a message is sent to, after the template the producer names.
   * @throws Refusal 29 (name) | 17 (no such template, or creation is off), MillraceError DISK_FULL | DISK_FAILED
   */
  async createForSend(name: string, templateName: string, queueCount: number): Promise<Topic> {
    checkTopicName(name)
    return this.#inOrder(name, async () => {
      const known = this.table.find(name)
      if (known) return known
      if (isRetryTopic(name)) return this.#store(readWriteTopic(name, 1))
      const template = this.table.find(templateName)
      if (!template || !isInherited(template.perm) || !this.#allows(templateName))
        throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, withFaq(`topic[${name}] not exist, apply first please!`))
      const count = Math.max(1, Math.min(queueCount, template.writeQueueNums))
      return this.#store({
        ...readWriteTopic(name, count),
        perm: template.perm & ~Permission.INHERIT,
        topicFilterType: template.topicFilterType,
      })
    })
  }

  /** Creates a retry or dead-letter topic of a group; nothing is asked. @throws MillraceError DISK_FULL | DISK_FAILED */
  async createForGroup(name: string, queueCount: number): Promise<Topic> {
    return this.#inOrder(name, async () => this.table.find(name) ?? this.#store(readWriteTopic(name, queueCount)))
  }

  /** @throws Refusal 29, MillraceError DISK_FULL | DISK_FAILED | STORE_READ_ONLY */
  async delete(name: string): Promise<void> {
    this.#checkName(name)
    await this.deleteForGroup(name)
  }

  /** Deletes a retry topic of a group; nothing is asked. @throws MillraceError as `delete` */
  async deleteForGroup(name: string): Promise<void> {
    await this.#inOrder(name, async () => {
      const isKnown = this.table.find(name) !== undefined
      await this.table.remove(name)
      if (isKnown) await this.announce([], [name])
      await this.forget(name)
    })
  }

  /** Removes what is kept of topics that do not exist, such as those whose deletion a crash cut short [316]. */
  async forgetUnknown(names: readonly string[]): Promise<void> {
    const unknown = names.filter(name => !this.table.find(name) && !this.systemTopics.has(name))
    await Promise.all(
      unknown.map(name =>
        this.#inOrder(name, async () => {
          if (!this.table.find(name)) await this.forget(name)
        }),
      ),
    )
  }

  async #store(config: TopicConfig): Promise<Topic> {
    const topic = await this.table.put(config)
    await this.announce([topic], [])
    return topic
  }

  #allows(templateName: string): boolean {
    return templateName !== SystemTopic.AUTO_CREATE || this.config().autoCreateTopicEnable
  }

  #checkName(name: string): void {
    checkTopicName(name)
    if (this.systemTopics.has(name))
      throw new Refusal(ResponseCode.INVALID_PARAMETER, `The topic[${name}] is conflict with system topic.`)
  }

  /** Runs `work` after the change of this topic that is under way, whatever became of that one. */
  async #inOrder<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#pending.get(name)
    const mine = before === undefined ? work() : before.then(work, work)
    this.#pending.set(name, mine)
    try {
      return await mine
    } finally {
      if (this.#pending.get(name) === mine) this.#pending.delete(name)
    }
  }
}

/** @throws Refusal 29 */
function checkTopicName(name: string): void {
  const check = validateTopic(name)
  if (!check.ok) throw new Refusal(ResponseCode.INVALID_PARAMETER, check.reason)
}

function checkNumbers({ perm, readQueueNums, topicName, writeQueueNums }: TopicRequest): void {
  for (const count of [readQueueNums, writeQueueNums])
    if (!Number.isInteger(count) || count < 0 || count > TOPIC_QUEUES_MAX)
      throw new Refusal(
        ResponseCode.INVALID_PARAMETER,
        `topic ${topicName} cannot have ${count} queues; ask for 0 to ${TOPIC_QUEUES_MAX}`,
      )
  if (!Number.isInteger(perm) || perm < 0 || perm > 7)
    throw new Refusal(
      ResponseCode.INVALID_PARAMETER,
      `permission ${perm} of topic ${topicName} is not a sum of 1 (inherit), 2 (write) and 4 (read)`,
    )
}

function readWriteTopic(topicName: string, queueCount: number): TopicConfig {
  return { ...TOPIC_DEFAULTS, topicName, readQueueNums: queueCount, writeQueueNums: queueCount }
}
