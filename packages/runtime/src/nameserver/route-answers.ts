import { encodeClusterInfo, encodeTopicRoute, type QueueData, RequestCode, ResponseCode } from '@millrace/core'
import type { RemotingRequest, Reply } from '../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal, withFaq } from '../requests/answer.js'
import { optionalTextField, textField } from '../requests/fields.js'
import { type KvConfig, ORDER_TOPIC_CONFIG } from './kv-config.js'
import type { RouteTable } from './route-table.js'

/** What the answers depend on. */
export interface RouteAnswerOptions {
  /** Add the order configuration of a topic to its route. */
  readonly orderMessageEnable: boolean
  /** Answer requests for the list of all topics. */
  readonly enableTopicList: boolean
}

const UNIT = 1
const UNIT_SUB = 2

/** Requests that read routes, by code. behaviour.md §1 */
export function routeAnswers(routes: RouteTable, kv: KvConfig, options: RouteAnswerOptions): [number, Answer][] {
  return [
    [RequestCode.GET_ROUTEINFO_BY_TOPIC, request => routeReply(routes, kv, options, request)],
    [RequestCode.GET_BROKER_CLUSTER_INFO, request => clusterReply(routes, request)],
    [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, () => allTopicsReply(routes, options)],
    [
      RequestCode.GET_TOPICS_BY_CLUSTER,
      ({ command }) => {
        const cluster = textField(command, 'cluster')
        return topicsReply(routes, queues => queues.some(queue => routes.clusterOf(queue.brokerName) === cluster))
      },
    ],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, request => systemTopicsReply(routes, request)],
    [RequestCode.GET_UNIT_TOPIC_LIST, () => topicsReply(routes, queues => hasFlag(queues, UNIT))],
    [RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST, () => topicsReply(routes, queues => hasFlag(queues, UNIT_SUB))],
    [
      RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
      () => topicsReply(routes, queues => !hasFlag(queues, UNIT) && hasFlag(queues, UNIT_SUB)),
    ],
    [RequestCode.GET_BROKER_MEMBER_GROUP, request => memberGroupReply(routes, request)],
  ]
}

function routeReply(routes: RouteTable, kv: KvConfig, options: RouteAnswerOptions, request: RemotingRequest): Reply {
  const topic = textField(request.command, 'topic')
  const queues = routes.queuesOf(topic)
  if (queues.length === 0)
    throw new Refusal(
      ResponseCode.TOPIC_NOT_EXIST,
      withFaq(`No topic route info in name server for the topic: ${topic}`),
    )
  const body = encodeTopicRoute({
    brokerDatas: queues.flatMap(queue => routes.brokerData(queue.brokerName, request.peer.local) ?? []),
    filterServerTable: {},
    orderTopicConf: options.orderMessageEnable ? kv.get(ORDER_TOPIC_CONFIG, topic) : undefined,
    queueDatas: queues,
  })
  return { ...DONE, body }
}

function clusterReply(routes: RouteTable, { peer }: RemotingRequest): Reply {
  const brokers = routes.brokerNames().flatMap(name => routes.brokerData(name, peer.local) ?? [])
  const body = encodeClusterInfo({
    brokerAddrTable: Object.fromEntries(brokers.map(broker => [broker.brokerName, broker])),
    clusterAddrTable: Object.fromEntries(routes.clusters()),
  })
  return { ...DONE, body }
}

function allTopicsReply(routes: RouteTable, { enableTopicList }: RouteAnswerOptions): Reply {
  if (!enableTopicList)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      'the list of topics is disabled; set enableTopicList on the nameserver',
    )
  return jsonReply({ topicList: routes.topicNames() })
}

function topicsReply(routes: RouteTable, accepts: (queues: readonly QueueData[]) => boolean): Reply {
  return jsonReply({ topicList: routes.topicsWhere(accepts) })
}

function hasFlag(queues: readonly QueueData[], flag: number): boolean {
  return ((queues[0]?.topicSysFlag ?? 0) & flag) !== 0
}

/** Cluster and broker names are topics too: they address all queues of a cluster or a broker. messages.md §9 */
function systemTopicsReply(routes: RouteTable, { peer }: RemotingRequest): Reply {
  const brokerNames = routes.brokerNames()
  const first = brokerNames[0] === undefined ? undefined : routes.brokerData(brokerNames[0], peer.local)
  return jsonReply({
    brokerAddr: first && Object.values(first.brokerAddrs)[0],
    topicList: [...routes.clusters().keys(), ...brokerNames],
  })
}

function memberGroupReply(routes: RouteTable, { command, peer }: RemotingRequest): Reply {
  const brokerName = textField(command, 'brokerName')
  const cluster = optionalTextField(command, 'clusterName')
  const data = routes.brokerData(brokerName, peer.local)
  return jsonReply({
    brokerMemberGroup: { brokerAddrs: data?.brokerAddrs ?? {}, brokerName, cluster: data?.cluster ?? cluster },
  })
}
