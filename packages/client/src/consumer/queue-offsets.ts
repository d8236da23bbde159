import { type MessageQueue, RequestCode, ResponseCode } from '@millrace/core'
import { type ClientContext, requestBroker } from '../client-context.js'
import type { RequestOptions } from '../connection/connection-pool.js'
import { RequestError } from '../errors.js'
import { describeQueue } from './pull.js'

/**
 * Where a group begins in a queue for which it has no offset: its ends, or a time in milliseconds since the epoch.
 * Whatever is asked for, brokers let a group begin at 0 in a queue that still has its first message in memory, so that
 * it misses nothing of a queue that is new. behaviour.md §8
 */
export type StartPosition = 'first' | 'last' | number

/** Offsets of a queue, and those that groups have stored for it. All calls throw RequestError and what connections throw. */
export class QueueOffsets {
  readonly #context: ClientContext

  constructor(context: ClientContext) {
    this.#context = context
  }

  /** First offset that the queue still holds. */
  min(queue: MessageQueue, options?: RequestOptions): Promise<number> {
    return this.#read(RequestCode.GET_MIN_OFFSET, 'first offset', queue, {}, options)
  }

  /** Offset that the next message of the queue will get. */
  max(queue: MessageQueue, options?: RequestOptions): Promise<number> {
    return this.#read(RequestCode.GET_MAX_OFFSET, 'last offset', queue, {}, options)
  }

  /** First offset whose message was stored at `timestamp` (ms since the epoch) or later; the end when there is none. */
  atTime(queue: MessageQueue, timestamp: number, options?: RequestOptions): Promise<number> {
    const fields = { timestamp: String(timestamp), boundaryType: 'LOWER' }
    return this.#read(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, 'offset by time', queue, fields, options)
  }

  /** Next offset that the group will consume; undefined when it has stored none. */
  committed(group: string, queue: MessageQueue, options?: RequestOptions): Promise<number | undefined> {
    return this.#committed(queue, { consumerGroup: group, setZeroIfNotFound: 'false' }, options)
  }

  /** Stores the next offset that the group will consume. Resolves when the broker has it. */
  async commit(group: string, queue: MessageQueue, offset: number, options?: RequestOptions): Promise<void> {
    const what = `commit of ${describeQueue(queue)} for group "${group}"`
    await this.#locate(queue)
    await requestBroker(this.#context, queue.brokerName, what, commitRequest(group, queue, offset), options)
  }

  /** The same without an answer: for regular commits, of which the next makes up for a lost one. */
  commitOneWay(group: string, queue: MessageQueue, offset: number): void {
    const address = this.#context.routes.addressOf(queue.brokerName)
    const connection = address === undefined ? undefined : this.#context.pool.live(address)
    connection?.notify(commitRequest(group, queue, offset))
  }

  /** Where a member begins: the committed offset, else by `from`. */
  async start(group: string, queue: MessageQueue, from: StartPosition, options?: RequestOptions): Promise<number> {
    return (await this.#committed(queue, { consumerGroup: group }, options)) ?? (await this.at(queue, from, options))
  }

  /** The offset of a position. */
  at(queue: MessageQueue, position: StartPosition, options?: RequestOptions): Promise<number> {
    if (position === 'first') return this.min(queue, options)
    return position === 'last' ? this.max(queue, options) : this.atTime(queue, position, options)
  }

  async #committed(
    queue: MessageQueue,
    fields: Readonly<Record<string, string>>,
    options: RequestOptions | undefined,
  ): Promise<number | undefined> {
    try {
      return await this.#read(RequestCode.QUERY_CONSUMER_OFFSET, 'committed offset', queue, fields, options)
    } catch (error) {
      if (error instanceof RequestError && error.responseCode === ResponseCode.QUERY_NOT_FOUND) return undefined
      throw error
    }
  }

  async #read(
    code: number,
    what: string,
    queue: MessageQueue,
    fields: Readonly<Record<string, string>>,
    options: RequestOptions | undefined,
  ): Promise<number> {
    const request = { code, fields: { ...queueFields(queue), ...fields } }
    await this.#locate(queue)
    const answer = await requestBroker(
      this.#context,
      queue.brokerName,
      `${what} of ${describeQueue(queue)}`,
      request,
      options,
    )
    return Number(answer.extFields['offset'])
  }

  /** The address of a broker is known once a route that names it has been read. */
  async #locate(queue: MessageQueue): Promise<void> {
    if (this.#context.routes.addressOf(queue.brokerName) === undefined) await this.#context.routes.route(queue.topic)
  }
}

function commitRequest(group: string, queue: MessageQueue, offset: number) {
  const fields = { ...queueFields(queue), consumerGroup: group, commitOffset: String(offset) }
  return { code: RequestCode.UPDATE_CONSUMER_OFFSET, fields }
}

function queueFields(queue: MessageQueue): { topic: string; queueId: string; bname: string } {
  return { topic: queue.topic, queueId: String(queue.queueId), bname: queue.brokerName }
}
