import { type Cancel, formatProperties, formatTraceRecord, PropertyName, type TraceRecord } from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import type { PendingDelivery } from '../consumer/delivery.js'
import type { ReceivedMessage } from '../consumer/received-message.js'
import { REQUEST_TIMEOUT_MS } from '../limits.js'
import type { Message } from '../producer/message.js'
import { QueueSelector } from '../producer/queue-selector.js'
import type { SendResult } from '../producer/send-result.js'
import { Sending, type SendingContext } from '../producer/sending.js'

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'
/** Prefix by which brokers tell such producers. messages.md §9 */
const TRACE_GROUP = '_INNER_TRACE_PRODUCER-millrace'
const FLUSH_INTERVAL_MS = 500
/** Records of one trace message; and those that may wait: past it new ones are dropped, tracing must not slow sends. */
const RECORDS_PER_MESSAGE = 100
const WAITING_MAX = 10_000
const REGION = 'DefaultRegion'
/** Ordinals of RocketMQ's MessageType. behaviour.md §17 */
const MESSAGE_TYPE = { normal: '0', delayed: '3', ordered: '4' } as const

interface Waiting {
  readonly text: string
  readonly keys: readonly string[]
}

/**
 * Writes message traces as the official clients do, to RMQ_SYS_TRACE_TOPIC: their tools, and RocketMQ's dashboard, find
 * them by message id and key. What cannot be sent is given up: a trace is worth less than the messages.
 */
export class Tracer {
  readonly #context: ClientContext
  readonly #group: string
  readonly #sending: SendingContext
  readonly #taken = new WeakMap<PendingDelivery, { readonly id: string; readonly at: number }>()
  #waiting: Waiting[] = []
  #cancel: Cancel | undefined

  /** @param group  of the producer or consumer that is traced */
  constructor(context: ClientContext, group: string) {
    const { environment, pool, routes } = context
    this.#context = context
    this.#group = group
    this.#sending = { environment, pool, routes, selector: new QueueSelector(), group: TRACE_GROUP }
    context.heartbeats.addProducer(TRACE_GROUP)
  }

  /** A message was sent, or could not be; `begin` is the wall clock before. */
  sent(message: Message, bodyBytes: number, begin: number, result: SendResult | undefined, messageId: string): void {
    const isDelayed =
      message.delayLevel !== undefined || message.delayMs !== undefined || message.deliverAt !== undefined
    const keys = keysOf(message.keys)
    const fields = {
      timestamp: String(begin),
      region: REGION,
      group: this.#group,
      topic: message.topic,
      msgId: messageId,
      tags: message.tag ?? '',
      keys: keys.join(' '),
      storeHost: (result && this.#context.routes.addressOf(result.queue.brokerName)) ?? '',
      bodyLength: String(bodyBytes),
      costMs: String(this.#now() - begin),
      messageType: isDelayed
        ? MESSAGE_TYPE.delayed
        : message.shardingKey === undefined
          ? MESSAGE_TYPE.normal
          : MESSAGE_TYPE.ordered,
      offsetMsgId: result?.offsetMessageId ?? '',
      isSuccess: String(result !== undefined),
    }
    this.#add({ type: 'Pub', fields }, [messageId, ...keys])
  }

  /** A handler gets messages. */
  taken(delivery: PendingDelivery): void {
    const at = this.#now()
    const id = this.#context.nextMessageId()
    this.#taken.set(delivery, { id, at })
    for (const message of delivery.messages) {
      const fields = {
        timestamp: String(at),
        region: REGION,
        group: this.#group,
        requestId: id,
        msgId: message.messageId,
        retryTimes: String(message.reconsumeTimes),
        keys: message.keys ?? '',
      }
      this.#add({ type: 'SubBefore', fields }, idsOf(message))
    }
  }

  /** A handler is done with them. */
  settled(delivery: PendingDelivery, isConsumed: boolean): void {
    const taken = this.#taken.get(delivery)
    if (taken === undefined) return
    const now = this.#now()
    for (const message of delivery.messages) {
      const fields = {
        requestId: taken.id,
        msgId: message.messageId,
        costMs: String(now - taken.at),
        isSuccess: String(isConsumed),
        keys: message.keys ?? '',
        // 0 success, 4 failed.
        contextCode: isConsumed ? '0' : '4',
        timestamp: String(now),
        group: this.#group,
      }
      this.#add({ type: 'SubAfter', fields }, idsOf(message))
    }
  }

  /** Sends what waits; resolves when it has been stored or given up. */
  async flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    const all = this.#waiting
    this.#waiting = []
    const sends: Promise<void>[] = []
    for (let at = 0; at < all.length; at += RECORDS_PER_MESSAGE)
      sends.push(this.#send(all.slice(at, at + RECORDS_PER_MESSAGE)))
    await Promise.all(sends)
  }

  #now(): number {
    return this.#context.environment.clock.now()
  }

  #add(record: TraceRecord, keys: readonly string[]): void {
    if (this.#waiting.length >= WAITING_MAX) return
    this.#waiting.push({ text: formatTraceRecord(record), keys })
    this.#cancel ??= this.#context.environment.scheduler.after(FLUSH_INTERVAL_MS, () => void this.flush())
  }

  #send(records: readonly Waiting[]): Promise<void> {
    const messageId = this.#context.nextMessageId()
    const outgoing = {
      topic: TRACE_TOPIC,
      body: Buffer.from(records.map(record => record.text).join('')),
      properties: formatProperties({
        [PropertyName.UNIQ_KEY]: messageId,
        [PropertyName.KEYS]: [...new Set(records.flatMap(record => record.keys))].join(' '),
        [PropertyName.WAIT]: 'true',
      }),
      sysFlag: 0,
      messageId,
      isBatch: false,
      reconsumeTimes: 0,
    }
    const options = {
      timeoutMs: REQUEST_TIMEOUT_MS,
      retries: 1,
      queue: undefined,
      shardingKey: undefined,
      signal: undefined,
    }
    return new Promise(resolve => {
      const done = (): void => resolve()
      new Sending(this.#sending, outgoing, options, done, done).start()
    })
  }
}

function keysOf(keys: Message['keys']): string[] {
  if (keys === undefined) return []
  return typeof keys === 'string' ? keys.split(' ').filter(key => key !== '') : [...keys]
}

function idsOf(message: ReceivedMessage): string[] {
  return [message.messageId, ...keysOf(message.keys)]
}
