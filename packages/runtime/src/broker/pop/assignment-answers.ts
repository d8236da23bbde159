import {
  allocateQueues,
  type Decoded,
  isReadable,
  isRetryTopic,
  type MessageQueue,
  parseLenientJson,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal } from '../../requests/answer.js'
import { asJson, bodyOf } from '../../requests/body.js'
import { clientIdsOf, type GroupRegistry } from '../groups/group-registry.js'
import type { SubscriptionGroups } from '../groups/subscription-groups.js'
import type { TopicTable } from '../topics/topic-table.js'
import { allocateForPop, serverStrategy } from './assignment.js'
import { decodeRequestMode, type RequestModes } from './request-modes.js'

export interface AssignmentOptions {
  readonly config: () => BrokerConfig
  readonly modes: RequestModes
  readonly registry: GroupRegistry
  readonly subscriptionGroups: SubscriptionGroups
  readonly topics: TopicTable
}

const BROADCASTING = 'BROADCASTING'

/** Queues that the broker shares out instead of its clients [400], and how they are consumed [401] [402]. behaviour.md §3 */
export function assignmentAnswers(options: AssignmentOptions): [number, Answer][] {
  return [
    [RequestCode.QUERY_ASSIGNMENT, request => queryAssignment(options, request)],
    [RequestCode.SET_MESSAGE_REQUEST_MODE, request => setMode(options, request)],
    [RequestCode.GET_ALL_MESSAGE_REQUEST_MODE, () => jsonReply({ messageRequestModeMap: asJson(options.modes.all()) })],
  ]
}

interface AssignmentQuery {
  readonly topic: string
  readonly consumerGroup: string
  readonly clientId: string
  readonly strategyName: string
  readonly messageModel: string
}

/** `messageQueueAssignments` left out tells the client to keep what it has; an empty list, that it owns nothing. */
function queryAssignment(options: AssignmentOptions, { command }: RemotingRequest): Reply {
  const query = bodyOf(decodeQuery(command.body))
  const { mode, popShareQueueNum } = options.modes.of(query.topic, query.consumerGroup)
  const queues = assign(options, query, mode === 'POP' ? popShareQueueNum : undefined)
  if (queues === undefined) return jsonReply({})
  return jsonReply({ messageQueueAssignments: queues.map(queue => ({ messageQueue: asJson(queue), mode })) })
}

function assign(
  { config, registry, topics }: AssignmentOptions,
  { clientId, consumerGroup, messageModel, strategyName, topic }: AssignmentQuery,
  popShareCount: number | undefined,
): MessageQueue[] | undefined {
  const queues = queuesOf(config().brokerName, topics, topic)
  if (queues === undefined || messageModel === BROADCASTING || !config().serverLoadBalancerEnable) return queues
  const group = registry.find(consumerGroup)
  const strategy = serverStrategy(strategyName)
  if (group === undefined || strategy === undefined) return undefined
  const clientIds = clientIdsOf(group)
  return popShareCount === undefined
    ? allocateQueues(strategy, clientId, clientIds, queues)
    : allocateForPop(strategy, clientId, clientIds, queues, popShareCount)
}

/** Undefined: there is no such topic. */
function queuesOf(brokerName: string, topics: TopicTable, name: string): MessageQueue[] | undefined {
  const topic = topics.find(name)
  if (topic === undefined) return undefined
  const count = isReadable(topic.perm) ? topic.readQueueNums : 0
  return Array.from({ length: count }, (_, queueId) => ({ topic: name, brokerName, queueId }))
}

function decodeQuery(body: Buffer | undefined): Decoded<AssignmentQuery> {
  const parsed = parseLenientJson(body ?? '')
  if (!parsed.ok) return parsed
  const members = Object(parsed.value) as Record<string, unknown>
  const text = (name: string): string => (typeof members[name] === 'string' ? (members[name] as string) : '')
  const query = {
    topic: text('topic'),
    consumerGroup: text('consumerGroup'),
    clientId: text('clientId'),
    strategyName: text('strategyName'),
    messageModel: text('messageModel'),
  }
  return query.topic === '' || query.consumerGroup === ''
    ? { ok: false, reason: 'the body names no topic or no consumerGroup' }
    : { ok: true, value: query }
}

/** Durable before the answer. */
async function setMode(
  { modes, subscriptionGroups, topics }: AssignmentOptions,
  { command }: RemotingRequest,
): Promise<Reply> {
  const mode = bodyOf(decodeRequestMode(command.body))
  if (isRetryTopic(mode.topic)) throw new Refusal(ResponseCode.NO_PERMISSION, 'retry topic is not allowed to set mode')
  if (topics.find(mode.topic) === undefined)
    throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `topic[${mode.topic}] not exist`)
  if (subscriptionGroups.ensure(mode.consumerGroup) === undefined)
    throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, 'subscription group does not exist')
  await modes.set(mode)
  return DONE
}
