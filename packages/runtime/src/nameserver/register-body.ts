import { inflateSync } from 'node:zlib'
import { type DataVersion, decodeRegisterBroker, parseLenientJson, type TopicConfig } from '@millrace/core'

/** What a broker sends with [103] of its topics. */
export interface RegisterBody {
  readonly dataVersion: DataVersion
  readonly topics: readonly TopicConfig[]
}

/** Most bytes that a compressed body may unfold to: some 400,000 topics. */
const INFLATED_BYTES_MAX = 64 * 2 ** 20

/** Reads the plain form, JSON RegisterBrokerBody. Undefined when it is not one. */
export function parseRegisterBody(body: Buffer): RegisterBody | undefined {
  const decoded = decodeRegisterBroker(body)
  if (!decoded.ok) return undefined
  const { dataVersion, topicConfigTable } = decoded.value.topicConfigSerializeWrapper
  return { dataVersion, topics: Object.values(topicConfigTable) }
}

/**
 * Reads the compressed form, a zlib stream: length and JSON of the data version, number of topics, then length and
 * text of each (`name readQueues writeQueues perm filterType [attributes]`). What follows, filter servers and
 * static topics, is of no use here. Undefined when it is damaged. @see RocketMQ `RegisterBrokerBody`
 */
export function inflateRegisterBody(body: Buffer): RegisterBody | undefined {
  const bytes = inflated(body)
  if (!bytes) return undefined
  const reader = new LengthReader(bytes)
  const dataVersion = parseDataVersion(reader.text() ?? '')
  const count = reader.integer()
  if (!dataVersion || count === undefined) return undefined
  const topics: TopicConfig[] = []
  for (let i = 0; i < count; i++) {
    const topic = parseTopicLine(reader.text())
    if (!topic) return undefined
    topics.push(topic)
  }
  return { dataVersion, topics }
}

/** Reads `{"counter":…,"stateVersion":…,"timestamp":…}`; undefined when there is no counter. */
export function parseDataVersion(text: string): DataVersion | undefined {
  const parsed = parseLenientJson(text)
  if (!parsed.ok || typeof parsed.value !== 'object' || parsed.value === null || !('counter' in parsed.value))
    return undefined
  const { counter, stateVersion, timestamp } = parsed.value as Readonly<Record<string, unknown>>
  return { counter: Number(counter), stateVersion: Number(stateVersion ?? 0), timestamp: Number(timestamp ?? 0) }
}

function inflated(body: Buffer): Buffer | undefined {
  try {
    return inflateSync(body, { maxOutputLength: INFLATED_BYTES_MAX })
  } catch {
    // Damaged, or larger than any broker needs: the sender is told.
    return undefined
  }
}

function parseTopicLine(line: string | undefined): TopicConfig | undefined {
  const [topicName, readQueueNums, writeQueueNums, perm, topicFilterType, ...attributes] = line?.split(' ') ?? []
  if (!topicName || topicFilterType === undefined) return undefined
  const parsed = parseLenientJson(attributes.join(' '))
  return {
    topicName,
    readQueueNums: Number(readQueueNums),
    writeQueueNums: Number(writeQueueNums),
    perm: Number(perm),
    topicFilterType,
    topicSysFlag: 0,
    order: false,
    attributes: parsed.ok ? (parsed.value as Readonly<Record<string, string>>) : {},
  }
}

/** Reads 4-byte big-endian lengths and what they measure. Every read is undefined past the end. */
class LengthReader {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  integer(): number | undefined {
    if (this.#at + 4 > this.bytes.length) return undefined
    const value = this.bytes.readInt32BE(this.#at)
    this.#at += 4
    return value
  }

  text(): string | undefined {
    const length = this.integer()
    if (length === undefined || length < 0 || this.#at + length > this.bytes.length) return undefined
    this.#at += length
    return this.bytes.toString('utf8', this.#at - length, this.#at)
  }
}
