import type { ClusterInfo, MessageQueue } from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import { QueueOffsets } from '../consumer/queue-offsets.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import type { TopicRoute } from '../route/topic-route.js'
import { clusterInfo } from './cluster.js'
import {
  createGroup,
  deleteGroup,
  describeGroup,
  type GroupDescription,
  type GroupOptions,
  groupList,
  type ResetPosition,
  resetOffsets,
} from './groups.js'
import { messageByUniqueId, messagesByKey, type QueryOptions, viewMessage } from './messages.js'
import { type ClusterMetadata, exportMetadata, type ImportedMetadata, importMetadata } from './metadata.js'
import {
  createTopic,
  deleteTopic,
  describeTopic,
  type QueueDescription,
  type TopicOptions,
  topicList,
} from './topics.js'

/**
 * Topics, groups, offsets and stored messages of a cluster.
 * Every call throws RequestError with the server's code and text, and MillraceError CONNECT_FAILED, CONNECTION_LOST or
 * TIMEOUT when a server cannot be reached; what else it throws is said there.
 */
export class Admin {
  /** Offsets of queues: first, last, by time, and committed by groups. */
  readonly offsets: QueueOffsets
  readonly #context: ClientContext

  /** @internal Is `Client.admin`. */
  constructor(context: ClientContext) {
    this.#context = context
    this.offsets = new QueueOffsets(context)
  }

  /** Clusters and the addresses of their brokers. */
  clusterInfo(): Promise<ClusterInfo> {
    return clusterInfo(this.#context)
  }

  /**
   * Creates a topic on every master of the cluster, or changes it. It can be used when this resolves.
   * @throws MillraceError INVALID_ARGUMENT
   */
  createTopic(topic: string, options: TopicOptions = {}): Promise<void> {
    return createTopic(this.#context, topic, options)
  }

  /** Deletes a topic and its messages from every master of the cluster and from every name server. */
  deleteTopic(topic: string, options: { readonly cluster?: string } = {}): Promise<void> {
    return deleteTopic(this.#context, topic, options.cluster)
  }

  /** Names of all topics, those of the system included, sorted. */
  topicList(): Promise<string[]> {
    return topicList(this.#context)
  }

  /** Where the queues of a topic are, read anew. @throws MillraceError TOPIC_NOT_FOUND */
  route(topic: string): Promise<TopicRoute> {
    return this.#context.routes.load(topic)
  }

  /** The queues of a topic and their offsets. @throws MillraceError TOPIC_NOT_FOUND */
  describeTopic(topic: string): Promise<QueueDescription[]> {
    return describeTopic(this.#context, topic)
  }

  /** Creates a consumer group on every master of the cluster, or changes it. @throws MillraceError INVALID_ARGUMENT */
  createGroup(group: string, options: GroupOptions = {}): Promise<void> {
    return createGroup(this.#context, group, options)
  }

  /** Deletes a consumer group and its offsets from every master of the cluster. */
  deleteGroup(group: string, options: { readonly cluster?: string } = {}): Promise<void> {
    return deleteGroup(this.#context, group, options.cluster)
  }

  /** Names of all consumer groups but the system's own, sorted. */
  groupList(): Promise<string[]> {
    return groupList(this.#context)
  }

  /** Members, subscriptions, offsets and lag of a group. */
  describeGroup(group: string): Promise<GroupDescription> {
    return describeGroup(this.#context, group)
  }

  /** Sets where a group continues in a topic, also backwards. Returns the new offsets. @throws MillraceError TOPIC_NOT_FOUND | GROUP_NOT_FOUND */
  resetOffsets(group: string, topic: string, position: ResetPosition): Promise<ReadonlyMap<MessageQueue, number>> {
    return resetOffsets(this.#context, group, topic, position)
  }

  /** Topics, groups and consumer offsets of every broker, those of the system left out. */
  exportMetadata(): Promise<ClusterMetadata> {
    return exportMetadata(this.#context)
  }

  /**
   * Creates and changes topics and groups as exported, by `exportMetadata` or by `mqadmin exportMetadata`, and sets consumer
   * offsets if asked. Each broker takes what was exported from the one of its name. Nothing is deleted.
   * @param exported  JSON text
   * @throws MillraceError INVALID_ARGUMENT
   */
  importMetadata(
    exported: string,
    options: { readonly withOffsets?: boolean | undefined } = {},
  ): Promise<ImportedMetadata> {
    return importMetadata(this.#context, exported, options)
  }

  /** The message with this `offsetMessageId`. @throws MillraceError INVALID_ARGUMENT when it is no such id. */
  viewMessage(offsetMessageId: string): Promise<ReceivedMessage> {
    return viewMessage(this.#context, offsetMessageId)
  }

  /** Messages of a topic that have this key, newest first. @throws MillraceError TOPIC_NOT_FOUND */
  messagesByKey(topic: string, key: string, options: QueryOptions = {}): Promise<ReceivedMessage[]> {
    return messagesByKey(this.#context, topic, key, options)
  }

  /** The message with this `messageId`; undefined when there is none. @throws MillraceError TOPIC_NOT_FOUND */
  messageByUniqueId(topic: string, messageId: string): Promise<ReceivedMessage | undefined> {
    return messageByUniqueId(this.#context, topic, messageId)
  }
}
