import { isRetryTopic, ResponseCode } from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import { propertyFilterOff } from '../filter/filter-answers.js'
import { isTagType, type MessageFilter, MessageFilters } from '../filter/message-filter.js'
import { retryFilter } from '../filter/retry-filter.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'
import { PULL_FLAG, type PullRequest } from './pull-request.js'

const READABLE = 4

/** What a group takes of a topic. */
export interface Subscription {
  readonly subString: string
  readonly expressionType: string
  /** Milliseconds of when it was made, by the consumer's clock. */
  readonly subVersion: number
}

/** What the pull path asks about consumer groups; reads that never wait. */
export interface PullGroups {
  /** Undefined: no such group, and none may be made. */
  find(
    name: string,
  ):
    | { readonly consumeEnable: boolean; readonly consumeBroadcastEnable: boolean; readonly groupSysFlag: number }
    | undefined
  /** Undefined while the group is offline. */
  view(name: string): { readonly messageModel: string } | undefined
  /** What the group's members subscribed to; undefined: the group is offline or not subscribed to the topic. */
  subscription(group: string, topic: string): Subscription | undefined
  isForbidden(group: string, topic: string): boolean
  commitOffset(group: string, topic: string, queueId: number, offset: number): void
  /** Where an operator wants the group to go on in this queue; undefined in the usual case. */
  takeReset(group: string, topic: string, queueId: number): number | undefined
}

/** A pull that was checked and may be read. */
export interface Allowed {
  readonly queue: QueueTail
  readonly topic: Topic
  readonly filter: MessageFilter | undefined
  /** Where the filter comes from; undefined: the pull itself. */
  readonly subscription: Subscription | undefined
  readonly groupSysFlag: number
}

/** The heartbeat that brings the consumer's subscription is on its way. */
export const NOT_YET = { code: ResponseCode.PULL_RETRY_IMMEDIATELY, remark: 'SUBSCRIPTION_NOT_LATEST' }
export interface Refused {
  readonly code: number
  readonly remark: string
  readonly forbiddenType?: string
}

/** May this pull be read, and what does its subscription let through? In RocketMQ's order. behaviour.md §6 */
export class PullChecks {
  private readonly filters = new MessageFilters()

  constructor(
    private readonly config: BrokerConfig,
    private readonly store: LogStore,
    private readonly topics: Topics,
    private readonly groups: PullGroups,
  ) {}

  check(pull: PullRequest): Allowed | Refused {
    const { config } = this
    const { group, topic: topicName, queueId } = pull
    if ((config.brokerPermission & READABLE) === 0) {
      return refused(ResponseCode.NO_PERMISSION, `the broker[${config.brokerName}] pulling message is forbidden`, '1')
    }
    const groupConfig = this.groups.find(group)
    if (groupConfig === undefined)
      return refused(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group [${group}] does not exist`)
    if (!groupConfig.consumeEnable)
      return refused(ResponseCode.NO_PERMISSION, `subscription group no permission, ${group}`, '2')
    if (!groupConfig.consumeBroadcastEnable && this.groups.view(group)?.messageModel === 'BROADCASTING')
      return refused(
        ResponseCode.NO_PERMISSION,
        `the consumer group[${group}] can not consume by broadcast way; allow it with consumeBroadcastEnable`,
        '4',
      )
    const topic = this.topics.find(topicName)
    if (topic === undefined)
      return refused(ResponseCode.TOPIC_NOT_EXIST, `topic[${topicName}] not exist, apply first please!`)
    if ((topic.perm & READABLE) === 0)
      return refused(ResponseCode.NO_PERMISSION, `the topic[${topicName}] pulling message is forbidden`, '3')
    if (queueId < 0 || queueId >= topic.readQueueNums) {
      return refused(
        ResponseCode.INVALID_PARAMETER,
        `queueId[${queueId}] is illegal, topic:[${topicName}] topicConfig.readQueueNums:[${topic.readQueueNums}]`,
      )
    }
    if (this.groups.isForbidden(group, topicName))
      return refused(
        ResponseCode.NO_PERMISSION,
        `the consumer group[${group}] is forbidden for topic[${topicName}]`,
        '5',
      )
    const subscribed = this.filter(pull)
    if ('code' in subscribed) return subscribed
    return {
      ...subscribed,
      queue: this.store.queue(this.store.topic(topicName), queueId),
      topic,
      groupSysFlag: groupConfig.groupSysFlag,
    }
  }

  private filter(pull: PullRequest): Pick<Allowed, 'filter' | 'subscription'> | Refused {
    const { group, topic } = pull
    if ((pull.sysFlag & PULL_FLAG.subscription) !== 0) {
      const result = this.filters.of(pull.expressionType, pull.subscription)
      if (!result.ok)
        return refused(
          ResponseCode.SUBSCRIPTION_PARSE_FAILED,
          `parse the consumer's subscription failed: ${result.reason}`,
        )
      return this.served(pull.expressionType) ?? { filter: this.applied(pull, result.filter), subscription: undefined }
    }
    const subscription = this.groups.subscription(group, topic)
    if (subscription === undefined) {
      return refused(
        ResponseCode.SUBSCRIPTION_NOT_EXIST,
        `the consumer's group info not exist, or group ${group} does not subscribe to ${topic}`,
      )
    }
    // RocketMQ refuses (25) and the consumer waits 3 s, again and again until its next heartbeat has come through.
    if (subscription.subVersion < pull.subVersion) return NOT_YET
    const { expressionType, subString } = subscription
    const result = this.filters.of(expressionType, subString)
    if (!result.ok) {
      return refused(
        ResponseCode.FILTER_DATA_NOT_EXIST,
        `the broker's consumer filter data is not exist: the expression of group ${group} on ${topic} cannot be used, ${result.reason}`,
      )
    }
    return this.served(expressionType) ?? { filter: this.applied(pull, result.filter), subscription }
  }

  private served(expressionType: string): Refused | undefined {
    if (isTagType(expressionType) || this.config.enablePropertyFilter) return undefined
    const { message, responseCode } = propertyFilterOff(expressionType)
    return refused(responseCode, message)
  }

  /** Messages come to a retry topic because they passed the filter before: properties are not looked at again. */
  private applied({ group, topic }: PullRequest, filter: MessageFilter | undefined): MessageFilter | undefined {
    if (!isRetryTopic(topic)) return filter
    if (!this.config.filterSupportRetry) return filter?.takes === undefined ? filter : undefined
    return retryFilter(origin => {
      const subscription = this.groups.subscription(group, origin)
      const result = subscription && this.filters.of(subscription.expressionType, subscription.subString)
      return result?.ok ? result.filter : undefined
    })
  }

  /** Is `subscription` still what the group has? A held pull asks it before it reads. */
  isCurrent(group: string, topic: string, subscription: object | undefined): boolean {
    return subscription === undefined || this.groups.subscription(group, topic) === subscription
  }
}

function refused(code: number, remark: string, forbiddenType?: string): Refused {
  return forbiddenType === undefined ? { code, remark } : { code, remark, forbiddenType }
}
