import { formatJsonBody, type MessageQueue, type SubscriptionData } from '@millrace/core'

/** How far a queue is in a consumer. */
export interface QueueInfo {
  /** Next offset to consume. */
  readonly commitOffset: number
  /** Messages fetched and not settled. */
  readonly messageCount: number
  readonly isLocked: boolean
}

/** What a consumer tells about itself. */
export interface RunningInfo {
  readonly isOrdered: boolean
  readonly startedAt: number
  readonly concurrency: number
  readonly nameservers: string
  readonly subscriptions: readonly SubscriptionData[]
  readonly queues: ReadonlyMap<MessageQueue, QueueInfo>
}

/** What a handler made of a message that an operator gave it. */
export interface DirectResult {
  readonly isOrdered: boolean
  /** CR_SUCCESS, CR_THROW_EXCEPTION, or CR_RETURN_NULL where there is no handler. */
  readonly outcome: 'CR_SUCCESS' | 'CR_THROW_EXCEPTION' | 'CR_RETURN_NULL'
  readonly remark: string
  readonly tookMs: number
}

/** JSON object ConsumerRunningInfo. behaviour.md §18 */
export function runningInfoBody(info: RunningInfo): Buffer {
  const mqTable = new Map(
    [...info.queues].map(([queue, { commitOffset, isLocked, messageCount }]) => [
      queue,
      {
        cachedMsgCount: messageCount,
        cachedMsgMaxOffset: commitOffset + messageCount,
        cachedMsgMinOffset: commitOffset,
        cachedMsgSizeInMiB: 0,
        commitOffset,
        droped: false,
        lastConsumeTimestamp: 0,
        lastLockTimestamp: 0,
        lastPullTimestamp: 0,
        locked: isLocked,
        transactionMsgCount: 0,
        transactionMsgMaxOffset: 0,
        transactionMsgMinOffset: 0,
        tryUnlockTimes: 0,
      },
    ]),
  )
  return formatJsonBody({
    mqPopTable: {},
    mqTable,
    properties: {
      PROP_CLIENT_VERSION: 'V5_4_0',
      PROP_CONSUMEORDERLY: String(info.isOrdered),
      PROP_CONSUMER_START_TIMESTAMP: String(info.startedAt),
      PROP_CONSUME_TYPE: 'CONSUME_PASSIVELY',
      PROP_NAMESERVER_ADDR: info.nameservers,
      PROP_THREADPOOL_CORE_SIZE: String(info.concurrency),
    },
    statusTable: {},
    subscriptionSet: info.subscriptions.map(({ tagsSet, codeSet, ...rest }) => ({ ...rest, codeSet, tagsSet })),
    userConsumerInfo: {},
  })
}

/** JSON object ConsumeMessageDirectlyResult. */
export function directResultBody({ isOrdered, outcome, remark, tookMs }: DirectResult): Buffer {
  return formatJsonBody({
    autoCommit: true,
    consumeResult: outcome,
    order: isOrdered,
    ...(remark !== '' && { remark }),
    spentTimeMills: tookMs,
  })
}
