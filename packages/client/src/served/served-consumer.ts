import type { Clock, MessageQueue, SubscriptionData } from '@millrace/core'
import { queueKey } from '../consumer/pull.js'
import type { QueueReader } from '../consumer/queue-reader.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import type { DirectResult, RunningInfo } from './running-info.js'
import type { ServedConsumer } from './server-requests.js'

/** What a consumer lets operators see and do. */
export interface ConsumerParts {
  readonly clock: Clock
  readonly isOrdered: boolean
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly concurrency: number
  readonly nameservers: readonly string[]
  /** By `queueKey`. */
  readonly readers: ReadonlyMap<string, QueueReader>
  subscriptions(): readonly SubscriptionData[]
  isLocked(queue: MessageQueue): boolean
  /** Handles one message out of line; undefined where the application takes them as a stream. */
  readonly handler: ((message: ReceivedMessage) => Promise<void> | void) | undefined
  /** Stores the offsets now. */
  commit(): void
}

export function servedConsumer(parts: ConsumerParts): ServedConsumer {
  const { readers } = parts
  return {
    runningInfo: () => runningInfo(parts),
    consumeDirectly: message => consumeDirectly(parts, message),
    moveTo(offsets) {
      for (const [queue, offset] of offsets) readers.get(queueKey(queue))?.moveTo(offset)
      parts.commit()
    },
    positions(topic) {
      const positions = new Map<MessageQueue, number>()
      for (const { queue, commitOffset } of readers.values())
        if (queue.topic === topic && commitOffset !== undefined) positions.set(queue, commitOffset)
      return positions
    },
  }
}

function runningInfo(parts: ConsumerParts): RunningInfo {
  return {
    isOrdered: parts.isOrdered,
    startedAt: parts.startedAt,
    concurrency: parts.concurrency,
    nameservers: parts.nameservers.join(';'),
    subscriptions: parts.subscriptions(),
    queues: new Map(
      [...parts.readers.values()].map(({ queue, commitOffset = 0, unsettledCount }) => [
        queue,
        { commitOffset, messageCount: unsettledCount, isLocked: parts.isLocked(queue) },
      ]),
    ),
  }
}

async function consumeDirectly(
  { clock, handler, isOrdered }: ConsumerParts,
  message: ReceivedMessage,
): Promise<DirectResult> {
  const begin = clock.monotonic()
  const result = (outcome: DirectResult['outcome'], remark: string): DirectResult => {
    return { isOrdered, outcome, remark, tookMs: Math.round(clock.monotonic() - begin) }
  }
  if (!handler)
    return result('CR_RETURN_NULL', 'this consumer takes its messages as a stream: there is nothing to call')
  try {
    await handler(message)
    return result('CR_SUCCESS', '')
  } catch (error) {
    return result('CR_THROW_EXCEPTION', error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}
