import {
  decodeTopicConfigList,
  encodeTopicConfig,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type TopicConfig,
} from '@millrace/core'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal, textReply } from '../../requests/answer.js'
import { changesOf } from '../../requests/attributes.js'
import { bodyOf } from '../../requests/body.js'
import {
  booleanField,
  integerField,
  optionalIntegerField,
  optionalTextField,
  textField,
} from '../../requests/fields.js'
import type { SystemTopics } from './system-topics.js'
import { topicConfigOf } from './topic.js'
import type { TopicAdmin, TopicRequest } from './topic-admin.js'
import type { TopicTable } from './topic-table.js'

/** Requests about topics, by code. behaviour.md §4, §18 */
export function topicAnswers(
  table: TopicTable,
  admin: TopicAdmin,
  systemTopics: SystemTopics,
  storedTopics: () => string[],
): [number, Answer][] {
  return [
    [
      RequestCode.UPDATE_AND_CREATE_TOPIC,
      async ({ command }) => {
        await admin.createOrUpdate(readTopicRequest(command))
        return DONE
      },
    ],
    [
      RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
      async ({ command }) => {
        const configs = bodyOf(decodeTopicConfigList(command.body))
        await Promise.all(configs.map(config => admin.createOrUpdate(requestOf(config))))
        return DONE
      },
    ],
    [
      RequestCode.DELETE_TOPIC_IN_BROKER,
      async ({ command }) => {
        await admin.delete(textField(command, 'topic'))
        return DONE
      },
    ],
    [
      RequestCode.CLEAN_UNUSED_TOPIC,
      async () => {
        await admin.forgetUnknown(storedTopics())
        return DONE
      },
    ],
    [RequestCode.GET_ALL_TOPIC_CONFIG, request => allTopicsReply(table, request)],
    [RequestCode.GET_TOPIC_CONFIG, request => topicReply(table, request)],
    [
      RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
      () => jsonReply({ topicList: [...table.all()].map(topic => topic.name).filter(name => systemTopics.has(name)) }),
    ],
  ]
}

function readTopicRequest(command: RemotingCommand): TopicRequest {
  return {
    topicName: command.extFields['topic'] ?? '',
    readQueueNums: integerField(command, 'readQueueNums'),
    writeQueueNums: integerField(command, 'writeQueueNums'),
    perm: integerField(command, 'perm'),
    topicFilterType: filterTypeOf(optionalTextField(command, 'topicFilterType')),
    topicSysFlag: optionalIntegerField(command, 'topicSysFlag') ?? 0,
    order: booleanField(command, 'order', false),
    attributeChanges: optionalTextField(command, 'attributes'),
  }
}

function requestOf({ attributes, ...config }: TopicConfig): TopicRequest {
  return {
    ...config,
    topicFilterType: filterTypeOf(config.topicFilterType),
    attributeChanges: changesOf(attributes).join(','),
  }
}

function filterTypeOf(text: string | undefined): string {
  return text === 'MULTI_TAG' ? text : 'SINGLE_TAG'
}

/** All topics, or with `topicSeq` and `maxTopicNum` a slice in name order. */
function allTopicsReply(table: TopicTable, { command }: RemotingRequest): Reply {
  const begin = optionalIntegerField(command, 'topicSeq')
  const count = optionalIntegerField(command, 'maxTopicNum')
  const names = [...table.all()].map(topic => topic.name)
  const wanted = begin === undefined ? names : names.sort().slice(begin, begin + (count ?? names.length))
  const topicConfigTable: Record<string, TopicConfig> = Object.create(null)
  for (const name of wanted) {
    const topic = table.find(name)
    if (topic) topicConfigTable[name] = topicConfigOf(topic)
  }
  const { counter, stateVersion, timestamp } = table.dataVersion
  const body = {
    dataVersion: { counter, stateVersion, timestamp },
    mappingDataVersion: { counter: 0, stateVersion: 0, timestamp },
    topicConfigTable,
    topicQueueMappingDetailMap: {},
    topicQueueMappingInfoMap: {},
  }
  // Not `formatJson`, which takes several times as long: the broker stands still meanwhile, and topics may be many.
  return textReply(JSON.stringify(body), { totalTopicNum: String(table.size) })
}

function topicReply(table: TopicTable, { command }: RemotingRequest): Reply {
  const name = textField(command, 'topic')
  const topic = table.find(name)
  if (!topic) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `No topic in this broker. topic: ${name}`)
  return { ...DONE, body: encodeTopicConfig(topicConfigOf(topic)) }
}
