import {
  decodeBatchAck,
  decodeHeartbeat,
  decodeLockBatch,
  decodeTopicConfigList,
  parseLenientJson,
  type RemotingCommand,
  RequestCode,
} from '@millrace/core'
import { parseSubscriptionGroup, parseSubscriptionGroupList } from '../broker/groups/subscription-group.js'
import { bodyOf } from '../requests/body.js'
import type { Action, Need } from './policy.js'
import { groupOf, isRetryTopic } from './resource.js'

/** What must be allowed before a request is served. Throws a Refusal for a body that cannot be read. */
type NeedsOf = (command: RemotingCommand, cluster: string, topicAt: TopicAt) => readonly Need[]

/** Topic that the message at a position of the log belongs to; undefined when there is none. */
export type TopicAt = (position: number) => string | undefined

const PUB: readonly Action[] = ['Pub']
const SUB: readonly Action[] = ['Sub']
const GET: readonly Action[] = ['Get']
const UPDATE: readonly Action[] = ['Update']
const SUB_OR_GET: readonly Action[] = ['Sub', 'Get']
const SUB_OR_UPDATE: readonly Action[] = ['Sub', 'Update']
const LIST: readonly Action[] = ['Get', 'List']
const ROUTE: readonly Action[] = ['Pub', 'Sub', 'Get']

const group = (name: string, actions: readonly Action[]): Need => ({ type: 'Group', name, actions })

/** Retry topics stand for their group, dead-letter topics for themselves, as in RocketMQ. */
function topic(name: string, actions: readonly Action[]): Need {
  return isRetryTopic(name) ? group(retryGroup(name), actions) : { type: 'Topic', name, actions }
}

/** `%RETRY%group`, and pop's `%RETRY%group+topic`. */
function retryGroup(topicName: string): string {
  const name = groupOf(topicName)
  const plus = name.indexOf('+')
  return plus < 0 ? name : name.slice(0, plus)
}

const cluster = (name: string, actions: readonly Action[]): Need => ({ type: 'Cluster', name, actions })

const inCluster =
  (actions: readonly Action[]): NeedsOf =>
  (_command, name) => [cluster(name, actions)]

/** By header fields, written `Topic:topic` or `Group:consumerGroup`. Several names in one field are joined by , or ; */
function byFields(actions: readonly Action[], ...fields: readonly string[]): NeedsOf {
  const parsed = fields.map(field => field.split(':') as [string, string])
  return (command, clusterName) => {
    const needs: Need[] = []
    for (const [type, field] of parsed)
      for (const name of (command.extFields[field] ?? '').split(/[,;]/))
        if (name !== '') needs.push(type === 'Topic' ? topic(name, actions) : group(groupOf(name), actions))
    // Nothing named is everything.
    return needs.length > 0 ? needs : [cluster(clusterName, actions)]
  }
}

/**
 * A message to the topics under any of the names that senders use: the short names of 310 and 320 and the long ones of
 * 10 may stand in one header, so all of them must be allowed.
 */
const toTopics: NeedsOf = command => {
  const names = [command.extFields['b'], command.extFields['topic']].filter(name => name !== undefined)
  return names.map(name => topic(name, isRetryTopic(name) ? SUB : PUB))
}

const nothing: NeedsOf = () => []

/** The queues of a topic for a member of a group: retry topics need nothing beyond the group. */
function consuming(actions: readonly Action[]): NeedsOf {
  return command => {
    const { consumerGroup = '', topic: name = '' } = command.extFields
    const own = group(groupOf(consumerGroup), actions)
    return isRetryTopic(name) && retryGroup(name) === own.name ? [own] : [own, topic(name, actions)]
  }
}

const heartbeat: NeedsOf = command =>
  bodyOf(decodeHeartbeat(command.body)).consumerDataSet.flatMap(({ groupName, subscriptionDataSet }) => [
    group(groupName, SUB),
    ...subscriptionDataSet.map(subscription => topic(subscription.topic, SUB)),
  ])

const locking: NeedsOf = command => {
  const { consumerGroup, mqSet } = bodyOf(decodeLockBatch(command.body))
  return [group(consumerGroup, SUB), ...mqSet.map(queue => topic(queue.topic, SUB))]
}

const batchAck: NeedsOf = command =>
  bodyOf(decodeBatchAck(command.body)).acks.flatMap(ack => [
    group(ack.consumerGroup, SUB),
    ...(isRetryTopic(ack.topic) ? [] : [topic(ack.topic, SUB)]),
  ])

/** Bodies `{topic, consumerGroup}`. */
const assignment: NeedsOf = (command, clusterName) => {
  const parsed = parseLenientJson(command.body ?? Buffer.from('{}'))
  const { topic: name, consumerGroup } = (parsed.ok ? parsed.value : {}) as Record<string, unknown>
  if (typeof name !== 'string' || typeof consumerGroup !== 'string') return [cluster(clusterName, GET)]
  return [group(consumerGroup, SUB), topic(name, SUB)]
}

/**
 * Requests that name a message by its position in the log: what counts is the topic that the message is in, whatever
 * topic the header claims.
 */
function byPosition(field: string, actions: readonly Action[], otherwise: NeedsOf): NeedsOf {
  return (command, clusterName, topicAt) => {
    const position = Number(command.extFields[field])
    const name = Number.isSafeInteger(position) && position >= 0 ? topicAt(position) : undefined
    return name === undefined ? otherwise(command, clusterName, topicAt) : [topic(name, actions)]
  }
}

/** Old clients name no topic: what they end was sent by somebody who might. */
const endTransaction = byPosition('commitLogOffset', PUB, ({ extFields }) =>
  extFields['topic'] ? [topic(extFields['topic'], PUB)] : [],
)

const sendBack: NeedsOf = (command, clusterName, topicAt) => [
  ...byFields(SUB, 'Group:group')(command, clusterName, topicAt),
  ...byPosition('offset', SUB, nothing)(command, clusterName, topicAt),
]

/** Leaving as a producer needs nothing. */
const unregister: NeedsOf = ({ extFields }) =>
  extFields['consumerGroup'] ? [group(groupOf(extFields['consumerGroup']), SUB)] : []

const R = RequestCode

/**
 * Needs by request code, after the annotations of RocketMQ 5.x's request headers. Where those say nothing (any user
 * may), a code is listed here or needs `Update` of the cluster, so that nothing new is open by being forgotten.
 */
const NEEDS: ReadonlyMap<number, NeedsOf> = new Map<number, NeedsOf>([
  [R.SEND_MESSAGE, toTopics],
  [R.SEND_MESSAGE_V2, toTopics],
  [R.SEND_BATCH_MESSAGE, toTopics],
  [R.RECALL_MESSAGE, byFields(PUB, 'Topic:topic')],
  [R.END_TRANSACTION, endTransaction],
  // A reply goes to the client that asked, by a topic of the cluster: no topic of its own to be allowed.
  [R.SEND_REPLY_MESSAGE, nothing],
  [R.SEND_REPLY_MESSAGE_V2, nothing],

  [R.PULL_MESSAGE, consuming(SUB)],
  [R.LITE_PULL_MESSAGE, consuming(SUB)],
  [R.POP_MESSAGE, consuming(SUB)],
  [R.PEEK_MESSAGE, consuming(SUB)],
  [R.ACK_MESSAGE, consuming(SUB)],
  [R.CHANGE_MESSAGE_INVISIBLETIME, consuming(SUB)],
  [R.NOTIFICATION, consuming(SUB)],
  [R.POLLING_INFO, consuming(SUB_OR_GET)],
  [R.BATCH_ACK_MESSAGE, batchAck],
  [R.QUERY_ASSIGNMENT, assignment],
  [R.CONSUMER_SEND_MSG_BACK, sendBack],
  [R.QUERY_CONSUMER_OFFSET, consuming(SUB_OR_GET)],
  [R.UPDATE_CONSUMER_OFFSET, consuming(SUB_OR_UPDATE)],
  [R.GET_CONSUMER_LIST_BY_GROUP, byFields(SUB_OR_GET, 'Group:consumerGroup')],
  [R.LOCK_BATCH_MQ, locking],
  [R.UNLOCK_BATCH_MQ, locking],
  [R.HEART_BEAT, heartbeat],
  [R.UNREGISTER_CLIENT, unregister],
  [R.CHECK_CLIENT_CONFIG, nothing],

  [R.GET_ROUTEINFO_BY_TOPIC, byFields(ROUTE, 'Topic:topic')],
  [R.QUERY_MESSAGE, byFields(SUB_OR_GET, 'Topic:topic')],
  [R.VIEW_MESSAGE_BY_ID, byPosition('offset', SUB_OR_GET, byFields(GET, 'Topic:topic'))],
  [R.SEARCH_OFFSET_BY_TIMESTAMP, byFields(SUB_OR_GET, 'Topic:topic')],
  [R.GET_MAX_OFFSET, byFields(SUB_OR_GET, 'Topic:topic')],
  [R.GET_MIN_OFFSET, byFields(SUB_OR_GET, 'Topic:topic')],
  [R.GET_EARLIEST_MSG_STORETIME, byFields(SUB_OR_GET, 'Topic:topic')],

  [R.UPDATE_AND_CREATE_TOPIC, byFields(['Create'], 'Topic:topic')],
  [
    R.UPDATE_AND_CREATE_TOPIC_LIST,
    command => bodyOf(decodeTopicConfigList(command.body)).map(({ topicName }) => topic(topicName, ['Create'])),
  ],
  [R.DELETE_TOPIC_IN_BROKER, byFields(['Delete'], 'Topic:topic')],
  [R.GET_TOPIC_CONFIG, byFields(GET, 'Topic:topic')],
  [R.GET_TOPIC_STATS_INFO, byFields(GET, 'Topic:topic')],
  [R.QUERY_TOPIC_CONSUME_BY_WHO, byFields(GET, 'Topic:topic')],
  [R.QUERY_CONSUME_QUEUE, byFields(GET, 'Topic:topic', 'Group:consumerGroup')],
  [R.RESUME_CHECK_HALF_MESSAGE, byFields(UPDATE, 'Topic:topic')],
  [
    R.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    command => [group(parseSubscriptionGroup(command.body).groupName, ['Create', 'Update'])],
  ],
  [
    R.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
    command => parseSubscriptionGroupList(command.body).map(({ groupName }) => group(groupName, ['Create', 'Update'])),
  ],
  [R.DELETE_SUBSCRIPTIONGROUP, byFields(['Delete'], 'Group:groupName')],
  [R.GET_SUBSCRIPTIONGROUP_CONFIG, byFields(GET, 'Group:group')],
  [R.UPDATE_AND_GET_GROUP_FORBIDDEN, byFields(UPDATE, 'Group:group', 'Topic:topic')],
  [R.GET_CONSUMER_CONNECTION_LIST, byFields(GET, 'Group:consumerGroup')],
  [R.GET_CONSUME_STATS, byFields(GET, 'Group:consumerGroup', 'Topic:topic', 'Topic:topicList')],
  [R.GET_CONSUMER_RUNNING_INFO, byFields(GET, 'Group:consumerGroup')],
  [R.CONSUME_MESSAGE_DIRECTLY, byFields(SUB, 'Group:consumerGroup', 'Topic:topic')],
  [R.QUERY_TOPICS_BY_CONSUMER, byFields(GET, 'Group:group')],
  [R.QUERY_SUBSCRIPTION_BY_CONSUMER, byFields(GET, 'Group:group', 'Topic:topic')],
  [R.QUERY_CONSUME_TIME_SPAN, byFields(GET, 'Topic:topic', 'Group:group')],
  [R.QUERY_CORRECTION_OFFSET, byFields(GET, 'Topic:topic', 'Group:compareGroup', 'Group:filterGroups')],
  [R.INVOKE_BROKER_TO_RESET_OFFSET, byFields(UPDATE, 'Group:group', 'Topic:topic')],
  [R.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, byFields(GET, 'Group:group', 'Topic:topic')],
  [R.CLONE_GROUP_OFFSET, byFields(UPDATE, 'Group:destGroup', 'Topic:topic')],

  ...[
    R.GET_BROKER_CONFIG,
    R.GET_BROKER_RUNTIME_INFO,
    R.GET_NAMESRV_CONFIG,
    R.GET_KV_CONFIG,
    R.GET_KVLIST_BY_NAMESPACE,
    R.GET_BROKER_CLUSTER_INFO,
    R.GET_BROKER_MEMBER_GROUP,
    R.GET_BROKER_HA_STATUS,
    R.GET_PRODUCER_CONNECTION_LIST,
    R.GET_ALL_PRODUCER_INFO,
    R.GET_ALL_CONSUMER_OFFSET,
    R.GET_ALL_DELAY_OFFSET,
    R.GET_ALL_MESSAGE_REQUEST_MODE,
    R.GET_TIMER_CHECK_POINT,
    R.GET_TIMER_METRICS,
    R.VIEW_BROKER_STATS_DATA,
    R.GET_BROKER_CONSUME_STATS,
    R.QUERY_DATA_VERSION,
    R.GET_COLD_DATA_FLOW_CTR_INFO,
    R.AUTH_GET_USER,
    R.AUTH_LIST_USER,
    R.AUTH_GET_ACL,
    R.AUTH_LIST_ACL,
  ].map(code => [code, inCluster(GET)] as const),
  ...[
    R.GET_ALL_TOPIC_CONFIG,
    R.GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
    R.GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
    R.GET_TOPICS_BY_CLUSTER,
    R.GET_SYSTEM_TOPIC_LIST_FROM_NS,
    R.GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
    R.GET_UNIT_TOPIC_LIST,
    R.GET_HAS_UNIT_SUB_TOPIC_LIST,
    R.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
  ].map(code => [code, inCluster(LIST)] as const),
])

const ADMINISTRATION = inCluster(UPDATE)

/**
 * What a request does, to what: all of it must be allowed.
 * @throws Refusal when its body cannot be read
 */
export function needsOf(command: RemotingCommand, clusterName: string, topicAt: TopicAt): readonly Need[] {
  return (NEEDS.get(command.code) ?? ADMINISTRATION)(command, clusterName, topicAt)
}
