import {
  decodeMessage,
  dlqTopic,
  formatProperties,
  isWriteable,
  offsetMessageId,
  PropertyName,
  parseProperties,
  type Random,
  RequestCode,
  ResponseCode,
  retryTopic,
  type StoredMessage,
} from '@millrace/core'
import type { MessageStore, MessageToAppend } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { Peer, RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, Refusal, withFaq } from '../../requests/answer.js'
import { integerField, optionalIntegerField, textField } from '../../requests/fields.js'
import type { BrokerCounters } from '../counters.js'
import { retryDelayMs } from '../groups/retry-delay.js'
import type { SubscriptionGroups } from '../groups/subscription-groups.js'
import type { Topics } from '../topics/topics.js'
import { type DelaySchedule, dropDelay } from './delay-schedule.js'

export interface SendBackOptions {
  readonly config: () => BrokerConfig
  readonly counters: BrokerCounters
  readonly subscriptionGroups: SubscriptionGroups
  readonly topics: Topics
  readonly store: Pick<MessageStore, 'append' | 'record'>
  readonly schedule: DelaySchedule
  readonly random: Random
}

/** Clients from this version on say how often they want to try (V3_4_9). remoting.md §5 */
const VERSION_WITH_MAX_TRIES = 121
/** Delay level of the first retry, when the client leaves it to us. */
const FIRST_RETRY_LEVEL = 3

/** [36]: a consumer could not process a message and wants it again, later. behaviour.md §10 */
export function sendBackAnswers(options: SendBackOptions): [number, Answer][] {
  return [[RequestCode.CONSUMER_SEND_MSG_BACK, request => sendBack(options, request)]]
}

async function sendBack(options: SendBackOptions, { command, peer }: RemotingRequest): Promise<Reply> {
  const { config, random, schedule, store, subscriptionGroups, topics } = options
  const groupName = textField(command, 'group')
  const position = integerField(command, 'offset')
  const delayLevel = integerField(command, 'delayLevel')
  const group = subscriptionGroups.ensure(groupName)
  if (!group)
    throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, withFaq(`subscription group not exist, ${groupName}`))
  if (!isWriteable(config().brokerPermission))
    throw new Refusal(ResponseCode.NO_PERMISSION, `the broker[${config().brokerName}] sending message is forbidden`)
  if (group.retryQueueNums <= 0) return DONE
  const message = find(store, position)
  const asked =
    command.version >= VERSION_WITH_MAX_TRIES ? optionalIntegerField(command, 'maxReconsumeTimes') : undefined
  const isGivenUp = message.reconsumeTimes >= (asked ?? group.retryMaxTimes) || delayLevel < 0
  const name = isGivenUp ? dlqTopic(groupName) : retryTopic(groupName)
  const topic = await topics.ensureForGroup(name, isGivenUp ? 1 : group.retryQueueNums)
  if (!isWriteable(topic.perm))
    throw new Refusal(ResponseCode.NO_PERMISSION, `the topic[${name}] sending message is forbidden`)
  const retried: MessageToAppend = {
    ...message,
    topic: name,
    queueId: isGivenUp ? 0 : random.int(Math.max(1, topic.writeQueueNums)),
    reconsumeTimes: message.reconsumeTimes + 1,
    storeHost: storeHostFor(peer, config()),
    properties: retryProperties(message, isGivenUp ? 0 : delayLevel || FIRST_RETRY_LEVEL + message.reconsumeTimes),
  }
  const ownDelayMs =
    isGivenUp || delayLevel !== 0 ? undefined : retryDelayMs(group.groupRetryPolicy, message.reconsumeTimes)
  await store.append(
    ownDelayMs === undefined ? schedule.schedule(retried) : schedule.in(ownDelayMs, withoutDelay(retried)),
  )
  const origin = topics.find(parseProperties(retried.properties)[PropertyName.RETRY_TOPIC] ?? message.topic)
  if (origin) options.counters.sentBack(origin, groupName, isGivenUp)
  return DONE
}

function find(store: SendBackOptions['store'], position: number): StoredMessage {
  const record = position < 0 ? undefined : store.record(position)
  const result = record && decodeMessage(record, 0, record.length)
  if (!result?.ok) throw new Refusal(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${position}`)
  return result.message
}

/** Address under which this client reaches the broker: it goes into the new message id. */
function storeHostFor(peer: Peer, config: BrokerConfig): MessageToAppend['storeHost'] {
  return config.brokerIP1 === '' ? peer.local : { host: config.brokerIP1, port: peer.local.port }
}

/** The group's own delay takes the place of the levels. */
function withoutDelay(message: MessageToAppend): MessageToAppend {
  const properties = parseProperties(message.properties)
  dropDelay(properties)
  return { ...message, properties: Buffer.from(formatProperties(properties)) }
}

/** Remembers where the message came from; level 0 takes the delay away. */
function retryProperties(message: StoredMessage, delayLevel: number): Uint8Array {
  const properties = parseProperties(message.properties)
  properties[PropertyName.RETRY_TOPIC] ??= message.topic
  properties[PropertyName.ORIGIN_MESSAGE_ID] ??= offsetMessageId(message.storeHost, message.commitLogOffset)
  if (delayLevel > 0) properties[PropertyName.DELAY] = String(delayLevel)
  else dropDelay(properties)
  return Buffer.from(formatProperties(properties))
}
