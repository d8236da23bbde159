import {
  DLQ_TOPIC_PREFIX,
  decodeBatch,
  type Environment,
  formatProperties,
  isRetryTopic,
  offsetMessageId,
  PROPERTIES_BYTES_MAX,
  PropertyName,
  parseProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  SysFlag,
  UniqueIds,
  validateTopic,
} from '@millrace/core'
import type { Appended, LogStore, MessageToAppend } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { Peer, Reply } from '../../listener/peer.js'
import { type Handler, handlerOf, Refusal } from '../../requests/answer.js'
import { booleanField, integerField, optionalIntegerField, textField } from '../../requests/fields.js'
import type { BrokerCounters } from '../counters.js'
import { asksForLater, dropDelay, recallHandleOf } from '../delay/delay-schedule.js'
import { expiryFlag } from '../pull/expiry.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'
import { isTransactional } from '../transaction/half-message.js'
import type { OnceAppends } from './once/once-appends.js'

/** Codes of producers' sends. */
export const SEND_REQUESTS: readonly number[] = [
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE,
]

const WRITABLE = 2

/** What the send path asks of the parts that own retries and delays. */
export interface SendPolicies {
  /** What to store in place of a message that is due later; the same message otherwise. @throws Refusal 13 | 1 */
  scheduled(message: MessageToAppend): MessageToAppend
  /** What is stored of a message with TRAN_MSG=true until its producer commits it. */
  half(message: MessageToAppend, producerGroup: string): MessageToAppend
  /** Retry topics: the dead-letter topic instead, when the message was consumed too often. @throws Refusal 26 */
  retried(topic: string, reconsumeTimes: number, maxReconsumeTimes: number | undefined): string | Promise<string>
}

/** Header of a send, whichever names it came under. remoting.md §6 */
export interface SendHeader {
  readonly producerGroup: string
  readonly topic: string
  readonly defaultTopic: string
  readonly defaultTopicQueueNums: number
  readonly queueId: number
  readonly sysFlag: number
  readonly bornTimestamp: number
  readonly flag: number
  readonly properties: string
  readonly reconsumeTimes: number
  readonly maxReconsumeTimes: number | undefined
  readonly isBatch: boolean
}

/**
 * Sends that the hot path declines: unknown topics, delays, retries, odd properties, batches that need more than
 * storing, and everything that has to be refused with a reason. Checks in the order of behaviour.md §5.
 */
export class GeneralSend {
  readonly handler: Handler
  private readonly uniqueIds: UniqueIds

  constructor(
    private readonly config: BrokerConfig,
    private readonly store: LogStore,
    private readonly topics: Topics,
    private readonly policies: SendPolicies,
    private readonly environment: Environment,
    private readonly counters: BrokerCounters,
    private readonly addedProperties: Readonly<Record<string, string>>,
    private readonly brokerPort: () => number,
    private readonly once: OnceAppends,
  ) {
    this.uniqueIds = new UniqueIds(environment.clock, environment.random, {
      host: '127.0.0.1',
      processId: environment.random.int(65_536),
    })
    this.handler = handlerOf(({ command, peer }) => this.send(command, peer))
  }

  private async send(command: RemotingCommand, peer: Peer): Promise<Reply> {
    const regionFields = { MSG_REGION: this.config.regionId, TRACE_ON: String(this.config.traceOn) }
    try {
      const { code, extFields } = await this.storeMessages(command, peer)
      return { code, extFields: { ...extFields, ...regionFields } }
    } catch (error) {
      this.counters.refused()
      throw error
    }
  }

  /** Stores what a request of these codes, or a reply, carries. @throws Refusal; MillraceError of the store */
  async storeMessages(command: RemotingCommand, peer: Peer): Promise<Reply> {
    const header = readSendHeader(command)
    const check = validateTopic(header.topic)
    if (!check.ok) throw new Refusal(ResponseCode.INVALID_PARAMETER, check.reason)
    const body = command.body
    if (body === undefined || body.length === 0)
      throw new Refusal(
        ResponseCode.MESSAGE_ILLEGAL,
        `message for topic ${header.topic} has no body; send at least one byte`,
      )
    if (body.length > this.config.maxMessageSize) {
      throw new Refusal(
        ResponseCode.MESSAGE_ILLEGAL,
        `the message is illegal, maybe msg body or properties length not matched. msg body length limit ${this.config.maxMessageSize}B, this one has ${body.length}B`,
      )
    }
    let target = header.topic
    if (isRetryTopic(target))
      target = await this.policies.retried(target, header.reconsumeTimes, header.maxReconsumeTimes)
    const topic = await this.topics.ensureForSend(target, header.defaultTopic, header.defaultTopicQueueNums)
    if ((topic.perm & WRITABLE) === 0 || (this.config.brokerPermission & WRITABLE) === 0) {
      throw new Refusal(
        ResponseCode.NO_PERMISSION,
        `the broker[${this.config.brokerName}] sending message to topic[${topic.name}] is forbidden; give the topic write permission`,
      )
    }
    const queueId = this.queueOf(topic, target === header.topic ? header.queueId : 0)
    if (header.isBatch) return this.sendBatch(header, topic, queueId, body, peer)
    const sent = parseProperties(header.properties)
    // A dead letter is not delayed any more.
    if (target !== header.topic && target.startsWith(DLQ_TOPIC_PREFIX)) dropDelay(sent)
    const isHalf = isTransactional(sent, header.reconsumeTimes)
    if (isHalf && this.config.rejectTransactionMessage)
      throw new Refusal(
        ResponseCode.NO_PERMISSION,
        `the broker[${this.config.brokerName}] sending transaction message is forbidden`,
      )
    const message = this.message(header, topic.name, queueId, body, sent, peer)
    const properties = parseProperties(message.properties)
    // Asked of half messages too: a time that cannot be served is refused now, not when the transaction ends.
    const scheduled = this.policies.scheduled(message)
    const stored = isHalf ? this.policies.half(message, header.producerGroup) : scheduled
    const request = { producerGroup: header.producerGroup, topic, queueId }
    const [appended] = isHalf
      ? [await this.store.append(stored)]
      : await this.once.append(request, [{ message: stored, properties }])
    this.counters.put(topic, 1, appended.sizeBytes)
    const kept = stored.topic === topic.name ? undefined : this.topics.find(stored.topic)
    if (kept) this.counters.kept(kept, appended.sizeBytes)
    return success(
      queueId,
      appended,
      [offsetMessageId(message.storeHost, appended.position)],
      properties[PropertyName.UNIQ_KEY],
      recallHandleOf(stored, this.config.brokerName),
    )
  }

  private async sendBatch(header: SendHeader, topic: Topic, queueId: number, body: Buffer, peer: Peer): Promise<Reply> {
    if (isRetryTopic(topic.name))
      throw new Refusal(ResponseCode.MESSAGE_ILLEGAL, `batches may not go to retry topic ${topic.name}`)
    const batch = decodeBatch(body)
    if (!batch.ok) throw new Refusal(ResponseCode.MESSAGE_ILLEGAL, `batch body is malformed: ${batch.reason}`)
    const messages = batch.messages.map(inner => {
      const properties = parseProperties(inner.properties)
      if (asksForLater(properties))
        throw new Refusal(ResponseCode.MESSAGE_ILLEGAL, 'messages of a batch may not be delayed; send them one by one')
      if (isTransactional(properties, header.reconsumeTimes))
        throw new Refusal(
          ResponseCode.MESSAGE_ILLEGAL,
          'messages of a batch may not be half messages; send them one by one',
        )
      return this.message({ ...header, flag: inner.flag }, topic.name, queueId, inner.body, properties, peer)
    })
    const request = { producerGroup: header.producerGroup, topic, queueId }
    const all = await this.once.append(
      request,
      messages.map(message => ({ message, properties: parseProperties(message.properties) })),
    )
    this.counters.put(topic, all.length, body.length)
    const ids = all.map(appended => offsetMessageId(messages[0]!.storeHost, appended.position))
    const keys = messages.map(message => parseProperties(message.properties)[PropertyName.UNIQ_KEY] ?? '')
    return success(queueId, all[0]!, ids, keys.join(','))
  }

  private message(
    header: SendHeader,
    topic: string,
    queueId: number,
    body: Uint8Array,
    properties: Record<string, string>,
    peer: Peer,
  ): MessageToAppend {
    delete properties[PropertyName.POP_CK]
    properties[PropertyName.UNIQ_KEY] ??= this.uniqueIds.next()
    const text = Buffer.from(formatProperties({ ...properties, ...this.addedProperties }))
    if (text.length > PROPERTIES_BYTES_MAX) {
      throw new Refusal(
        ResponseCode.MESSAGE_ILLEGAL,
        `the properties of the message have ${text.length} bytes, more than ${PROPERTIES_BYTES_MAX}; shorten them`,
      )
    }
    return {
      topic,
      queueId,
      flag: header.flag,
      sysFlag: (header.sysFlag & ~SysFlag.TRANSACTION_MASK) | expiryFlag(properties),
      bornTimestamp: header.bornTimestamp,
      bornHost: peer.remote,
      storeHost: { host: this.config.brokerIP1 || peer.local.host, port: this.brokerPort() },
      reconsumeTimes: header.reconsumeTimes,
      preparedTransactionOffset: 0,
      body,
      properties: text,
    }
  }

  private queueOf(topic: Topic, queueId: number): number {
    if (queueId < 0) return this.environment.random.int(Math.max(1, topic.writeQueueNums))
    const count = Math.max(topic.readQueueNums, topic.writeQueueNums)
    if (queueId >= count) {
      throw new Refusal(
        ResponseCode.INVALID_PARAMETER,
        `request queueId[${queueId}] is illegal, topic ${topic.name} has ${count} queues`,
      )
    }
    return queueId
  }
}

function success(
  queueId: number,
  first: Appended,
  ids: readonly string[],
  transactionId: string | undefined,
  recallHandle?: string,
): Reply {
  return {
    code: ResponseCode.SUCCESS,
    extFields: {
      msgId: ids.join(','),
      queueId: String(queueId),
      queueOffset: String(first.queueOffset),
      ...(transactionId !== undefined && { transactionId }),
      ...(recallHandle !== undefined && { recallHandle }),
    },
  }
}

export function readSendHeader(command: RemotingCommand): SendHeader {
  const isV2 = command.code !== RequestCode.SEND_MESSAGE
  const name = (v1: string, v2: string): string => (isV2 && command.extFields[v2] !== undefined ? v2 : v1)
  return {
    producerGroup: command.extFields[name('producerGroup', 'a')] ?? '',
    topic: textField(command, name('topic', 'b')),
    defaultTopic: command.extFields[name('defaultTopic', 'c')] ?? '',
    defaultTopicQueueNums: integerField(command, name('defaultTopicQueueNums', 'd')),
    queueId: integerField(command, name('queueId', 'e')),
    sysFlag: integerField(command, name('sysFlag', 'f')),
    bornTimestamp: integerField(command, name('bornTimestamp', 'g')),
    flag: integerField(command, name('flag', 'h')),
    properties: command.extFields[name('properties', 'i')] ?? '',
    reconsumeTimes: optionalIntegerField(command, name('reconsumeTimes', 'j')) ?? 0,
    maxReconsumeTimes: optionalIntegerField(command, name('maxReconsumeTimes', 'l')),
    isBatch: command.code === RequestCode.SEND_BATCH_MESSAGE || booleanField(command, name('batch', 'm'), false),
  }
}
