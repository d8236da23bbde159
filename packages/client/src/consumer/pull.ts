import {
  type MessageQueue,
  MillraceError,
  PullSysFlag,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type SubscriptionData,
} from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import { RequestError } from '../errors.js'
import { PULL_GRACE_MS } from '../limits.js'
import { tagMatches } from '../membership/subscription.js'
import { receivedMessages } from './decode.js'
import type { ReceivedMessage } from './received-message.js'

/**
 * `found`: messages, or none of them passed the filter on this side. `no-new`: nothing at the offset yet.
 * `no-match`: nothing that the filter lets through up to `nextOffset`. `offset-moved`: the offset is outside the queue
 * or was reset; continue at `nextOffset`.
 */
export type PullStatus = 'found' | 'no-new' | 'no-match' | 'offset-moved'

export interface PullResult {
  readonly status: PullStatus
  readonly messages: readonly ReceivedMessage[]
  /** Where the next pull continues. */
  readonly nextOffset: number
  /** First offset that the queue still holds. */
  readonly minOffset: number
  /** Offset that the next message of the queue will get. */
  readonly maxOffset: number
  /** Broker node to pull from next: 0 is the master. */
  readonly suggestedBrokerId: number
}

export interface PullRequest {
  readonly group: string
  readonly queue: MessageQueue
  readonly offset: number
  readonly max: number
  /** How long the broker may wait for a message when there is none; 0 asks for an answer at once. */
  readonly suspendMs: number
  readonly subscription: SubscriptionData
  /** Stores this offset of the group on the way. */
  readonly commitOffset?: number | undefined
  readonly brokerId?: number
  readonly signal?: AbortSignal | undefined
}

const STATUSES: Readonly<Record<number, PullStatus>> = {
  [ResponseCode.SUCCESS]: 'found',
  [ResponseCode.PULL_NOT_FOUND]: 'no-new',
  [ResponseCode.PULL_RETRY_IMMEDIATELY]: 'no-match',
  [ResponseCode.PULL_OFFSET_MOVED]: 'offset-moved',
}

/**
 * Pulls messages of one queue. The subscription goes with the request, so that the pull does not depend on what
 * brokers remember of the group. behaviour.md §6
 * @throws RequestError; MillraceError TIMEOUT | CONNECT_FAILED | CONNECTION_LOST | ABORTED | PROTOCOL
 */
export async function pull(context: ClientContext, request: PullRequest): Promise<PullResult> {
  const { queue, group, subscription, suspendMs, commitOffset, signal } = request
  const address = context.routes.readAddressOf(queue.brokerName, request.brokerId ?? 0)
  if (address === undefined)
    throw new MillraceError('CONNECT_FAILED', `broker "${queue.brokerName}" is in no known route; check that it runs`)
  const sysFlag =
    PullSysFlag.SUBSCRIPTION |
    (suspendMs > 0 ? PullSysFlag.SUSPEND : 0) |
    (commitOffset === undefined ? 0 : PullSysFlag.COMMIT_OFFSET)
  const fields = {
    consumerGroup: group,
    topic: queue.topic,
    queueId: String(queue.queueId),
    queueOffset: String(request.offset),
    maxMsgNums: String(request.max),
    sysFlag: String(sysFlag),
    commitOffset: String(commitOffset ?? 0),
    suspendTimeoutMillis: String(suspendMs),
    subscription: subscription.subString,
    subVersion: String(subscription.subVersion),
    expressionType: subscription.expressionType,
    bname: queue.brokerName,
  }
  const timeoutMs = suspendMs + PULL_GRACE_MS
  const answer = await context.pool.request(address, { code: RequestCode.PULL_MESSAGE, fields }, { timeoutMs, signal })
  return resultOf(answer, request)
}

async function resultOf(answer: RemotingCommand, request: PullRequest): Promise<PullResult> {
  const { queue, group, offset, subscription } = request
  const status = STATUSES[answer.code]
  if (status === undefined)
    throw new RequestError(`pull of ${describeQueue(queue)} for group "${group}"`, answer.code, answer.remark)
  const { nextBeginOffset, minOffset, maxOffset, suggestWhichBrokerId } = answer.extFields
  const body = status === 'found' ? answer.body : undefined
  const messages = await receivedMessages(`pull of ${describeQueue(queue)} at ${offset}`, body, () => queue)
  return {
    status,
    messages:
      subscription.tagsSet.length === 0 ? messages : messages.filter(({ tag }) => tagMatches(subscription, tag)),
    nextOffset: Number(nextBeginOffset ?? offset),
    minOffset: Number(minOffset ?? 0),
    maxOffset: Number(maxOffset ?? 0),
    suggestedBrokerId: Number(suggestWhichBrokerId ?? 0),
  }
}

export function describeQueue(queue: MessageQueue): string {
  return `queue ${queue.queueId} of topic "${queue.topic}" on broker "${queue.brokerName}"`
}

/** A key for maps: two queues are the same when their keys are. */
export function queueKey(queue: MessageQueue): string {
  return `${queue.topic}@${queue.brokerName}:${queue.queueId}`
}
