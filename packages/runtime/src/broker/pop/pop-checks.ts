import { isReadable, ResponseCode } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import { Refusal, withFaq } from '../../requests/answer.js'
import type { PullGroups } from '../groups/pull-groups.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'

export interface PopParts {
  readonly config: BrokerConfig
  readonly topics: Topics
  readonly groups: PullGroups
}

/**
 * May this group read this topic at all? In RocketMQ's order; a queue id below 0 means all queues.
 * @throws Refusal 16 | 17 | 29 | 26
 */
export function checkRead(
  { config, groups, topics }: PopParts,
  { group, queueId, topic: name }: { readonly group: string; readonly topic: string; readonly queueId: number },
): Topic {
  if (!isReadable(config.brokerPermission))
    throw new Refusal(ResponseCode.NO_PERMISSION, `the broker[${config.brokerName}] pop message is forbidden`)
  const topic = topics.find(name)
  if (topic === undefined)
    throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, withFaq(`topic[${name}] not exist, apply first please!`))
  if (!isReadable(topic.perm))
    throw new Refusal(ResponseCode.NO_PERMISSION, `the topic[${name}] peeking message is forbidden`)
  if (queueId >= topic.readQueueNums)
    throw new Refusal(
      ResponseCode.INVALID_PARAMETER,
      `queueId[${queueId}] is illegal, topic:[${name}] topicConfig.readQueueNums:[${topic.readQueueNums}]`,
    )
  const settings = groups.find(group)
  if (settings === undefined)
    throw new Refusal(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      withFaq(`subscription group [${group}] does not exist`),
    )
  if (!settings.consumeEnable)
    throw new Refusal(ResponseCode.NO_PERMISSION, `subscription group no permission, ${group}`)
  return topic
}

/**
 * Does this queue exist? For acknowledgements.
 * @throws Refusal 17 | 13
 */
export function checkQueue({ topics }: Pick<PopParts, 'topics'>, name: string, queueId: number): void {
  const topic = topics.find(name)
  if (topic === undefined)
    throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, withFaq(`topic[${name}] not exist, apply first please!`))
  if (queueId < 0 || queueId >= topic.readQueueNums)
    throw new Refusal(
      ResponseCode.MESSAGE_ILLEGAL,
      `queueId[${queueId}] is illegal, topic:[${name}] topicConfig.readQueueNums:[${topic.readQueueNums}]`,
    )
}
