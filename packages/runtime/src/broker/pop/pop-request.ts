import type { RemotingCommand } from '@millrace/core'
import {
  booleanField,
  integerField,
  optionalIntegerField,
  optionalTextField,
  textField,
} from '../../requests/fields.js'

/** Who polls, and for what: the fields that pops and notifications share. */
export interface PollRequest {
  readonly opaque: number
  readonly flag: number
  readonly serialization: RemotingCommand['serialization']
  readonly group: string
  readonly topic: string
  /** −1: any queue. */
  readonly queueId: number
  /** Milliseconds that the client is ready to wait, counted from `bornTime`. */
  readonly pollTimeMs: number
  /** Clock of the client, milliseconds. */
  readonly bornTime: number
  readonly isOrdered: boolean
  /** Names this request: repeated with the same name, an ordered pop gets the same messages. */
  readonly attemptId: string | undefined
}

/** A pop [200050]. remoting.md §10 */
export interface PopRequest extends PollRequest {
  readonly messagesMax: number
  readonly invisibleMs: number
  /** Where a group without offset begins: 0 the first message, 1 the last one. */
  readonly initMode: number
  readonly expressionType: string
  readonly expression: string
}

/** @throws Refusal 1, naming the field */
export function readPoll(command: RemotingCommand, nowMs: number): PollRequest {
  return {
    opaque: command.opaque,
    flag: command.flag,
    serialization: command.serialization,
    group: textField(command, 'consumerGroup'),
    topic: textField(command, 'topic'),
    queueId: integerField(command, 'queueId'),
    pollTimeMs: integerField(command, 'pollTime'),
    bornTime: optionalIntegerField(command, 'bornTime') || nowMs,
    isOrdered: booleanField(command, 'order', false),
    attemptId: optionalTextField(command, 'attemptId'),
  }
}

/** @throws Refusal 1, naming the field */
export function readPop(command: RemotingCommand, nowMs: number): PopRequest {
  return {
    ...readPoll(command, nowMs),
    messagesMax: integerField(command, 'maxMsgNums'),
    invisibleMs: integerField(command, 'invisibleTime'),
    initMode: integerField(command, 'initMode'),
    expressionType: optionalTextField(command, 'expType') ?? '',
    expression: optionalTextField(command, 'exp') ?? '',
  }
}
