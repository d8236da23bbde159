import {
  type ExtraInfo,
  formatExtraInfo,
  MillraceError,
  type OffsetInfo,
  parseExtraInfo,
  parseOffsetInfo,
  popRetryTopic,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type SubscriptionData,
} from '@millrace/core'
import { type ClientContext, requestBroker } from '../client-context.js'
import { RequestError } from '../errors.js'
import { PULL_GRACE_MS } from '../limits.js'
import { tagMatches } from '../membership/subscription.js'
import { receivedMessages } from './decode.js'
import type { ReceivedMessage } from './received-message.js'

/** A pop of one broker. */
export interface BrokerPop {
  readonly group: string
  readonly topic: string
  readonly brokerName: string
  readonly max: number
  readonly invisibleMs: number
  readonly pollMs: number
  readonly isOrdered: boolean
  readonly from: 'first' | 'last'
  readonly subscription: SubscriptionData
  readonly signal: AbortSignal | undefined
}

/** A message with what its consumer needs to settle it. */
export interface PoppedParts {
  readonly message: ReceivedMessage
  readonly handle: ExtraInfo
  readonly reconsumeTimes: number
}

/**
 * Pops messages of any queue of one broker; none when nothing came in time. behaviour.md §15
 * @throws RequestError; MillraceError TIMEOUT | CONNECT_FAILED | CONNECTION_LOST | ABORTED | PROTOCOL
 */
export async function pop(context: ClientContext, request: BrokerPop): Promise<PoppedParts[]> {
  const { brokerName, group, pollMs, signal, subscription, topic } = request
  const what = `pop of topic "${topic}" for group "${group}"`
  const address = context.routes.addressOf(brokerName)
  if (address === undefined)
    throw new MillraceError(
      'CONNECT_FAILED',
      `${what}: broker "${brokerName}" is in no known route; check that it runs`,
    )
  const fields = {
    consumerGroup: group,
    topic,
    queueId: '-1',
    maxMsgNums: String(request.max),
    invisibleTime: String(request.invisibleMs),
    pollTime: String(pollMs),
    bornTime: String(context.environment.clock.now()),
    initMode: request.from === 'first' ? '0' : '1',
    expType: subscription.expressionType,
    exp: subscription.subString,
    order: String(request.isOrdered),
    bname: brokerName,
  }
  const timeoutMs = pollMs + PULL_GRACE_MS
  const answer = await context.pool.request(address, { code: RequestCode.POP_MESSAGE, fields }, { timeoutMs, signal })
  switch (answer.code) {
    case ResponseCode.SUCCESS:
      return poppedOf(what, answer, request)
    case ResponseCode.POLLING_TIMEOUT:
    case ResponseCode.POLLING_FULL:
    case ResponseCode.PULL_NOT_FOUND:
      return []
    default:
      throw new RequestError(what, answer.code, answer.remark)
  }
}

async function poppedOf(what: string, answer: RemotingCommand, request: BrokerPop): Promise<PoppedParts[]> {
  const { brokerName, subscription, topic } = request
  const { extFields } = answer
  const starts = parseOffsetInfo(extFields['startOffsetInfo'] ?? '')
  const counts = parseOffsetInfo(extFields['orderCountInfo'] ?? '') ?? []
  if (starts === undefined) throw new MillraceError('PROTOCOL', `${what} brought a startOffsetInfo that is none`)
  const messages = await receivedMessages(what, answer.body, (_, queueId) => ({ topic, brokerName, queueId }))
  return messages
    .filter(({ tag }) => tagMatches(subscription, tag))
    .map(message => {
      const { queueId } = message.queue
      // Retried messages carry their handle: the broker shows them under the name of their topic.
      const given = parseExtraInfo(message.properties['POP_CK'] ?? '')
      const retryFlag = given?.retryFlag ?? '0'
      const handle = given ?? {
        checkpointOffset: numberOf(starts, retryFlag, String(queueId)) ?? message.queueOffset,
        popTime: Number(extFields['popTime']),
        invisibleTime: Number(extFields['invisibleTime']),
        reviveQueueId: Number(extFields['reviveQid']),
        retryFlag,
        brokerName,
        queueId,
        queueOffset: message.queueOffset,
      }
      const count =
        numberOf(counts, retryFlag, `qo${queueId}%${message.queueOffset}`) ??
        numberOf(counts, retryFlag, String(queueId))
      return { message, handle, reconsumeTimes: count ?? message.reconsumeTimes }
    })
}

function numberOf(entries: readonly OffsetInfo[], retryFlag: string, queue: string): number | undefined {
  return entries.find(entry => entry.retryFlag === retryFlag && entry.queue === queue)?.offsets[0]
}

/** Fields that name one popped message. */
function named(group: string, topic: string, handle: ExtraInfo): Record<string, string> {
  const { queueId, queueOffset, retryFlag } = handle
  const real = retryFlag === '0' ? topic : popRetryTopic(group, topic, retryFlag === '2' ? 2 : 1)
  return {
    consumerGroup: group,
    topic: real,
    queueId: String(queueId),
    extraInfo: formatExtraInfo(handle),
    offset: String(queueOffset),
    bname: handle.brokerName,
  }
}

/** Takes a message off the group's hands. @throws as `requestBroker` */
export async function acknowledge(
  context: ClientContext,
  group: string,
  topic: string,
  handle: ExtraInfo,
): Promise<void> {
  const request = { code: RequestCode.ACK_MESSAGE, fields: named(group, topic, handle) }
  await requestBroker(context, handle.brokerName, `acknowledgement of a message of "${topic}"`, request)
}

/** Makes a message visible again so long from now on. Resolves with the handle that replaces the old one. @throws as `requestBroker` */
export async function changeInvisible(
  context: ClientContext,
  group: string,
  topic: string,
  handle: ExtraInfo,
  invisibleMs: number,
): Promise<ExtraInfo> {
  const fields = { ...named(group, topic, handle), invisibleTime: String(invisibleMs) }
  const request = { code: RequestCode.CHANGE_MESSAGE_INVISIBLETIME, fields }
  const { extFields } = await requestBroker(
    context,
    handle.brokerName,
    `change of the invisible time of a message of "${topic}"`,
    request,
  )
  return {
    ...handle,
    checkpointOffset: handle.queueOffset ?? handle.checkpointOffset,
    popTime: Number(extFields['popTime']),
    invisibleTime: Number(extFields['invisibleTime']),
    reviveQueueId: Number(extFields['reviveQid']),
  }
}
