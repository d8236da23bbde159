import {
  assertNever,
  type Behavior,
  decodeMessage,
  dlqTopic,
  formatProperties,
  isRetryTopic,
  offsetMessageId,
  PropertyName,
  parseProperties,
  popRetryTopic,
  receive,
  type StoredMessage,
  setup,
} from '@millrace/core'
import type { MessageStore, MessageToAppend, PopReceipt, PopReceipts } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { PullGroups } from '../groups/pull-groups.js'
import type { Topics } from '../topics/topics.js'

/** What the revive actor takes. */
export type ReviveMessage =
  | { readonly kind: 'look' }
  | { readonly kind: 'revived'; readonly receipts: readonly Revived[] }

interface Revived {
  readonly receipt: PopReceipt
  /** Offsets whose messages are stored again, or gone. */
  readonly settled: readonly number[]
}

export interface ReviveOptions {
  readonly config: BrokerConfig
  readonly receipts: PopReceipts
  readonly store: Pick<MessageStore, 'append' | 'entry' | 'record'>
  readonly topics: Topics
  readonly groups: PullGroups
}

const LOOK_INTERVAL_MS = 100
const RECEIPTS_AT_ONCE = 64
/** After the store refused a message. */
const PAUSE_MS = 1_000
const TRIES_MAX_DEFAULT = 16

/**
 * Puts messages that nobody acknowledged in time into their group's retry topic: each at least once. A receipt is closed
 * behind its messages; after a crash in between they come twice. A message that was handed out as often as its group
 * allows becomes a dead letter. behaviour.md §15 @see RocketMQ `PopReviveService`
 */
export function popRevive(options: ReviveOptions): Behavior<ReviveMessage> {
  const { receipts } = options
  return setup(context => {
    const { clock, self } = context
    let isBusy = false
    let pausedUntil = 0
    context.every(LOOK_INTERVAL_MS, { kind: 'look' })
    const look = (): void => {
      const now = clock.now()
      if (isBusy || now < pausedUntil || receipts.firstDueMs > now) return
      const due = receipts.due(now, RECEIPTS_AT_ONCE)
      if (due.length === 0) return
      isBusy = true
      void Promise.all(due.map(receipt => revive(options, receipt))).then(revived =>
        self.tell({ kind: 'revived', receipts: revived }),
      )
    }
    return receive(message => {
      switch (message.kind) {
        case 'look':
          look()
          break
        case 'revived': {
          isBusy = false
          let hasFailed = false
          for (const { receipt, settled } of message.receipts) if (!receipts.settle(receipt, settled)) hasFailed = true
          // A failed commit is reported by its store; the receipts then stay and are revived again.
          receipts.commit().catch(() => undefined)
          if (hasFailed) pausedUntil = clock.now() + PAUSE_MS
          else look()
          break
        }
        default:
          assertNever(message)
      }
    })
  })
}

async function revive(options: ReviveOptions, receipt: PopReceipt): Promise<Revived> {
  const offsets = receipt.openOffsets()
  const stored = await Promise.allSettled(offsets.map(offset => reviveMessage(options, receipt, offset)))
  return { receipt, settled: offsets.filter((_, i) => stored[i].status === 'fulfilled') }
}

async function reviveMessage(options: ReviveOptions, receipt: PopReceipt, offset: number): Promise<void> {
  const { groups, store, topics } = options
  const { queue } = receipt
  const group = groups.find(queue.group)
  const message = read(store, queue.topic, queue.queueId, offset)
  // Retention took the message, or the group was deleted: nobody waits for it.
  if (group === undefined || message === undefined) return
  const triesMax = group.retryMaxTimes < 0 ? TRIES_MAX_DEFAULT : group.retryMaxTimes
  const isGivenUp = message.reconsumeTimes >= triesMax
  const target = isGivenUp ? dlqTopic(queue.group) : retryTopicOf(options.config, queue)
  await topics.ensureForGroup(target, 1)
  await store.append(retried(message, target, receipt.popTime, isGivenUp))
}

function retryTopicOf(
  { enableRetryTopicV2 }: BrokerConfig,
  { group, topic }: { readonly group: string; readonly topic: string },
): string {
  return isRetryTopic(topic) ? topic : popRetryTopic(group, topic, enableRetryTopicV2 ? 2 : 1)
}

function read(
  store: ReviveOptions['store'],
  topic: string,
  queueId: number,
  offset: number,
): StoredMessage | undefined {
  const entry = store.entry(topic, queueId, offset)
  const record = entry && store.record(entry.position)
  if (record === undefined) return undefined
  const decoded = decodeMessage(record, 0, record.length)
  return decoded.ok ? decoded.message : undefined
}

function retried(message: StoredMessage, topic: string, popTime: number, isGivenUp: boolean): MessageToAppend {
  const properties = parseProperties(message.properties)
  properties[PropertyName.FIRST_POP_TIME] ??= String(popTime)
  if (isGivenUp) {
    properties[PropertyName.DLQ_ORIGIN_TOPIC] ??= message.topic
    properties[PropertyName.DLQ_ORIGIN_MESSAGE_ID] ??= offsetMessageId(message.storeHost, message.commitLogOffset)
  }
  return {
    topic,
    queueId: 0,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: message.bornTimestamp,
    bornHost: message.bornHost,
    storeHost: message.storeHost,
    reconsumeTimes: message.reconsumeTimes + 1,
    preparedTransactionOffset: 0,
    body: message.body,
    properties: Buffer.from(formatProperties(properties)),
  }
}
