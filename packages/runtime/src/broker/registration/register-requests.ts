import { crc32 } from 'node:zlib'
import { type DataVersion, encodeTopicRoute, RequestCode, type TopicConfig } from '@millrace/core'
import type { BrokerIdentity } from '../../nameserver/registration.js'
import { type Topic, topicConfigOf } from '../topics/topic.js'
import type { WireRequest } from './wire-connection.js'

/** A broker and where clients find it. */
export interface RegisteredBroker extends BrokerIdentity {
  /** `host:port` */
  readonly address: string
  /** After this long without a word the nameserver takes the broker as gone. */
  readonly timeoutMs: number
}

/** [103]: the broker and all its topics. */
export function registerBrokerRequest(
  broker: RegisteredBroker,
  topics: Iterable<Topic>,
  dataVersion: DataVersion,
): WireRequest {
  const topicConfigTable: Record<string, TopicConfig> = Object.create(null)
  for (const topic of topics) topicConfigTable[topic.name] = topicConfigOf(topic)
  // RegisterBrokerBody. Not by `formatJson`, which takes several times as long: topics may be many.
  const { timestamp } = dataVersion
  const topicConfigSerializeWrapper = {
    dataVersion,
    mappingDataVersion: { counter: 0, stateVersion: 0, timestamp },
    topicConfigTable,
    topicQueueMappingDetailMap: {},
    topicQueueMappingInfoMap: {},
  }
  const body = Buffer.from(JSON.stringify({ filterServerList: [], topicConfigSerializeWrapper }))
  return {
    code: RequestCode.REGISTER_BROKER,
    extFields: {
      ...identityFields(broker),
      // Replicas would connect there; there are none.
      haServerAddr: broker.address,
      heartbeatTimeoutMillis: String(broker.timeoutMs),
      enableActingMaster: 'false',
      compressed: 'false',
      bodyCrc32: String(crc32(body) | 0),
    },
    body,
  }
}

/** [217]: one topic, for nameservers that know the broker already. */
export function registerTopicRequest(broker: RegisteredBroker, topic: Topic): WireRequest {
  const { perm, readQueueNums, topicSysFlag, writeQueueNums } = topic
  const { address, brokerId, brokerName, clusterName } = broker
  const body = encodeTopicRoute({
    brokerDatas: [{ brokerAddrs: { [brokerId]: address }, brokerName, cluster: clusterName }],
    filterServerTable: {},
    queueDatas: [{ brokerName, perm, readQueueNums, topicSysFlag, writeQueueNums }],
  })
  return { code: RequestCode.REGISTER_TOPIC_IN_NAMESRV, extFields: { topic: topic.name }, body }
}

/** [104]: the broker leaves. */
export function unregisterBrokerRequest(broker: RegisteredBroker): WireRequest {
  return { code: RequestCode.UNREGISTER_BROKER, extFields: identityFields(broker) }
}

function identityFields(broker: RegisteredBroker): Readonly<Record<string, string>> {
  return {
    brokerName: broker.brokerName,
    brokerAddr: broker.address,
    clusterName: broker.clusterName,
    brokerId: String(broker.brokerId),
  }
}
