import { formatProperties, PropertyName, RequestCode, retryTopic } from '@millrace/core'
import { type ClientContext, requestBroker } from '../client-context.js'
import { RECONSUME_TIMES_MAX, REQUEST_TIMEOUT_MS } from '../limits.js'
import { QueueSelector } from '../producer/queue-selector.js'
import type { SendResult } from '../producer/send-result.js'
import { Sending } from '../producer/sending.js'
import type { ReceivedMessage } from './received-message.js'

/** Group under which clients send for themselves. messages.md §9 */
const INNER_PRODUCER_GROUP = 'CLIENT_INNER_PRODUCER'
/** Level of the first retry: 10 s. */
const FIRST_DELAY_LEVEL = 3

/**
 * Gives a message back that was not consumed: its broker delivers it again after a delay that grows with each time, and
 * to the dead-letter topic after the last. When the broker refuses or is away, the message is sent to the group's retry
 * topic instead, which any broker takes. behaviour.md §10
 * @throws as `Producer.send`, when neither succeeds
 */
export async function sendBack(context: ClientContext, group: string, message: ReceivedMessage): Promise<void> {
  const fields = {
    offset: String(message.commitLogOffset),
    group,
    delayLevel: '0',
    originMsgId: message.offsetMessageId,
    originTopic: message.topic,
    unitMode: 'false',
    maxReconsumeTimes: String(RECONSUME_TIMES_MAX),
    bname: message.queue.brokerName,
  }
  const request = { code: RequestCode.CONSUMER_SEND_MSG_BACK, fields }
  try {
    await requestBroker(context, message.queue.brokerName, `send-back of message ${message.messageId}`, request)
  } catch {
    // The reason does not matter: the other way needs less of the broker, and its failure is the one to report.
    await sendToRetryTopic(context, group, message)
  }
}

function sendToRetryTopic(context: ClientContext, group: string, message: ReceivedMessage): Promise<SendResult> {
  const { environment, pool, routes } = context
  const times = message.reconsumeTimes
  const properties = {
    ...message.properties,
    [PropertyName.RETRY_TOPIC]: message.topic,
    [PropertyName.ORIGIN_MESSAGE_ID]: message.properties[PropertyName.ORIGIN_MESSAGE_ID] ?? message.offsetMessageId,
    [PropertyName.RECONSUME_TIME]: String(times + 1),
    [PropertyName.MAX_RECONSUME_TIMES]: String(RECONSUME_TIMES_MAX),
    [PropertyName.DELAY]: String(FIRST_DELAY_LEVEL + times),
    [PropertyName.TRAN_MSG]: undefined,
  }
  const outgoing = {
    topic: retryTopic(group),
    body: message.body,
    properties: formatProperties(properties),
    sysFlag: 0,
    messageId: message.messageId,
    isBatch: false,
    reconsumeTimes: times + 1,
  }
  const sending = { environment, pool, routes, selector: new QueueSelector(), group: INNER_PRODUCER_GROUP }
  const options = {
    timeoutMs: REQUEST_TIMEOUT_MS,
    retries: 1,
    queue: undefined,
    shardingKey: undefined,
    signal: undefined,
  }
  return new Promise((resolve, reject) => new Sending(sending, outgoing, options, resolve, reject).start())
}
