import {
  formatProperties,
  MillraceError,
  PropertyName,
  parseOffsetMessageId,
  type RemotingCommand,
  RequestCode,
  SysFlag,
} from '@millrace/core'
import { type ClientContext, requestBroker } from '../client-context.js'
import type { RemotingConnection, Request } from '../connection/remoting-connection.js'
import { receivedMessages } from '../consumer/decode.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import type { ErrorReporter } from '../error-reporter.js'
import type { PreparedMessage } from './message.js'
import type { SendResult } from './send-result.js'

/** What becomes of a transaction: `unknown` lets the broker ask again later. */
export type TransactionDecision = 'commit' | 'rollback' | 'unknown'

/**
 * Answers a broker that asks what became of a transaction; it may be one of another process of the same group. Look at
 * what the transaction left behind, such as a row in a database. A failure counts as `unknown`.
 */
export type TransactionCheck = (message: ReceivedMessage) => TransactionDecision | Promise<TransactionDecision>

/** The check of a producer group. @internal */
export interface GroupCheck {
  readonly check: TransactionCheck
  readonly reporter: ErrorReporter
}

export interface TransactionResult extends SendResult {
  readonly decision: TransactionDecision
}

const DECISION_FLAGS: Readonly<Record<TransactionDecision, number>> = {
  commit: SysFlag.TRANSACTION_COMMIT,
  rollback: SysFlag.TRANSACTION_ROLLBACK,
  unknown: SysFlag.TRANSACTION_NONE,
}

/**
 * The half message: stored, but not delivered before the commit.
 * @throws MillraceError INVALID_ARGUMENT for a delayed message: brokers differ in what they make of one
 */
export function halfMessage(
  prepared: PreparedMessage,
  group: string,
  options: { readonly isDelayed: boolean; readonly firstCheckAfterSeconds: number | undefined },
): PreparedMessage {
  const { isDelayed, firstCheckAfterSeconds } = options
  if (isDelayed)
    throw new MillraceError('INVALID_ARGUMENT', 'a message of a transaction cannot be delayed; send it without a delay')
  if (
    firstCheckAfterSeconds !== undefined &&
    !(Number.isSafeInteger(firstCheckAfterSeconds) && firstCheckAfterSeconds > 0)
  )
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"firstCheckAfterSeconds" is ${firstCheckAfterSeconds}; it must be a whole number from 1`,
    )
  const added = formatProperties({
    [PropertyName.TRAN_MSG]: 'true',
    [PropertyName.PGROUP]: group,
    [PropertyName.CHECK_IMMUNITY_TIME_IN_SECONDS]: firstCheckAfterSeconds?.toString(),
  })
  return {
    ...prepared,
    properties: prepared.properties + added,
    sysFlag: prepared.sysFlag | SysFlag.TRANSACTION_PREPARED,
  }
}

/**
 * Tells the broker the decision; resolves when it is safe there. `unknown` is told without waiting.
 * @throws RequestError 604 when the transaction has ended otherwise; as `requestBroker`
 */
export async function endTransaction(
  context: ClientContext,
  group: string,
  sent: SendResult,
  decision: TransactionDecision,
): Promise<void> {
  const { queue } = sent
  const position = parseOffsetMessageId(sent.offsetMessageId)?.commitLogOffset
  if (position === undefined)
    throw new MillraceError(
      'PROTOCOL',
      `broker "${queue.brokerName}" answered a half message with id "${sent.offsetMessageId}", which names no position`,
    )
  const request = endRequest({
    producerGroup: group,
    topic: queue.topic,
    tranStateTableOffset: String(sent.queueOffset),
    commitLogOffset: String(position),
    commitOrRollback: String(DECISION_FLAGS[decision]),
    fromTransactionCheck: 'false',
    msgId: sent.messageId,
    transactionId: sent.messageId,
  })
  // Brokers do not answer an unknown decision.
  if (decision !== 'unknown')
    await requestBroker(context, queue.brokerName, `${decision} of message ${sent.messageId}`, request)
}

/** Asks the check of the group about the message in a broker's request [39], and tells the broker. Never rejects. */
export async function answerCheck(
  request: RemotingCommand,
  connection: RemotingConnection,
  checks: ReadonlyMap<string, GroupCheck>,
): Promise<void> {
  const fields = request.extFields
  let asked: GroupCheck | undefined
  try {
    const queueOf = (topic: string, queueId: number) => ({ topic, brokerName: fields['bname'] ?? '', queueId })
    const [message] = await receivedMessages('a transaction check', request.body, queueOf)
    const group = message?.properties[PropertyName.PGROUP] ?? ''
    asked = checks.get(group)
    if (message === undefined || asked === undefined) return
    const decision = await asked.check(message)
    connection.notify(
      endRequest({
        producerGroup: group,
        topic: message.topic,
        tranStateTableOffset: fields['tranStateTableOffset'] ?? '',
        commitLogOffset: fields['commitLogOffset'] ?? '',
        commitOrRollback: String(DECISION_FLAGS[decision]),
        fromTransactionCheck: 'true',
        msgId: message.messageId,
        transactionId: fields['transactionId'] ?? message.messageId,
      }),
    )
  } catch (error) {
    // No answer is the answer: the broker asks again.
    asked?.reporter.report(error)
  }
}

function endRequest(fields: Readonly<Record<string, string>>): Request {
  return { code: RequestCode.END_TRANSACTION, fields }
}
