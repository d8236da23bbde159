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

/** Version of a broker's table: grows with each change. */
export interface DataVersion {
  readonly counter: number
  readonly stateVersion: number
  /** Milliseconds. */
  readonly timestamp: number
}

export interface TopicConfig {
  readonly topicName: string
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  /** SINGLE_TAG or MULTI_TAG. */
  readonly topicFilterType: string
  readonly topicSysFlag: number
  readonly order: boolean
  readonly attributes: Readonly<Record<string, string>>
}

/** Body of the answer to GET_ALL_TOPIC_CONFIG (21), and inside REGISTER_BROKER. */
export interface TopicConfigTable {
  readonly dataVersion: DataVersion
  readonly topicConfigTable: Readonly<Record<string, TopicConfig>>
}

/** Body of REGISTER_BROKER (103), uncompressed. behaviour.md §1 */
export interface RegisterBrokerBody {
  readonly topicConfigSerializeWrapper: TopicConfigTable
  readonly filterServerList: readonly string[]
}

export function readDataVersion(members: Members): DataVersion {
  return {
    counter: numberOf(members['counter']),
    stateVersion: numberOf(members['stateVersion']),
    timestamp: numberOf(members['timestamp']),
  }
}

/** Defaults are those of the Java class: 16 queues, read and write. */
export function readTopicConfig(members: Members, name = ''): TopicConfig {
  return {
    topicName: textOf(members['topicName'], name),
    readQueueNums: numberOf(members['readQueueNums'], 16),
    writeQueueNums: numberOf(members['writeQueueNums'], 16),
    perm: numberOf(members['perm'], 6),
    topicFilterType: textOf(members['topicFilterType'], 'SINGLE_TAG'),
    topicSysFlag: numberOf(members['topicSysFlag']),
    order: booleanOf(members['order']),
    attributes: tableOf(members['attributes'], value => textOf(value)),
  }
}

function readTable(members: Members): TopicConfigTable {
  return {
    dataVersion: readDataVersion(membersOf(members['dataVersion'])),
    topicConfigTable: tableOf(members['topicConfigTable'], (config, name) => readTopicConfig(membersOf(config), name)),
  }
}

export function decodeTopicConfig(body: Uint8Array | undefined): Decoded<TopicConfig> {
  return decodeObject(body, members => readTopicConfig(members))
}

export function encodeTopicConfig(config: TopicConfig): Buffer {
  return formatJsonBody(asJson(config))
}

/** Body of UPDATE_AND_CREATE_TOPIC_LIST (18). */
export function decodeTopicConfigList(body: Uint8Array | undefined): Decoded<TopicConfig[]> {
  return decodeObject(body, members => objectsOf(members['topicConfigList'], config => readTopicConfig(config)))
}

export function decodeTopicConfigTable(body: Uint8Array | undefined): Decoded<TopicConfigTable> {
  return decodeObject(body, readTable)
}

/** The official wrapper also has the tables of static topics; we have none, and write them empty. */
export function encodeTopicConfigTable(table: TopicConfigTable): Buffer {
  return formatJsonBody(withStaticTopics(table))
}

export function decodeRegisterBroker(body: Uint8Array | undefined): Decoded<RegisterBrokerBody> {
  return decodeObject(body, members => ({
    topicConfigSerializeWrapper: readTable(membersOf(members['topicConfigSerializeWrapper'])),
    filterServerList: textsOf(members['filterServerList']),
  }))
}

export function encodeRegisterBroker(body: RegisterBrokerBody): Buffer {
  return formatJsonBody({
    filterServerList: body.filterServerList,
    topicConfigSerializeWrapper: withStaticTopics(body.topicConfigSerializeWrapper),
  })
}

function withStaticTopics({ dataVersion, topicConfigTable }: TopicConfigTable) {
  return {
    dataVersion: asJson(dataVersion),
    mappingDataVersion: { counter: 0, stateVersion: 0, timestamp: dataVersion.timestamp },
    topicConfigTable: asJson(topicConfigTable),
    topicQueueMappingDetailMap: {},
    topicQueueMappingInfoMap: {},
  }
}
