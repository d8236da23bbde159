import {
  type Environment,
  type MessageQueue,
  MillraceError,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import type { ConnectionPool } from '../connection/connection-pool.js'
import type { Call, RemotingConnection, Request } from '../connection/remoting-connection.js'
import { abortError, asError, RequestError } from '../errors.js'
import { AUTO_CREATE_QUEUES } from '../limits.js'
import type { RouteTable } from '../route/route-table.js'
import type { TopicRoute } from '../route/topic-route.js'
import type { QueueSelector } from './queue-selector.js'
import { isRetryable, isStored, type SendResult, sendResult } from './send-result.js'

/** What all sends of a producer share. */
export interface SendingContext {
  readonly environment: Environment
  readonly pool: ConnectionPool
  readonly routes: RouteTable
  readonly selector: QueueSelector
  readonly group: string
}

/** What is sent: one message, or a whole batch. */
export interface Outgoing {
  readonly topic: string
  readonly body: Uint8Array
  readonly properties: string
  readonly sysFlag: number
  readonly messageId: string
  readonly isBatch: boolean
  /** A reply to a request message, for the client that waits for it. */
  readonly isReply?: boolean
  readonly reconsumeTimes: number
}

export interface SendingOptions {
  /** For all attempts together. */
  readonly timeoutMs: number
  /** Attempts after the first, each on another broker if there is one. */
  readonly retries: number
  /** The queue to send to: there is one attempt then. */
  readonly queue: MessageQueue | undefined
  readonly shardingKey: string | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * One message on its way: chooses a queue, sends, and tries again where that can help.
 * It takes one callback per attempt and no promise but the caller's; a route or connection that is not there yet adds some.
 */
export class Sending implements Call {
  readonly #context: SendingContext
  readonly #outgoing: Outgoing
  readonly #options: SendingOptions
  readonly #resolve: (result: SendResult) => void
  readonly #reject: (error: Error) => void
  readonly #deadline: number
  #attemptsLeft: number
  #failedBrokers: Set<string> | undefined
  #queue: MessageQueue | undefined
  #isSettled = false
  #bornTimestamp = ''

  constructor(
    context: SendingContext,
    outgoing: Outgoing,
    options: SendingOptions,
    resolve: (result: SendResult) => void,
    reject: (error: Error) => void,
  ) {
    this.#context = context
    this.#outgoing = outgoing
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#deadline = context.environment.clock.monotonic() + options.timeoutMs
    const isPinned = options.queue !== undefined || options.shardingKey !== undefined
    this.#attemptsLeft = isPinned ? 1 : 1 + options.retries
  }

  start(): void {
    const { signal } = this.#options
    if (signal?.aborted) {
      this.#fail(abortError(signal, this.#what()))
      return
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#bornTimestamp = String(this.#context.environment.clock.now())
    this.#attempt()
  }

  onAnswer(answer: RemotingCommand): void {
    const queue = this.#queue as MessageQueue
    const { routes } = this.#context
    if (isStored(answer.code)) {
      if (routes.isTemplated(queue.topic)) routes.load(queue.topic).catch(() => {})
      try {
        this.#succeed(sendResult(answer, queue, this.#outgoing.messageId))
      } catch (error) {
        this.#fail(asError(error))
      }
      return
    }
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST && !routes.isTemplated(queue.topic))
      routes.load(queue.topic).catch(() => {})
    this.#retry(new RequestError(this.#what(), answer.code, answer.remark), isRetryable(answer.code))
  }

  onFailure(error: MillraceError): void {
    this.#retry(error, error.isRetryable)
  }

  #attempt(): void {
    this.#attemptsLeft--
    const { pool, routes } = this.#context
    const route = routes.get(this.#outgoing.topic)
    if (!route || route.writeQueues.length === 0) return void this.#attemptSlowly()
    const address = this.#choose(route)
    const connection = address === undefined ? undefined : pool.live(address)
    if (connection) this.#send(connection)
    else void this.#attemptSlowly()
  }

  /** The same with waits: the route or the connection is not there yet. */
  async #attemptSlowly(): Promise<void> {
    const { pool, routes } = this.#context
    try {
      const route = await routes.routeForSend(this.#outgoing.topic, { timeoutMs: this.#remainingMs() })
      const address = this.#choose(route)
      if (address === undefined) throw new MillraceError('TOPIC_NOT_FOUND', this.#noQueue())
      const connection = await pool.connect(address)
      this.#send(connection)
    } catch (error) {
      const isRetryableError = error instanceof MillraceError && error.isRetryable
      this.#retry(asError(error), isRetryableError)
    }
  }

  /** Sets the queue and returns the address of its broker. */
  #choose(route: TopicRoute): string | undefined {
    const { queue, shardingKey } = this.#options
    const { selector, routes } = this.#context
    if (queue) this.#queue = queue
    else if (route.writeQueues.length === 0) return undefined
    else if (shardingKey !== undefined) this.#queue = selector.forKey(shardingKey, route.writeQueues)
    else this.#queue = selector.next(route.topic, route.writeQueues, this.#failedBrokers)
    return routes.addressOf(this.#queue.brokerName)
  }

  #send(connection: RemotingConnection): void {
    if (this.#isSettled) return
    const remainingMs = this.#remainingMs()
    if (remainingMs <= 0) {
      this.#fail(this.#lateError())
      return
    }
    try {
      connection.call(
        sendRequest(this.#context.group, this.#outgoing, this.#queue as MessageQueue, this.#bornTimestamp),
        remainingMs,
        this,
      )
    } catch (error) {
      this.#fail(asError(error))
    }
  }

  #retry(error: Error, isWorthwhile: boolean): void {
    if (this.#isSettled) return
    if (!isWorthwhile || this.#attemptsLeft <= 0 || this.#remainingMs() <= 0) {
      this.#fail(error)
      return
    }
    if (this.#queue) {
      this.#failedBrokers ??= new Set()
      this.#failedBrokers.add(this.#queue.brokerName)
    }
    this.#attempt()
  }

  #succeed(result: SendResult): void {
    if (this.#isSettled) return
    this.#settle()
    this.#resolve(result)
  }

  #fail(error: Error): void {
    if (this.#isSettled) return
    this.#settle()
    this.#reject(error)
  }

  #settle(): void {
    this.#isSettled = true
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.#fail(abortError(this.#options.signal as AbortSignal, this.#what()))

  #remainingMs(): number {
    return this.#deadline - this.#context.environment.clock.monotonic()
  }

  #lateError(): MillraceError {
    return new MillraceError(
      'TIMEOUT',
      `${this.#what()} took longer than ${this.#options.timeoutMs} ms; allow more with timeoutMs`,
    )
  }

  #noQueue(): string {
    const { topic } = this.#outgoing
    return `topic "${topic}" has no queue that takes messages; check its write permission and that a master broker runs`
  }

  #what(): string {
    return `send to topic "${this.#outgoing.topic}"`
  }
}

/** SEND_MESSAGE_V2 or SEND_BATCH_MESSAGE; the one-letter names are explained in remoting.md §6. */
export function sendRequest(group: string, outgoing: Outgoing, queue: MessageQueue, bornTimestamp: string): Request {
  return {
    code: codeOf(outgoing),
    fields: {
      a: group,
      b: outgoing.topic,
      c: 'TBW102',
      d: String(AUTO_CREATE_QUEUES),
      e: String(queue.queueId),
      f: String(outgoing.sysFlag),
      g: bornTimestamp,
      h: '0',
      i: outgoing.properties,
      j: String(outgoing.reconsumeTimes),
      k: 'false',
      m: outgoing.isBatch ? 'true' : 'false',
      n: queue.brokerName,
    },
    body: outgoing.body,
  }
}

function codeOf({ isBatch, isReply }: Outgoing): number {
  if (isReply) return RequestCode.SEND_REPLY_MESSAGE_V2
  return isBatch ? RequestCode.SEND_BATCH_MESSAGE : RequestCode.SEND_MESSAGE_V2
}
