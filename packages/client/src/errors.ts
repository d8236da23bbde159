import { type ErrorCode, MillraceError } from '@millrace/core'

/** What a caller can do about an answer, by response code. `remoting.md` §8 */
const ADVICE: Readonly<Record<number, string>> = {
  1: 'the remark is from the server; if it does not help, its log has the cause',
  2: 'the broker is overloaded; send slower, or try again later',
  3: 'this server does not serve the request; check its version',
  13: 'make the message smaller (the broker takes bodies up to maxMessageSize) or shorten its properties',
  14: 'the broker cannot write; check its disk and its role',
  16: 'check the permission of the topic, the group and the broker, and the access rules',
  17: 'create the topic, or set autoCreateTopicEnable on the broker',
  22: 'nothing is stored under that name',
  23: 'correct the subscription expression',
  24: 'the group does not subscribe to the topic; all members of a group must subscribe alike',
  25: 'another member of the group subscribes differently; all members must subscribe alike',
  26: 'create the group, or set autoCreateSubscriptionGroup on the broker',
  29: 'correct the argument that the remark names',
  206: 'nobody of the group is connected',
}

/**
 * A request that the server answered with an error.
 * `code` is TOPIC_NOT_FOUND (17), GROUP_NOT_FOUND (26) or REQUEST_FAILED; the wire's own code and text are beside it.
 */
export class RequestError extends MillraceError {
  override readonly name = 'RequestError'
  /** RocketMQ's response code, such as 16 NO_PERMISSION. */
  readonly responseCode: number
  /** The server's text; empty when it sent none. */
  readonly remark: string

  constructor(what: string, responseCode: number, remark: string | undefined) {
    const advice = ADVICE[responseCode]
    super(
      errorCodeOf(responseCode),
      `${what} failed with code ${responseCode}${remark ? `: ${remark}` : ''}${advice ? `; ${advice}` : ''}`,
      { detail: { responseCode, remark } },
    )
    this.responseCode = responseCode
    this.remark = remark ?? ''
  }
}

function errorCodeOf(responseCode: number): ErrorCode {
  if (responseCode === 17) return 'TOPIC_NOT_FOUND'
  if (responseCode === 26) return 'GROUP_NOT_FOUND'
  return 'REQUEST_FAILED'
}

/** The caller's reason to stop waiting, as an error of ours. */
export function abortError(signal: AbortSignal, what: string): MillraceError {
  return new MillraceError('ABORTED', `${what} was aborted by the caller`, { cause: signal.reason })
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
