import {
  type Compression,
  loadBodyCodec,
  type MessageQueue,
  MillraceError,
  parseRecallHandle,
  RequestCode,
} from '@millrace/core'
import { mergeMap, type Observable, type OperatorFunction } from 'rxjs'
import { type ClientContext, requestAddress } from '../client-context.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import { ErrorReporter } from '../error-reporter.js'
import { REQUEST_TIMEOUT_MS, SEND_RETRIES } from '../limits.js'
import type { Tracer } from '../trace/tracer.js'
import { type Compressor, type Message, prepareBatch, prepareMessage } from './message.js'
import { QueueSelector } from './queue-selector.js'
import { awaitReply, replyTarget, requestProperties } from './request-reply.js'
import type { SendResult } from './send-result.js'
import { type Outgoing, Sending, type SendingContext, type SendingOptions, sendRequest } from './sending.js'
import {
  endTransaction,
  halfMessage,
  type TransactionCheck,
  type TransactionDecision,
  type TransactionResult,
} from './transaction.js'

export interface ProducerOptions {
  /** Shown by admin tools. Default `millrace_producer`. */
  readonly group?: string | undefined
  /** Other brokers tried when one fails, default 2. A retry after a lost answer can store a message twice. */
  readonly retries?: number | undefined
  /** Default time of a send, its retries included: 3,000 ms. */
  readonly timeoutMs?: number | undefined
  /** How bodies over 4,096 bytes are compressed; `none` leaves them as they are. Default `zlib`, which every client can read. */
  readonly compression?: Compression | 'none' | undefined
  /**
   * Answers brokers that ask what became of a transaction of this group. One per group in a client: that of the last
   * producer. Without it transactions that stay undecided are given up by the broker in the end.
   */
  readonly check?: TransactionCheck | undefined
  /** Writes a trace of every single send to RMQ_SYS_TRACE_TOPIC, as official clients do. Default false. */
  readonly trace?: boolean | undefined
  /** Hears of failures of `check`. Default: they become process warnings. */
  readonly onError?: ((error: Error) => void) | undefined
}

export interface TransactionOptions extends SendOptions {
  /** The broker asks no earlier than this after the send, and takes a late decision only as an answer: whole seconds. */
  readonly firstCheckAfterSeconds?: number | undefined
}

export interface SendOptions {
  /** Sends to this queue, with one attempt. */
  readonly queue?: MessageQueue | undefined
  /** For all attempts together. */
  readonly timeoutMs?: number | undefined
  /** Stops waiting. The message may still be stored. */
  readonly signal?: AbortSignal | undefined
}

/** Sends messages. Calls may overlap; those of one event-loop turn leave in one write per broker. */
export class Producer {
  readonly #context: ClientContext
  readonly #sending: SendingContext
  readonly #retries: number
  readonly #timeoutMs: number
  readonly #tracer: Tracer | undefined
  /** Resolves when brokers have heard of this producer; undefined until it matters. */
  #known: Promise<void> | undefined
  /** Zlib until the chosen codec is loaded. */
  #compressor: Compressor | undefined

  /** @internal Made by `Client.producer`. */
  constructor(context: ClientContext, options: ProducerOptions = {}) {
    const { environment, pool, routes } = context
    const group = options.group ?? 'millrace_producer'
    this.#context = context
    this.#sending = { environment, pool, routes, selector: new QueueSelector(), group }
    this.#retries = options.retries ?? SEND_RETRIES
    this.#timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS
    context.heartbeats.addProducer(group)
    this.#tracer = options.trace ? context.tracer(group) : undefined
    if (options.check) {
      context.served.checks.set(group, {
        check: options.check,
        reporter: new ErrorReporter(environment.clock, options.onError),
      })
      // Brokers that are connected already have not heard of this group.
      void context.heartbeats.beat()
    }
    const kind = options.compression ?? 'zlib'
    this.#compressor = kind === 'none' ? undefined : { kind: 'zlib', codec: context.zlib }
    if (kind !== 'none' && kind !== 'zlib') void this.#useCodec(kind)
  }

  /**
   * Sends a message: to the queue of its sharding key, else to the next in turn; bodies over 4,096 bytes go compressed.
   * Resolves when the broker has stored it as safely as it is configured to (see `status`).
   * @throws MillraceError INVALID_ARGUMENT, TOPIC_NOT_FOUND, TIMEOUT, CONNECT_FAILED, CONNECTION_LOST, ABORTED;
   *   RequestError with the broker's code.
   */
  send(message: Message, options: SendOptions = {}): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const messageId = this.#context.nextMessageId()
      const outgoing = {
        topic: message.topic,
        ...prepareMessage(message, messageId, this.#compressor),
        isBatch: false,
        reconsumeTimes: 0,
      }
      const [done, failed] = this.#tracer
        ? this.#traced(this.#tracer, message, outgoing, resolve, reject)
        : [resolve, reject]
      new Sending(this.#sending, outgoing, this.#optionsOf(message, options), done, failed).start()
    })
  }

  #traced(
    tracer: Tracer,
    message: Message,
    { body, messageId }: Outgoing,
    resolve: (result: SendResult) => void,
    reject: (error: Error) => void,
  ): [(result: SendResult) => void, (error: Error) => void] {
    const begin = this.#context.environment.clock.now()
    const trace = (result?: SendResult): void => tracer.sent(message, body.length, begin, result, messageId)
    return [
      result => {
        trace(result)
        resolve(result)
      },
      error => {
        trace()
        reject(error)
      },
    ]
  }

  /**
   * Sends a message that consumers see when the transaction is committed, and never when it is rolled back: stores it as
   * a half message, runs `execute`, and tells the broker its decision. Resolves when the broker has stored the decision.
   *
   * The first decision that the broker hears of is final. When it hears of none (`unknown`, `execute` failed, a
   * connection or process died) it asks the `check` of a producer of the group.
   * @throws what `execute` throws; as `send`; RequestError with code 604 when the transaction has ended otherwise
   */
  async sendInTransaction(
    message: Message,
    execute: (sent: SendResult) => TransactionDecision | Promise<TransactionDecision>,
    options: TransactionOptions = {},
  ): Promise<TransactionResult> {
    const messageId = this.#context.nextMessageId()
    const prepared = halfMessage(prepareMessage(message, messageId, this.#compressor), this.#sending.group, {
      isDelayed: message.delayLevel !== undefined || message.delayMs !== undefined || message.deliverAt !== undefined,
      firstCheckAfterSeconds: options.firstCheckAfterSeconds,
    })
    const sent = await new Promise<SendResult>((resolve, reject) => {
      const outgoing = { topic: message.topic, ...prepared, isBatch: false, reconsumeTimes: 0 }
      new Sending(this.#sending, outgoing, this.#optionsOf(message, options), resolve, reject).start()
    })
    const decision = await execute(sent)
    await endTransaction(this.#context, this.#sending.group, sent, decision)
    return { ...sent, decision }
  }

  /**
   * Sends a message and waits for a consumer's reply to it (`reply`). Resolves with the reply.
   * @throws MillraceError TIMEOUT when none came within `timeoutMs` (default 3,000, from the send on); as `send`
   */
  async request(message: Message, options: Pick<SendOptions, 'queue' | 'timeoutMs'> = {}): Promise<ReceivedMessage> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs
    await this.#beKnown(message.topic)
    const messageId = this.#context.nextMessageId()
    const prepared = prepareMessage(message, messageId, this.#compressor)
    const outgoing = {
      topic: message.topic,
      ...prepared,
      properties: prepared.properties + requestProperties(this.#context, messageId, timeoutMs),
      isBatch: false,
      reconsumeTimes: 0,
    }
    const sendingOptions = this.#optionsOf(message, { ...options, timeoutMs })
    return awaitReply(
      this.#context,
      messageId,
      timeoutMs,
      () =>
        new Promise((resolve, reject) => new Sending(this.#sending, outgoing, sendingOptions, resolve, reject).start()),
    )
  }

  /**
   * Replies to a message that was sent with `request`. Resolves when the client that waits has the reply.
   * @throws MillraceError INVALID_ARGUMENT when the message asks for none; RequestError when its sender is not there
   *   any more; as `send`
   */
  reply(request: ReceivedMessage, reply: Omit<Message, 'topic' | 'shardingKey'>): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const { topic, properties } = replyTarget(request)
      const message = { ...reply, topic }
      const prepared = prepareMessage(message, this.#context.nextMessageId(), this.#compressor)
      const outgoing: Outgoing = {
        topic,
        ...prepared,
        properties: prepared.properties + properties,
        isBatch: false,
        isReply: true,
        reconsumeTimes: 0,
      }
      // Brokers that the requester's message came through know the requester.
      const queue = { topic, brokerName: request.queue.brokerName, queueId: 0 }
      new Sending(this.#sending, outgoing, this.#optionsOf(message, { queue }), resolve, reject).start()
    })
  }

  /** Brokers pass replies on to producers whose heartbeat they have. */
  async #beKnown(topic: string): Promise<void> {
    await this.#sending.routes.routeForSend(topic)
    this.#known ??= this.#context.heartbeats.beat()
    await this.#known
  }

  /**
   * Sends messages of one topic in one request to one queue, where they follow each other without gaps.
   * At most 4 MiB together. The result is that of the first message; `messageId` and `offsetMessageId` are lists with commas.
   * @throws as `send`
   */
  sendBatch(messages: readonly Message[], options: SendOptions = {}): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const first = messages[0]
      if (!first) throw new MillraceError('INVALID_ARGUMENT', 'a batch needs at least one message')
      const ids = messages.map(() => this.#context.nextMessageId())
      const body = prepareBatch(messages, ids)
      const outgoing: Outgoing = {
        topic: first.topic,
        body,
        properties: 'WAIT\u0001true\u0002',
        sysFlag: 0,
        messageId: ids.join(','),
        isBatch: true,
        reconsumeTimes: 0,
      }
      new Sending(this.#sending, outgoing, this.#optionsOf(first, options), resolve, reject).start()
    })
  }

  /**
   * Sends a message without asking for an answer. Resolves when it was handed to a connection, which may lose it;
   * waits while the broker is slower than the sender.
   * @throws MillraceError INVALID_ARGUMENT, TOPIC_NOT_FOUND, CONNECT_FAILED
   */
  async sendOneWay(message: Message, options: Pick<SendOptions, 'queue'> = {}): Promise<void> {
    const { environment, pool, routes, selector, group } = this.#sending
    const outgoing = {
      topic: message.topic,
      ...prepareMessage(message, this.#context.nextMessageId(), this.#compressor),
      isBatch: false,
      reconsumeTimes: 0,
    }
    const route = routes.get(message.topic) ?? (await routes.routeForSend(message.topic))
    if (!options.queue && route.writeQueues.length === 0)
      throw new MillraceError(
        'TOPIC_NOT_FOUND',
        `topic "${message.topic}" has no queue that takes messages; check its write permission`,
      )
    const queue =
      options.queue ??
      (message.shardingKey === undefined
        ? selector.next(message.topic, route.writeQueues)
        : selector.forKey(message.shardingKey, route.writeQueues))
    const address = routes.addressOf(queue.brokerName)
    if (address === undefined)
      throw new MillraceError(
        'CONNECT_FAILED',
        `broker "${queue.brokerName}" has no master in any known route; check that it runs`,
      )
    const connection = pool.live(address) ?? (await pool.connect(address))
    if (connection.isCongested) await connection.drained()
    connection.notify(sendRequest(group, outgoing, queue, String(environment.clock.now())))
  }

  /**
   * Takes back a message with `delayMs` or `deliverAt` that is not due yet, and ends a repeated one. `recallHandle` is from the result of its send.
   * When it resolves the message is never delivered (any more); resolves to its message id.
   * @throws MillraceError INVALID_ARGUMENT, TOPIC_NOT_FOUND, TIMEOUT, CONNECT_FAILED, CONNECTION_LOST; RequestError: 604 when the message
   *   is due or the handle is not this broker's, 16 when the broker does not recall (`recallMessageEnable`).
   */
  async recall(recallHandle: string): Promise<string> {
    const handle = parseRecallHandle(recallHandle)
    if (!handle)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `"${recallHandle.slice(0, 60)}" is no recall handle; use recallHandle of the send's result`,
      )
    const { brokerName, topic } = handle
    const { group, routes } = this.#sending
    await routes.routeForSend(topic)
    const address = routes.addressOf(brokerName)
    if (address === undefined)
      throw new MillraceError(
        'CONNECT_FAILED',
        `broker "${brokerName}" has no master in any known route; check that it runs`,
      )
    const fields = { producerGroup: group, topic, recallHandle }
    const request = { code: RequestCode.RECALL_MESSAGE, fields }
    const answer = await requestAddress(this.#context, address, `recall of a message to topic "${topic}"`, request)
    return answer.extFields['msgId'] ?? handle.uniqueKey
  }

  /**
   * Sends what comes from a stream and emits the results, in the order in which they arrive. At most `concurrency`
   * messages are on their way; the rest waits in the operator, so that a fast hot source needs a bound of its own.
   * An error of a send ends the stream; unsubscribing does not take back what was sent.
   */
  sink(concurrency = 256): OperatorFunction<Message, SendResult> {
    return (source: Observable<Message>) => source.pipe(mergeMap(message => this.send(message), concurrency))
  }

  /** The queues of a topic that take messages now. @throws MillraceError TOPIC_NOT_FOUND, CONNECT_FAILED */
  async queues(topic: string): Promise<readonly MessageQueue[]> {
    return (await this.#sending.routes.routeForSend(topic)).writeQueues
  }

  async #useCodec(kind: Compression): Promise<void> {
    this.#compressor = { kind, codec: await loadBodyCodec(kind) }
  }

  #optionsOf(message: Message, options: SendOptions): SendingOptions {
    return {
      timeoutMs: options.timeoutMs ?? this.#timeoutMs,
      retries: this.#retries,
      queue: options.queue,
      shardingKey: message.shardingKey,
      signal: options.signal,
    }
  }
}
