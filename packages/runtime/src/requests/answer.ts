import { formatJson, type JsonInput, MillraceError, ResponseCode } from '@millrace/core'
import type { RemotingRequest, Reply } from '../listener/peer.js'

/** Takes one request and sees to its answer. Never throws. */
export type Handler = (request: RemotingRequest) => void

/** Computes the answer to one request. May throw: a `Refusal` is answered with its code, anything else with 1. */
export type Answer = (request: RemotingRequest) => Reply | Promise<Reply>

/** A request that is answered with an error code of the protocol (remoting.md §8). */
export class Refusal extends MillraceError {
  readonly responseCode: number

  constructor(responseCode: number, remark: string) {
    super('REQUEST_FAILED', remark)
    this.responseCode = responseCode
  }
}

/** The answer without header and body. */
export const DONE: Reply = { code: ResponseCode.SUCCESS }

const FAQ = 'See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

/** Adds the line that RocketMQ puts under remarks that users ask about. */
export function withFaq(remark: string): string {
  return `${remark}\n${FAQ}`
}

/** A body of JSON text; members without a value are left out, maps may have objects as keys. remoting.md §9 */
export function jsonReply(body: JsonInput, extFields?: Readonly<Record<string, string>>): Reply {
  return textReply(formatJson(body), extFields)
}

export function textReply(body: string, extFields?: Readonly<Record<string, string>>): Reply {
  return { code: ResponseCode.SUCCESS, body: Buffer.from(body, 'utf8'), extFields }
}

/**
 * Makes a handler of an answer. Whatever goes wrong is answered: silence would make the caller wait for its
 * time-out. remoting.md §8
 */
export function handlerOf(answer: Answer): Handler {
  return request => {
    try {
      const reply = answer(request)
      if (reply instanceof Promise)
        reply.then(
          settled => request.peer.reply(request.command, settled),
          (error: unknown) => request.peer.reply(request.command, failureReply(error)),
        )
      else request.peer.reply(request.command, reply)
    } catch (error) {
      request.peer.reply(request.command, failureReply(error))
    }
  }
}

/** How a failure is told to the client. */
export function failureReply(error: unknown): Reply {
  if (error instanceof Refusal) return { code: error.responseCode, remark: error.message }
  if (error instanceof MillraceError) return { code: responseCodeOf(error), remark: `[${error.code}] ${error.message}` }
  return { code: ResponseCode.SYSTEM_ERROR, remark: error instanceof Error ? error.message : String(error) }
}

function responseCodeOf(error: MillraceError): number {
  switch (error.code) {
    case 'STORE_READ_ONLY':
    case 'DISK_FULL':
    case 'DISK_FAILED':
      return ResponseCode.SERVICE_NOT_AVAILABLE
    case 'MAILBOX_FULL':
      return ResponseCode.SYSTEM_BUSY
    default:
      return ResponseCode.SYSTEM_ERROR
  }
}
