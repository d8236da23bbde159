import { isSystemTopic, Permission, parseDelayLevels, SystemTopic, type TopicConfig } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import { TOPIC_DEFAULTS } from './topic.js'

const READ_WRITE = Permission.READ | Permission.WRITE
const TEMPLATE = READ_WRITE | Permission.INHERIT
const REVIVE_QUEUE_COUNT = 8
const BENCHMARK_QUEUE_COUNT = 1024
const CLUSTER_QUEUE_COUNT = 16

/** Names that belong to this broker alone, beside the fixed ones. messages.md §9 */
export class SystemTopics {
  readonly #named: ReadonlySet<string>

  constructor(private readonly config: BrokerConfig) {
    const { brokerClusterName, brokerName } = config
    this.#named = new Set([brokerClusterName, brokerName, replyTopic(brokerClusterName)])
  }

  /** Clients may not create, change or delete these. */
  has(topic: string): boolean {
    return this.#named.has(topic) || isSystemTopic(topic)
  }

  /** The topics that every broker has from the start. */
  initial(): TopicConfig[] {
    const { autoCreateTopicEnable, brokerClusterName, brokerName, brokerTopicEnable, clusterTopicEnable } = this.config
    const { messageDelayLevel } = this.config
    return [
      ...(autoCreateTopicEnable ? [this.template()] : []),
      systemTopic(SystemTopic.SELF_TEST, 1),
      systemTopic(SystemTopic.BENCHMARK, BENCHMARK_QUEUE_COUNT),
      ...(clusterTopicEnable ? [systemTopic(brokerClusterName, CLUSTER_QUEUE_COUNT, TEMPLATE)] : []),
      ...(brokerTopicEnable ? [systemTopic(brokerName, 1, TEMPLATE)] : []),
      systemTopic(SystemTopic.OFFSET_MOVED, 1),
      systemTopic(SystemTopic.SCHEDULE, parseDelayLevels(messageDelayLevel)?.length ?? 1),
      ...(this.config.traceTopicEnable ? [systemTopic(SystemTopic.TRACE, 1)] : []),
      systemTopic(replyTopic(brokerClusterName), 1),
      systemTopic(`rmq_sys_REVIVE_LOG_${brokerClusterName}`, REVIVE_QUEUE_COUNT),
      systemTopic(`rmq_sys_SYNC_BROKER_MEMBER_${brokerName}`, 1, Permission.INHERIT),
      systemTopic(SystemTopic.TRANS_HALF, 1),
      systemTopic(SystemTopic.TRANS_OP_HALF, 1),
      systemTopic(SystemTopic.TIMER, 1),
    ]
  }

  /** Pattern of topics that are created on first use. */
  template(): TopicConfig {
    return systemTopic(SystemTopic.AUTO_CREATE, this.config.defaultTopicQueueNums, TEMPLATE)
  }
}

function replyTopic(clusterName: string): string {
  return `${clusterName}_REPLY_TOPIC`
}

function systemTopic(name: string, queueCount: number, perm: number = READ_WRITE): TopicConfig {
  return { ...TOPIC_DEFAULTS, topicName: name, readQueueNums: queueCount, writeQueueNums: queueCount, perm }
}
