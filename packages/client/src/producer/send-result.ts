import { type MessageQueue, MillraceError, type RemotingCommand, ResponseCode } from '@millrace/core'

/** SEND_OK, or: stored, but the wait for the disk or for a replica ended before it was safe there. */
export type SendStatus = 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'SLAVE_NOT_AVAILABLE' | 'FLUSH_SLAVE_TIMEOUT'

/** Where a message went. */
export interface SendResult {
  /** Given by the producer; the same in the received message. */
  readonly messageId: string
  /** Given by the broker: its address and the position in its log. */
  readonly offsetMessageId: string
  readonly queue: MessageQueue
  /** Position in the queue; of a batch, that of its first message. */
  readonly queueOffset: number
  readonly status: SendStatus
  /** For `Producer.recall`: of messages with `delayMs`, `deliverAt` or `repeat`. */
  readonly recallHandle: string | undefined
}

const STATUSES: Readonly<Record<number, SendStatus>> = {
  [ResponseCode.SUCCESS]: 'SEND_OK',
  [ResponseCode.FLUSH_DISK_TIMEOUT]: 'FLUSH_DISK_TIMEOUT',
  [ResponseCode.SLAVE_NOT_AVAILABLE]: 'SLAVE_NOT_AVAILABLE',
  [ResponseCode.FLUSH_SLAVE_TIMEOUT]: 'FLUSH_SLAVE_TIMEOUT',
}

/** Codes after which another broker may take the message. `remoting.md` §8 */
const RETRYABLE: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
  ResponseCode.GO_AWAY,
])

/** True when the message was stored: every status of a send is such an answer. */
export function isStored(code: number): boolean {
  return STATUSES[code] !== undefined
}

export function isRetryable(code: number): boolean {
  return RETRYABLE.has(code)
}

/** @throws MillraceError PROTOCOL when the answer lacks what it must have. */
export function sendResult(answer: RemotingCommand, queue: MessageQueue, messageId: string): SendResult {
  const { msgId, queueId, queueOffset, recallHandle } = answer.extFields
  if (msgId === undefined || queueId === undefined || queueOffset === undefined)
    throw new MillraceError(
      'PROTOCOL',
      `broker "${queue.brokerName}" answered a send without msgId, queueId or queueOffset`,
    )
  return {
    messageId,
    offsetMessageId: msgId,
    queue: Number(queueId) === queue.queueId ? queue : { ...queue, queueId: Number(queueId) },
    queueOffset: Number(queueOffset),
    status: STATUSES[answer.code] ?? 'SEND_OK',
    recallHandle,
  }
}
