import {
  formatAddress,
  type MessageQueue,
  MillraceError,
  PropertyName,
  parseOffsetMessageId,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import { type ClientContext, requestAddress } from '../client-context.js'
import { receivedMessages } from '../consumer/decode.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import { RequestError } from '../errors.js'

const LONG_MAX = '9223372036854775807'

export interface QueryOptions {
  /** At most this many messages of each broker, default 32. */
  readonly max?: number | undefined
  /** Stored at or after this time, in milliseconds since the epoch. */
  readonly from?: number | undefined
  /** Stored at or before this time. */
  readonly to?: number | undefined
}

/** The message with an id that a broker gave. The broker is found by the address inside the id. */
export async function viewMessage(context: ClientContext, offsetMessageId: string): Promise<ReceivedMessage> {
  const id = parseOffsetMessageId(offsetMessageId)
  if (!id)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"${offsetMessageId}" is not a message id that a broker gave; for an id of a producer use messageByUniqueId`,
    )
  const what = `view of message ${offsetMessageId}`
  const request = { code: RequestCode.VIEW_MESSAGE_BY_ID, fields: { offset: String(id.commitLogOffset) } }
  const answer = await requestAddress(context, formatAddress(id.storeHost), what, request)
  const [message] = await receivedMessages(what, answer.body, (topic, queueId) => ({ topic, queueId, brokerName: '' }))
  if (!message) throw new MillraceError('PROTOCOL', `${what} brought no message`)
  return message
}

/** Messages that have the key, newest first. */
export async function messagesByKey(
  context: ClientContext,
  topic: string,
  key: string,
  options: QueryOptions,
): Promise<ReceivedMessage[]> {
  const messages = await query(context, topic, key, options, {})
  // The broker's index goes by hash, so that another key can come with it.
  return messages.filter(message => message.keys?.split(' ').includes(key))
}

/** The message with an id that its producer gave; undefined when no broker of the topic has it. */
export async function messageByUniqueId(
  context: ClientContext,
  topic: string,
  messageId: string,
): Promise<ReceivedMessage | undefined> {
  const messages = await query(context, topic, messageId, {}, { _UNIQUE_KEY_QUERY: 'true' })
  return messages.find(message => message.properties[PropertyName.UNIQ_KEY] === messageId)
}

async function query(
  context: ClientContext,
  topic: string,
  key: string,
  options: QueryOptions,
  extra: Readonly<Record<string, string>>,
): Promise<ReceivedMessage[]> {
  const route = await context.routes.load(topic)
  const fields = {
    topic,
    key,
    maxNum: String(options.max ?? 32),
    beginTimestamp: String(options.from ?? 0),
    endTimestamp: options.to === undefined ? LONG_MAX : String(options.to),
    ...extra,
  }
  const perBroker = [...route.brokers.keys()].map(brokerName => queryBroker(context, brokerName, topic, fields))
  const messages = (await Promise.all(perBroker)).flat()
  return messages.sort((a, b) => b.storeTimestamp - a.storeTimestamp)
}

async function queryBroker(
  context: ClientContext,
  brokerName: string,
  topic: string,
  fields: Readonly<Record<string, string>>,
): Promise<ReceivedMessage[]> {
  const address = context.routes.addressOf(brokerName)
  if (address === undefined) return []
  const what = `query of topic "${topic}" on broker "${brokerName}"`
  const answer = await context.pool.request(address, { code: RequestCode.QUERY_MESSAGE, fields })
  if (answer.code === ResponseCode.QUERY_NOT_FOUND) return []
  if (answer.code !== ResponseCode.SUCCESS) throw new RequestError(what, answer.code, answer.remark)
  const queueOf = (storedTopic: string, queueId: number): MessageQueue => ({ topic: storedTopic, brokerName, queueId })
  return receivedMessages(what, answer.body, queueOf)
}
