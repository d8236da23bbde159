import { ResponseCode } from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'
import { PULL_FLAG, type PullRequest } from './pull-request.js'
import { type TagFilter, TagFilters } from './tag-filter.js'

const READABLE = 4

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
  subscription(
    group: string,
    topic: string,
  ): { readonly subString: string; readonly expressionType: string; readonly subVersion: number } | undefined
  commitOffset(group: string, topic: string, queueId: number, offset: number): void
  /** Where an operator wants the group to go on in this queue; undefined in the usual case. */
  takeReset(group: string, topic: string, queueId: number): number | undefined
}

/** A pull that was checked and may be read. */
export interface Allowed {
  readonly queue: QueueTail
  readonly topic: Topic
  readonly filter: TagFilter
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
  private readonly filters = new TagFilters()

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
    const filter = this.filter(pull)
    if (filter !== undefined && 'code' in filter) return filter
    return {
      queue: this.store.queue(this.store.topic(topicName), queueId),
      topic,
      filter,
      groupSysFlag: groupConfig.groupSysFlag,
    }
  }

  private filter(pull: PullRequest): TagFilter | Refused {
    const { group, topic } = pull
    let { subscription: expression, expressionType } = pull
    if ((pull.sysFlag & PULL_FLAG.subscription) === 0) {
      const subscription = this.groups.subscription(group, topic)
      if (subscription === undefined) {
        return refused(
          ResponseCode.SUBSCRIPTION_NOT_EXIST,
          `the consumer's group info not exist, or group ${group} does not subscribe to ${topic}`,
        )
      }
      // RocketMQ refuses (25) and the consumer waits 3 s, again and again until its next heartbeat has come through.
      if (subscription.subVersion < pull.subVersion) return NOT_YET
      expression = subscription.subString
      expressionType = subscription.expressionType
    }
    if (expressionType !== '' && expressionType !== 'TAG') {
      return refused(
        ResponseCode.SYSTEM_ERROR,
        `The broker does not support consumer to filter message by ${expressionType}`,
      )
    }
    return this.filters.of(expression)
  }
}

function refused(code: number, remark: string, forbiddenType?: string): Refused {
  return forbiddenType === undefined ? { code, remark } : { code, remark, forbiddenType }
}
