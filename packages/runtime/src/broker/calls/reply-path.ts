import {
  type Clock,
  formatAddress,
  formatProperties,
  PropertyName,
  parseProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { Peer, RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, failureReply } from '../../requests/answer.js'
import type { Producers } from '../groups/producers.js'
import { readSendHeader, type SendHeader } from '../send/general-send.js'
import type { Topics } from '../topics/topics.js'

export interface ReplyPathOptions {
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly producers: Producers
  readonly topics: Topics
  readonly brokerPort: () => number
  /** Stores the message of a send request. */
  store(command: RemotingCommand, peer: Peer): Promise<Reply>
}

/** Codes of replies to requests. */
export const REPLY_REQUESTS: readonly number[] = [RequestCode.SEND_REPLY_MESSAGE, RequestCode.SEND_REPLY_MESSAGE_V2]

const PUSH_DEADLINE_MS = 10_000

/**
 * A consumer's reply to a request message: passed on to the client that waits for it, and stored unless that is
 * switched off. The answer says whether the client got it; the message says who that is (REPLY_TO_CLIENT).
 * @see RocketMQ `ReplyMessageProcessor`, behaviour.md §14
 */
export function replyAnswer(options: ReplyPathOptions): Answer {
  const { config } = options
  const regionFields = { MSG_REGION: config.regionId, TRACE_ON: String(config.traceOn) }
  return async ({ command, peer }) => {
    const header = readSendHeader(command)
    const topic = await options.topics.ensureForSend(header.topic, header.defaultTopic, header.defaultTopicQueueNums)
    const queueId = header.queueId < 0 ? 0 : header.queueId % Math.max(1, topic.writeQueueNums)
    const failure = await push(options, header, { command, peer })
    // Readers want ids also where nothing was stored.
    let ids: Readonly<Record<string, string>> = { msgId: '0', queueId: String(queueId), queueOffset: '0' }
    if (config.storeReplyMessageEnable) {
      const stored = await options.store(command, peer).catch(failureReply)
      if (stored.code === ResponseCode.SUCCESS) ids = stored.extFields ?? ids
    }
    const extFields = { ...ids, ...regionFields }
    if (failure === undefined) return { code: ResponseCode.SUCCESS, extFields }
    return { code: ResponseCode.SYSTEM_ERROR, remark: failure, extFields }
  }
}

/** Passes the reply on. Resolves with why it could not be, undefined when the client has it. */
async function push(
  { brokerPort, clock, config, producers }: ReplyPathOptions,
  header: SendHeader,
  { command, peer }: RemotingRequest,
): Promise<string | undefined> {
  const properties = parseProperties(header.properties)
  const clientId = properties[PropertyName.REPLY_TO_CLIENT]
  if (clientId === undefined)
    return `push reply message fail, the reply has no property ${PropertyName.REPLY_TO_CLIENT} that names the client to push it to`
  const requester = producers.client(clientId)
  if (!requester) return `push reply message fail, channel of <${clientId}> not found.`
  const now = String(clock.now())
  const isV2 = command.code === RequestCode.SEND_REPLY_MESSAGE_V2
  const extFields = {
    producerGroup: command.extFields[isV2 ? 'a' : 'producerGroup'] ?? command.extFields['producerGroup'] ?? '',
    topic: header.topic,
    defaultTopic: header.defaultTopic,
    defaultTopicQueueNums: String(header.defaultTopicQueueNums),
    queueId: String(header.queueId),
    sysFlag: String(header.sysFlag),
    bornTimestamp: String(header.bornTimestamp),
    flag: String(header.flag),
    properties: formatProperties({ ...properties, [PropertyName.PUSH_REPLY_TIME]: now }),
    reconsumeTimes: String(header.reconsumeTimes),
    unitMode: 'false',
    bornHost: formatAddress(peer.remote),
    storeHost: formatAddress({ host: config.brokerIP1 || peer.local.host, port: brokerPort() }),
    storeTimestamp: now,
  }
  const request = { code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, extFields }
  try {
    const answer = await requester.peer.call(
      command.body ? { ...request, body: command.body } : request,
      PUSH_DEADLINE_MS,
    )
    return answer.code === ResponseCode.SUCCESS
      ? undefined
      : `push reply message to ${clientId} fail: ${answer.remark ?? `it answered ${answer.code}`}`
  } catch (error) {
    return `push reply message to ${clientId} fail: ${error instanceof Error ? error.message : String(error)}`
  }
}
