import {
  decodeMessage,
  encodeMessage,
  formatProperties,
  type NetAddress,
  PropertyName,
  parseProperties,
  type StoredMessage,
  SysFlag,
  SystemTopic,
} from '@millrace/core'
import type { MessageStore, MessageToAppend } from '@millrace/storage'

/** Half messages and op records have one queue each. */
export const HALF_QUEUE = 0

/** Longest body of an op record. RocketMQ `transactionOpMsgMaxSize` */
const OP_BODY_BYTES_MAX = 4096
const OP_PROPERTIES = Buffer.from(formatProperties({ [PropertyName.TAGS]: 'd' }))
const SEPARATOR = ','

/** A half message as it is stored. */
export interface Half {
  readonly message: StoredMessage
  readonly properties: Readonly<Record<string, string>>
}

/** Is this a half message? One that is sent back to be delayed is not. behaviour.md §5 */
export function isTransactional(properties: Readonly<Record<string, string>>, reconsumeTimes: number): boolean {
  if (properties[PropertyName.TRAN_MSG]?.toLowerCase() !== 'true') return false
  return !(reconsumeTimes > 0 && Number(properties[PropertyName.DELAY] ?? 0) > 0)
}

/** The half message that is stored in place of `message`: nobody reads it before the commit. behaviour.md §12 */
export function halfOf(message: MessageToAppend, producerGroup: string): MessageToAppend {
  const properties = parseProperties(message.properties)
  properties[PropertyName.REAL_TOPIC] = message.topic
  properties[PropertyName.REAL_QID] = String(message.queueId)
  properties[PropertyName.PGROUP] ??= producerGroup
  return {
    ...message,
    topic: SystemTopic.TRANS_HALF,
    queueId: HALF_QUEUE,
    sysFlag: message.sysFlag & ~SysFlag.TRANSACTION_MASK,
    properties: Buffer.from(formatProperties(properties)),
  }
}

/** The half message at a position of the log; undefined when there is none. */
export function readHalf(store: Pick<MessageStore, 'record'>, position: number): Half | undefined {
  const record = position < 0 ? undefined : store.record(position)
  const decoded = record && decodeMessage(record, 0, record.length)
  if (!decoded?.ok || decoded.message.topic !== SystemTopic.TRANS_HALF) return undefined
  const { message } = decoded
  return { message, properties: parseProperties(message.properties) }
}

/** The message that a commit delivers. */
export function committedMessage({ message, properties }: Half): MessageToAppend {
  return {
    ...message,
    topic: realTopic(properties),
    queueId: realQueueId(properties),
    sysFlag: (message.sysFlag & ~SysFlag.TRANSACTION_MASK) | SysFlag.TRANSACTION_COMMIT,
    preparedTransactionOffset: message.commitLogOffset,
    properties: propertyBytes({
      ...properties,
      [PropertyName.REAL_TOPIC]: undefined,
      [PropertyName.REAL_QID]: undefined,
    }),
  }
}

/** The copy of a half message that nobody wanted to end. RocketMQ `DefaultTransactionalMessageCheckListener` */
export function givenUpMessage({ message, properties }: Half, checks: number): MessageToAppend {
  return {
    ...message,
    topic: SystemTopic.TRANS_CHECK_MAX_TIME,
    queueId: 0,
    preparedTransactionOffset: message.commitLogOffset,
    properties: propertyBytes({ ...properties, [PropertyName.TRANSACTION_CHECK_TIMES]: String(checks) }),
  }
}

/** The half message that takes the place of a given-up one. */
export function resumedHalf({ message, properties }: Half): MessageToAppend {
  return {
    ...message,
    topic: SystemTopic.TRANS_HALF,
    queueId: HALF_QUEUE,
    preparedTransactionOffset: 0,
    properties: propertyBytes({ ...properties, [PropertyName.TRANSACTION_CHECK_TIMES]: '0' }),
  }
}

/** Body of a check-back: the half message as its producer sent it. */
export function checkBody({ message, properties }: Half, checks: number): Buffer {
  return encodeMessage({
    ...message,
    topic: realTopic(properties),
    queueId: realQueueId(properties),
    properties: propertyBytes({ ...properties, [PropertyName.TRANSACTION_CHECK_TIMES]: String(checks) }),
  })
}

export function realTopic(properties: Half['properties']): string {
  return properties[PropertyName.REAL_TOPIC] ?? ''
}

function realQueueId(properties: Half['properties']): number {
  const queueId = Number(properties[PropertyName.REAL_QID] ?? 0)
  return Number.isInteger(queueId) && queueId >= 0 ? queueId : 0
}

function propertyBytes(properties: Readonly<Record<string, string | undefined>>): Buffer {
  return Buffer.from(formatProperties(properties))
}

/**
 * Op records that mark half messages as ended: tag `d`, the offsets in the half queue joined by commas, so that
 * RocketMQ reads them too. One for each group of offsets that fits.
 */
export function opRecords(
  offsets: readonly number[],
  host: NetAddress,
  now: number,
): { readonly offsets: readonly number[]; readonly message: MessageToAppend }[] {
  const records: { offsets: readonly number[]; message: MessageToAppend }[] = []
  let first = 0
  let body = ''
  const close = (end: number): void => {
    if (end === first) return
    records.push({ offsets: offsets.slice(first, end), message: opMessage(body, host, now) })
    first = end
    body = ''
  }
  for (let i = 0; i < offsets.length; i++) {
    const text = String(offsets[i])
    if (body.length + text.length + 1 > OP_BODY_BYTES_MAX) close(i)
    body = body === '' ? text : body + SEPARATOR + text
  }
  close(offsets.length)
  return records
}

function opMessage(body: string, host: NetAddress, now: number): MessageToAppend {
  return {
    topic: SystemTopic.TRANS_OP_HALF,
    queueId: HALF_QUEUE,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: now,
    bornHost: host,
    storeHost: host,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from(body),
    properties: OP_PROPERTIES,
  }
}

/** Offsets in an op record's body; what is no offset is skipped. */
export function opOffsets(body: Buffer): number[] {
  return body
    .toString('latin1')
    .split(SEPARATOR)
    .filter(text => /^\d{1,15}$/.test(text))
    .map(Number)
}
