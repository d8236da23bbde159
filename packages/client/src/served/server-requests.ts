import {
  decodeQueueOffsets,
  encodeQueueOffsets,
  type MessageQueue,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import type { RemotingConnection, RequestAnswer } from '../connection/remoting-connection.js'
import { receivedMessages } from '../consumer/decode.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import { answerCheck, type GroupCheck } from '../producer/transaction.js'
import { replyOf } from './reply-message.js'
import { type DirectResult, directResultBody, type RunningInfo, runningInfoBody } from './running-info.js'

/** What a running consumer does when an operator asks for it through a broker. */
export interface ServedConsumer {
  runningInfo(): RunningInfo
  /** Handles one message, out of line. */
  consumeDirectly(message: ReceivedMessage): Promise<DirectResult>
  /** Goes on at these offsets, in the queues that are this member's. */
  moveTo(offsets: ReadonlyMap<MessageQueue, number>): void
  /** The next offset to consume, by queue of the topic. */
  positions(topic: string): ReadonlyMap<MessageQueue, number>
}

/**
 * Requests that brokers start: which part of this client each is for. What is not here is answered 3.
 * behaviour.md §20
 */
export class ServerRequests {
  /** What became of transactions, by producer group. */
  readonly checks = new Map<string, GroupCheck>()
  readonly #memberListeners = new Map<string, () => void>()
  readonly #consumers = new Map<string, ServedConsumer>()
  readonly #requesters = new Map<string, (reply: ReceivedMessage) => void>()

  /** Calls back when a broker tells that the members of a consumer group have changed. Returns what ends it. */
  onMembersChanged(group: string, listener: () => void): () => void {
    this.#memberListeners.set(group, listener)
    return () => this.#memberListeners.delete(group)
  }

  /** Returns what ends it. */
  serve(group: string, consumer: ServedConsumer): () => void {
    this.#consumers.set(group, consumer)
    return () => this.#consumers.delete(group)
  }

  /** Calls back with the reply to the request message of this id. Returns what ends the wait. */
  onReply(correlationId: string, listener: (reply: ReceivedMessage) => void): () => void {
    this.#requesters.set(correlationId, listener)
    return () => this.#requesters.delete(correlationId)
  }

  clear(): void {
    this.#memberListeners.clear()
    this.#consumers.clear()
    this.#requesters.clear()
  }

  handle(
    request: RemotingCommand,
    connection: RemotingConnection,
  ): RequestAnswer | undefined | Promise<RequestAnswer | undefined> {
    const { extFields } = request
    switch (request.code) {
      case RequestCode.NOTIFY_CONSUMER_IDS_CHANGED:
        this.#memberListeners.get(extFields['consumerGroup'] ?? '')?.()
        return DONE
      case RequestCode.CHECK_TRANSACTION_STATE:
        void answerCheck(request, connection, this.checks)
        return DONE
      case RequestCode.RESET_CONSUMER_CLIENT_OFFSET:
        return this.#reset(request)
      case RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT: {
        const offsets = this.#consumers.get(extFields['group'] ?? '')?.positions(extFields['topic'] ?? '')
        return { ...DONE, body: encodeQueueOffsets('messageQueueTable', offsets ?? new Map()) }
      }
      case RequestCode.GET_CONSUMER_RUNNING_INFO: {
        const consumer = this.#consumers.get(extFields['consumerGroup'] ?? '')
        return consumer ? { ...DONE, body: runningInfoBody(consumer.runningInfo()) } : noConsumer(request)
      }
      case RequestCode.CONSUME_MESSAGE_DIRECTLY:
        return this.#consumeDirectly(request)
      case RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT:
        return this.#reply(request)
      default:
        return undefined
    }
  }

  #reset(request: RemotingCommand): RequestAnswer {
    const offsets = decodeQueueOffsets(request.body, 'offsetTable')
    if (!offsets.ok) return { code: ResponseCode.SYSTEM_ERROR, remark: offsets.reason }
    this.#consumers.get(request.extFields['group'] ?? '')?.moveTo(offsets.value)
    return DONE
  }

  async #consumeDirectly(request: RemotingCommand): Promise<RequestAnswer> {
    const { brokerName = '', consumerGroup = '' } = request.extFields
    const consumer = this.#consumers.get(consumerGroup)
    if (!consumer) return noConsumer(request)
    const [message] = await receivedMessages('direct consumption', request.body, (topic, queueId) => ({
      topic,
      brokerName,
      queueId,
    }))
    if (!message) return { code: ResponseCode.SYSTEM_ERROR, remark: 'the request carries no message' }
    return { ...DONE, body: directResultBody(await consumer.consumeDirectly(message)) }
  }

  /** A reply that nobody waits for any more is taken as well: its sender has done its part. */
  async #reply(request: RemotingCommand): Promise<RequestAnswer> {
    const reply = await replyOf(request)
    this.#requesters.get(reply.properties['CORRELATION_ID'] ?? '')?.(reply)
    return DONE
  }
}

const DONE: RequestAnswer = { code: ResponseCode.SUCCESS }

function noConsumer({ extFields }: RemotingCommand): RequestAnswer {
  return {
    code: ResponseCode.SYSTEM_ERROR,
    remark: `The Consumer Group <${extFields['consumerGroup'] ?? ''}> not exist in this consumer`,
  }
}
