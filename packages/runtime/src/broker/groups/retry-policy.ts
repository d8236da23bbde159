import { type Clock, dlqTopic, RETRY_TOPIC_PREFIX, ResponseCode, retryTopic } from '@millrace/core'
import { Refusal, withFaq } from '../../requests/answer.js'
import type { Topics } from '../topics/topics.js'
import type { QueueLocks } from './queue-locks.js'
import type { SubscriptionGroups } from './subscription-groups.js'

export interface RetryParts {
  readonly clock: Clock
  readonly locks: QueueLocks
  readonly subscriptionGroups: SubscriptionGroups
  readonly topics: Topics
}

/**
 * Where a message goes that a consumer sends to its own retry topic: there, or to the dead letters when it was
 * consumed too often, or when the group consumes in order and would be held up by a retry. Either topic exists when
 * this resolves. behaviour.md §5 no. 7
 * @throws Refusal 26, and what `Topics.ensureForGroup` throws
 */
export async function retryTarget(
  { clock, locks, subscriptionGroups, topics }: RetryParts,
  topic: string,
  reconsumeTimes: number,
  maxReconsumeTimes: number | undefined,
): Promise<string> {
  const name = topic.slice(RETRY_TOPIC_PREFIX.length)
  const group = subscriptionGroups.ensure(name)
  if (!group)
    throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, withFaq(`subscription group not exist, ${name}`))
  const isGivenUp = reconsumeTimes > (maxReconsumeTimes ?? group.retryMaxTimes) || locks.isHeld(name, clock.now())
  const target = isGivenUp ? dlqTopic(name) : retryTopic(name)
  await topics.ensureForGroup(target, isGivenUp ? 1 : Math.max(1, group.retryQueueNums))
  return target
}
