import {
  type BodyCodec,
  type Compression,
  compressionFlags,
  encodeBatch,
  formatProperties,
  MillraceError,
  PropertyName,
  validateTopic,
} from '@millrace/core'
import { COMPRESS_OVER_BYTES, MESSAGE_BYTES_MAX } from '../limits.js'

/** A message to send. */
export interface Message {
  readonly topic: string
  /** A string is sent as UTF-8. Not empty; at most 4 MiB, or the broker's maxMessageSize. Not changed until sent. */
  readonly body: Uint8Array | string
  readonly tag?: string | undefined
  /** Keys by which the message can be found later; without blanks. */
  readonly keys?: string | readonly string[] | undefined
  /** Messages of one sharding key go to one queue, so that they are consumed in the order in which they were sent. */
  readonly shardingKey?: string | undefined
  /** Properties of the application. Names that RocketMQ uses are refused; values may not be empty. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  /** Delivers later: level 1 to 18 of `1s 5s 10s 30s 1m 2m … 10m 20m 30m 1h 2h`. */
  readonly delayLevel?: number | undefined
  /** Delivers this many milliseconds later. */
  readonly delayMs?: number | undefined
  /** Delivers at this time: milliseconds since the epoch. */
  readonly deliverAt?: number | undefined
  /** Not delivered any more when it is older than this, in milliseconds since it could be read. Millrace's brokers only. */
  readonly ttlMs?: number | undefined
  /** Delivers it again and again. The answer's `recallHandle` ends that. Millrace's brokers only. */
  readonly repeat?: Repeat | undefined
  /** False: the broker answers before the message is on disk and replicated, however it is configured. */
  readonly waitStored?: boolean | undefined
}

/** When a message is delivered again: by a cron expression, or at a fixed distance. docs/messages.md */
export interface Repeat {
  /** Five fields, or six with seconds first: `0 9 * * MON-FRI`. */
  readonly cron?: string | undefined
  /** Time zone of `cron`, such as `Europe/Berlin`. Default UTC. */
  readonly zone?: string | undefined
  /** Milliseconds between two deliveries, from 1,000; the first one comes after as long, or at `deliverAt`. */
  readonly everyMs?: number | undefined
  /** No delivery after this time: milliseconds since the epoch. */
  readonly untilMs?: number | undefined
}

/** A message in the form in which it goes over the wire. */
export interface PreparedMessage {
  readonly body: Buffer
  readonly properties: string
  readonly sysFlag: number
  readonly messageId: string
}

/** Names that the client or the broker sets. messages.md §8 */
const RESERVED_NAMES: ReadonlySet<string> = new Set(Object.values(PropertyName))

/** How large bodies are compressed. */
export interface Compressor {
  readonly kind: Compression
  readonly codec: BodyCodec
}

/**
 * Checks a message and encodes it.
 * @throws MillraceError INVALID_ARGUMENT
 */
export function prepareMessage(
  message: Message,
  messageId: string,
  compressor: Compressor | undefined,
): PreparedMessage {
  const body = bodyOf(message)
  const properties = formatProperties(propertiesOf(message, messageId))
  if (compressor && body.length > COMPRESS_OVER_BYTES) {
    const compressed = compressor.codec.compress(body)
    if (compressed.length < body.length)
      return { body: compressed, properties, sysFlag: compressionFlags(compressor.kind), messageId }
  }
  return { body, properties, sysFlag: 0, messageId }
}

/**
 * The body of a batch request. Bodies of a batch are not compressed. messages.md §6
 * @throws MillraceError INVALID_ARGUMENT when the messages differ in topic, are delayed, or are too large together.
 */
export function prepareBatch(messages: readonly Message[], messageIds: readonly string[]): Buffer {
  const topic = messages[0]?.topic
  const encoded = encodeBatch(
    messages.map((message, index) => {
      if (message.topic !== topic)
        throw invalid(`a batch has one topic, this one has "${topic}" and "${message.topic}"; send one batch for each`)
      if (isLater(message)) throw invalid('messages of a batch cannot be delayed or repeated; send them one by one')
      return {
        flag: 0,
        body: bodyOf(message),
        properties: Buffer.from(formatProperties(propertiesOf(message, messageIds[index]))),
      }
    }),
  )
  if (encoded.length > MESSAGE_BYTES_MAX)
    throw invalid(`a batch of ${encoded.length} bytes is over the limit of ${MESSAGE_BYTES_MAX}; split it`)
  return encoded
}

function isLater({ delayLevel, delayMs, deliverAt, repeat }: Message): boolean {
  return [delayLevel, delayMs, deliverAt, repeat].some(value => value !== undefined)
}

function bodyOf(message: Message): Buffer {
  checkTopic(message.topic)
  const body = asBuffer(message.body)
  if (body.length === 0) throw invalid(`a message to "${message.topic}" has no body; brokers refuse empty ones`)
  if (body.length > MESSAGE_BYTES_MAX)
    throw invalid(
      `a body of ${body.length} bytes for "${message.topic}" is over the limit of ${MESSAGE_BYTES_MAX}; split it`,
    )
  return body
}

/** Most messages go to the topic of the one before: the check costs more than the rest of the encoding. */
let lastValidTopic = ''

function checkTopic(topic: string): void {
  if (topic === lastValidTopic) return
  const valid = validateTopic(topic)
  if (!valid.ok) throw invalid(valid.reason)
  lastValidTopic = topic
}

function asBuffer(body: Uint8Array | string): Buffer {
  if (typeof body === 'string') return Buffer.from(body)
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function propertiesOf(message: Message, messageId: string): Record<string, string> {
  const properties: Record<string, string> = {
    UNIQ_KEY: messageId,
    WAIT: message.waitStored === false ? 'false' : 'true',
  }
  if (message.tag !== undefined) properties[PropertyName.TAGS] = checked('tag', message.tag)
  if (message.keys !== undefined) properties[PropertyName.KEYS] = keysOf(message.keys)
  if (message.shardingKey !== undefined)
    properties[PropertyName.SHARDING_KEY] = checked('shardingKey', message.shardingKey)
  if (message.delayLevel !== undefined) properties[PropertyName.DELAY] = whole('delayLevel', message.delayLevel)
  if (message.delayMs !== undefined) properties[PropertyName.TIMER_DELAY_MS] = whole('delayMs', message.delayMs)
  if (message.deliverAt !== undefined) properties[PropertyName.TIMER_DELIVER_MS] = whole('deliverAt', message.deliverAt)
  if (message.ttlMs !== undefined) properties[PropertyName.MILLRACE_TTL_MS] = whole('ttlMs', message.ttlMs)
  if (message.repeat !== undefined) addRepeat(properties, message.repeat)
  for (const name in message.properties) {
    if (RESERVED_NAMES.has(name)) throw invalid(`property "${name}" is RocketMQ's own; use another name`)
    checked('property name', name)
    properties[name] = checked(name, message.properties[name])
  }
  return properties
}

function addRepeat(properties: Record<string, string>, { cron, everyMs, untilMs, zone }: Repeat): void {
  if ((cron === undefined) === (everyMs === undefined))
    throw invalid('"repeat" needs either "cron" or "everyMs"; give one of them')
  if (cron !== undefined) properties[PropertyName.MILLRACE_CRON] = checked('cron', cron)
  if (zone !== undefined) properties[PropertyName.MILLRACE_CRON_ZONE] = checked('zone', zone)
  if (everyMs !== undefined) properties[PropertyName.MILLRACE_REPEAT_MS] = whole('everyMs', everyMs)
  if (untilMs !== undefined) properties[PropertyName.MILLRACE_REPEAT_UNTIL_MS] = whole('untilMs', untilMs)
}

function keysOf(keys: string | readonly string[]): string {
  return checked('keys', typeof keys === 'string' ? keys : keys.join(' '))
}

/** Property text separates names and values by U+0001 and pairs by U+0002. */
function checked(name: string, value: string): string {
  if (value === '') throw invalid(`"${name}" is empty; leave it out instead`)
  if (value.includes('\u0001') || value.includes('\u0002'))
    throw invalid(`"${name}" contains a control character that separates properties (U+0001 or U+0002); encode it`)
  return value
}

function whole(name: string, value: number): string {
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalid(`"${name}" is ${value}; it must be a whole number from 0`)
  return String(value)
}

function invalid(message: string): MillraceError {
  return new MillraceError('INVALID_ARGUMENT', message)
}
