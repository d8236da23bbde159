import {
  decodeQueueOffsets,
  type JsonInput,
  type MessageQueue,
  MillraceError,
  parseOffsetMessageId,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { OutgoingRequest, RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal } from '../../requests/answer.js'
import { optionalTextField, textField } from '../../requests/fields.js'
import type { GroupMember, GroupRegistry } from '../groups/group-registry.js'
import type { SubscriptionGroups } from '../groups/subscription-groups.js'
import type { TopicTable } from '../topics/topic-table.js'

export interface ClientCallOptions {
  readonly config: BrokerConfig
  readonly registry: GroupRegistry
  readonly subscriptionGroups: SubscriptionGroups
  readonly topics: TopicTable
  readonly store: Pick<MessageStore, 'findByKey' | 'record'>
}

/** @see RocketMQ `Broker2Client#callClient` and `#getConsumeStatus` */
const CALL_DEADLINE_MS = 10_000
const STATUS_DEADLINE_MS = 5_000
/** First client versions that know the requests. remoting.md §5 */
const V3_0_7_SNAPSHOT = 28
const V3_1_8_SNAPSHOT = 62

/** Requests of operators that are passed on to a consumer, whose answer is passed back. behaviour.md §18, §20 */
export function clientCallAnswers(options: ClientCallOptions): [number, Answer][] {
  return [
    [RequestCode.GET_CONSUMER_RUNNING_INFO, request => runningInfo(options, request)],
    [RequestCode.CONSUME_MESSAGE_DIRECTLY, request => consumeDirectly(options, request)],
    [RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, request => consumerStatus(options, request)],
  ]
}

function runningInfo({ registry }: ClientCallOptions, { command }: RemotingRequest): Promise<Reply> {
  const { body, code, extFields } = command
  const group = textField(command, 'consumerGroup')
  return callMember(registry, group, textField(command, 'clientId'), { code, extFields, ...(body && { body }) })
}

/** The client gets the stored message, and is told whether topic and group belong to a unit. */
function consumeDirectly(options: ClientCallOptions, { command }: RemotingRequest): Promise<Reply> {
  const { config, registry, subscriptionGroups, topics } = options
  const group = textField(command, 'consumerGroup')
  const clientId = textField(command, 'clientId')
  memberOf(registry, group, clientId)
  const msgId = textField(command, 'msgId')
  const topic = optionalTextField(command, 'topic')
  const record = recordOf(options.store, msgId, topic)
  if (!record)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `message ${msgId} is not stored on broker ${config.brokerName}; give the id the broker made, or the topic as well`,
    )
  const extFields = {
    ...command.extFields,
    brokerName: config.brokerName,
    topicSysFlag: String((topic === undefined ? undefined : topics.find(topic)?.topicSysFlag) ?? 0),
    groupSysFlag: String(subscriptionGroups.find(group)?.groupSysFlag ?? 0),
  }
  return callMember(registry, group, clientId, { code: command.code, extFields, body: record })
}

/** By the id that says where the message is stored, else by the producer's, which looks the same. */
function recordOf(store: ClientCallOptions['store'], msgId: string, topic: string | undefined): Buffer | undefined {
  const position = parseOffsetMessageId(msgId)?.commitLogOffset
  const record = position === undefined ? undefined : store.record(position)
  if (record || topic === undefined) return record
  const range = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 1, uniqueOnly: true }
  return store.findByKey(topic, msgId, range)[0]
}

function memberOf(registry: GroupRegistry, group: string, clientId: string): GroupMember {
  const members = registry.find(group)?.members.values() ?? []
  const member = [...members].find(one => one.clientId === clientId)
  if (!member) throw new Refusal(ResponseCode.SYSTEM_ERROR, `The Consumer <${group}> <${clientId}> not online`)
  return member
}

async function callMember(
  registry: GroupRegistry,
  group: string,
  clientId: string,
  request: OutgoingRequest,
): Promise<Reply> {
  const { peer, version } = memberOf(registry, group, clientId)
  if (version < V3_1_8_SNAPSHOT) {
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `The Consumer <${clientId}> Version <${version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`,
    )
  }
  try {
    const { body, code, extFields, remark } = await peer.call(request, CALL_DEADLINE_MS)
    return { code, remark, extFields, body }
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'TIMEOUT')
      throw new Refusal(ResponseCode.CONSUME_MSG_TIMEOUT, `consumer <${group}> <${clientId}> Timeout: ${error.message}`)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `invoke consumer <${group}> <${clientId}> Exception: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** [223]: how far each member, or the one with `clientAddr` as its id, is in its queues. Who does not answer is left out. */
async function consumerStatus({ registry }: ClientCallOptions, { command }: RemotingRequest): Promise<Reply> {
  const group = textField(command, 'group')
  const topic = textField(command, 'topic')
  const only = optionalTextField(command, 'clientAddr')
  const members = [...(registry.find(group)?.members.values() ?? [])]
  if (members.length === 0)
    throw new Refusal(ResponseCode.SYSTEM_ERROR, `No Any Consumer online in the consumer group: [${group}]`)
  const old = members.find(member => member.version < V3_0_7_SNAPSHOT)
  if (old) throw tooOld(old)
  const request = { code: RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, extFields: { group, topic } }
  const asked = members.filter(member => only === undefined || member.clientId === only)
  const answers = await Promise.all(
    asked.map(async ({ clientId, peer }): Promise<[string, ReadonlyMap<MessageQueue, number>] | undefined> => {
      const answer = await peer.call(request, STATUS_DEADLINE_MS).catch(() => undefined)
      if (answer?.code !== ResponseCode.SUCCESS) return undefined
      const offsets = decodeQueueOffsets(answer.body, 'messageQueueTable')
      return offsets.ok ? [clientId, offsets.value] : undefined
    }),
  )
  const consumerTable = new Map<string, JsonInput>(
    answers.filter(answer => answer !== undefined).map(([clientId, offsets]) => [clientId, offsets as JsonInput]),
  )
  return jsonReply({ consumerTable, messageQueueTable: {} })
}

function tooOld(member: GroupMember): Refusal {
  return new Refusal(
    ResponseCode.SYSTEM_ERROR,
    `the client does not support this feature. version=${member.version}, client=${member.clientId}; update it to 3.0.7 or later`,
  )
}

/**
 * [220]: tells every member of a group where to go on. @throws Refusal 206 when nobody is online, 1 when a member's
 * client is too old: nobody is told then.
 */
export function tellOffsets(
  registry: GroupRegistry,
  group: string,
  fields: Readonly<Record<string, string>>,
  bodyFor: (language: string) => Buffer,
): Reply {
  const members = [...(registry.find(group)?.members.values() ?? [])]
  if (members.length === 0)
    throw new Refusal(
      ResponseCode.CONSUMER_NOT_ONLINE,
      `Consumer not online, so can not reset offset, Group: ${group} Topic: ${fields['topic'] ?? ''} Timestamp: ${fields['timestamp'] ?? ''}`,
    )
  const old = members.find(member => member.version < V3_0_7_SNAPSHOT)
  if (old) throw tooOld(old)
  const code = RequestCode.RESET_CONSUMER_CLIENT_OFFSET
  for (const { language, peer } of members) peer.notify({ code, extFields: fields, body: bodyFor(language) })
  return DONE
}
