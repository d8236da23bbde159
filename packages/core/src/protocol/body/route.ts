import { formatJsonBody } from '../json/lenient-json.js'
import {
  asJson,
  booleanOf,
  type Decoded,
  decodeObject,
  type Members,
  membersOf,
  numberOf,
  objectsOf,
  tableOf,
  textOf,
  textsOf,
} from './fields.js'

/** Queues of a topic on one broker. */
export interface QueueData {
  readonly brokerName: string
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  readonly topicSysFlag: number
}

export interface BrokerData {
  readonly cluster: string
  readonly brokerName: string
  /** Broker id ("0" is the master) → host:port. */
  readonly brokerAddrs: Readonly<Record<string, string>>
  readonly enableActingMaster?: boolean
}

/** Body of the answer to GET_ROUTEINFO_BY_TOPIC (105). behaviour.md §1 */
export interface TopicRouteData {
  /** `broker-a:4;broker-b:4`; only for ordered topics. */
  readonly orderTopicConf?: string | undefined
  readonly queueDatas: readonly QueueData[]
  readonly brokerDatas: readonly BrokerData[]
  readonly filterServerTable: Readonly<Record<string, readonly string[]>>
}

/** Body of the answer to GET_BROKER_CLUSTER_INFO (106). */
export interface ClusterInfo {
  readonly brokerAddrTable: Readonly<Record<string, BrokerData>>
  /** Cluster → broker names. */
  readonly clusterAddrTable: Readonly<Record<string, readonly string[]>>
}

function readQueue(members: Members): QueueData {
  return {
    brokerName: textOf(members['brokerName']),
    readQueueNums: numberOf(members['readQueueNums']),
    writeQueueNums: numberOf(members['writeQueueNums']),
    perm: numberOf(members['perm']),
    topicSysFlag: numberOf(members['topicSysFlag']),
  }
}

function readBroker(members: Members): BrokerData {
  return {
    cluster: textOf(members['cluster']),
    brokerName: textOf(members['brokerName']),
    brokerAddrs: tableOf(members['brokerAddrs'], address => textOf(address)),
    enableActingMaster: booleanOf(members['enableActingMaster']),
  }
}

export function decodeTopicRoute(body: Uint8Array | undefined): Decoded<TopicRouteData> {
  return decodeObject(body, members => {
    const order = members['orderTopicConf']
    return {
      ...(typeof order === 'string' ? { orderTopicConf: order } : {}),
      queueDatas: objectsOf(members['queueDatas'], readQueue),
      brokerDatas: objectsOf(members['brokerDatas'], readBroker),
      filterServerTable: tableOf(members['filterServerTable'], textsOf),
    }
  })
}

/** Strict JSON: every Java client reads quoted broker ids. */
export function encodeTopicRoute(route: TopicRouteData): Buffer {
  return formatJsonBody(asJson(route))
}

export function decodeClusterInfo(body: Uint8Array | undefined): Decoded<ClusterInfo> {
  return decodeObject(body, members => ({
    brokerAddrTable: tableOf(members['brokerAddrTable'], broker => readBroker(membersOf(broker))),
    clusterAddrTable: tableOf(members['clusterAddrTable'], textsOf),
  }))
}

export function encodeClusterInfo(info: ClusterInfo): Buffer {
  return formatJsonBody(asJson(info))
}
