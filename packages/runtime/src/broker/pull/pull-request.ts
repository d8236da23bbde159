import type { PullScan, RemotingCommand } from '@millrace/core'
import { integerField, optionalIntegerField, textField } from '../../requests/fields.js'

/** Bits of a pull's sysFlag. behaviour.md §6 */
export const PULL_FLAG = { commitOffset: 1, suspend: 2, subscription: 4 } as const

/** One pull request, decoded. */
export interface PullRequest {
  readonly opaque: number
  readonly isBinary: boolean
  readonly group: string
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly maxMsgNums: number
  /** Bits of PULL_FLAG. */
  readonly sysFlag: number
  readonly commitOffset: number
  readonly suspendTimeoutMillis: number
  readonly subscription: string
  readonly subVersion: number
  /** '' means TAG. */
  readonly expressionType: string
  /** Not positive: no limit. */
  readonly maxMsgBytes: number
}

/** From the byte scanner. */
export function pullOfScan(bytes: Buffer, scan: PullScan): PullRequest {
  const subscription = bytes.toString('utf8', scan.subscriptionStart, scan.subscriptionEnd)
  return {
    opaque: scan.opaque,
    isBinary: scan.isBinary,
    group: bytes.toString('utf8', scan.groupStart, scan.groupEnd),
    topic: bytes.toString('utf8', scan.topicStart, scan.topicEnd),
    queueId: scan.queueId,
    queueOffset: scan.queueOffset,
    maxMsgNums: scan.maxMsgNums,
    sysFlag: scan.sysFlag,
    commitOffset: scan.commitOffset,
    suspendTimeoutMillis: scan.suspendTimeoutMillis,
    subscription: scan.subscriptionEscaped ? (JSON.parse(`"${subscription}"`) as string) : subscription,
    subVersion: scan.subVersion,
    expressionType: bytes.toString('latin1', scan.expressionTypeStart, scan.expressionTypeEnd),
    maxMsgBytes: scan.maxMsgBytes,
  }
}

/** From the general codec, for requests that the scanner declines. @throws Refusal 1, naming the field */
export function pullOfCommand(command: RemotingCommand): PullRequest {
  return {
    opaque: command.opaque,
    isBinary: command.serialization === 'ROCKETMQ',
    group: textField(command, 'consumerGroup'),
    topic: textField(command, 'topic'),
    queueId: integerField(command, 'queueId'),
    queueOffset: integerField(command, 'queueOffset'),
    maxMsgNums: integerField(command, 'maxMsgNums'),
    sysFlag: integerField(command, 'sysFlag'),
    commitOffset: integerField(command, 'commitOffset'),
    suspendTimeoutMillis: integerField(command, 'suspendTimeoutMillis'),
    subscription: command.extFields['subscription'] ?? '',
    subVersion: integerField(command, 'subVersion'),
    expressionType: command.extFields['expressionType'] ?? '',
    maxMsgBytes: optionalIntegerField(command, 'maxMsgBytes') ?? -1,
  }
}
