import {
  type Clock,
  decodeMessage,
  encodeMessage,
  MillraceError,
  parseProperties,
  type StoredMessage,
} from '@millrace/core'
import type { Appended, MessageStore, MessageToAppend, QueueEntry, RecordCopy } from '@millrace/storage'

/** A message store without a disk: what is appended can be read at once. */
export class MemoryMessageStore implements MessageStore {
  readonly logBegin = 0
  logEnd = 0
  /** While true, appends are refused as a full disk would. */
  isFull = false
  readonly deletedTopics: string[] = []
  readonly #records = new Map<number, Buffer>()
  readonly #queues = new Map<string, QueueEntry[]>()

  constructor(private readonly clock: Clock) {}

  append(message: MessageToAppend): Promise<Appended> {
    if (this.isFull) return Promise.reject(new MillraceError('DISK_FULL', 'the disk is full'))
    const queue = this.#queue(message.topic, message.queueId)
    const position = this.logEnd
    const queueOffset = queue.length
    const storeTimestamp = this.clock.now()
    const record = encodeMessage({ ...message, commitLogOffset: position, queueOffset, storeTimestamp })
    this.#records.set(position, record)
    queue.push({ position, sizeBytes: record.length, tagHash: 0 })
    this.logEnd += record.length
    return Promise.resolve({ position, sizeBytes: record.length, queueOffset, storeTimestamp })
  }

  async appendCopies(copies: readonly RecordCopy[]): Promise<number> {
    for (const { added, properties, queueId, record, topic } of copies) {
      const copied = decoded(record)
      await this.append({
        ...copied,
        topic,
        queueId,
        properties: Buffer.concat([properties ?? copied.properties, added]),
      })
    }
    return copies.length
  }

  get indexed(): number {
    return this.logEnd
  }

  entries(topic: string, queueId: number, offset: number, countMax: number): QueueEntry[] {
    return (this.#queues.get(`${topic}/${queueId}`) ?? []).slice(offset, offset + countMax)
  }

  minOffset(): number {
    return 0
  }

  maxOffset(topic: string, queueId: number): number {
    return this.#queues.get(`${topic}/${queueId}`)?.length ?? 0
  }

  entry(topic: string, queueId: number, offset: number): QueueEntry | undefined {
    return this.#queues.get(`${topic}/${queueId}`)?.[offset]
  }

  /** As retention does. */
  forgetBefore(position: number): void {
    for (const known of [...this.#records.keys()]) if (known < position) this.#records.delete(known)
  }

  record(position: number): Buffer | undefined {
    const record = this.#records.get(position)
    return record && Buffer.from(record)
  }

  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: 'lower' | 'upper'): number {
    const times = this.messages(topic, queueId).map(message => message.storeTimestamp)
    const lower = times.findIndex(time => time >= timestamp)
    if (boundary === 'lower') return lower < 0 ? times.length : lower
    return Math.max(0, times.filter(time => time <= timestamp).length - 1)
  }

  findByKey(topic: string, key: string, range: { maxCount: number; uniqueOnly?: boolean }): Buffer[] {
    const found = [...this.#records.values()].filter(record => {
      const message = decoded(record)
      const properties = parseProperties(message.properties)
      const keys = range.uniqueOnly ? [] : (properties['KEYS']?.split(' ') ?? [])
      return message.topic === topic && [...keys, properties['UNIQ_KEY']].includes(key)
    })
    return found.reverse().slice(0, range.maxCount)
  }

  storedTopics(): string[] {
    return [...new Set([...this.#queues.keys()].map(key => key.slice(0, key.lastIndexOf('/'))))]
  }

  async deleteTopic(topic: string): Promise<void> {
    this.deletedTopics.push(topic)
    for (const key of [...this.#queues.keys()]) if (key.startsWith(`${topic}/`)) this.#queues.delete(key)
  }

  async close(): Promise<void> {}

  /** Everything in a queue, decoded. */
  messages(topic: string, queueId: number): StoredMessage[] {
    return (this.#queues.get(`${topic}/${queueId}`) ?? []).map(({ position }) =>
      decoded(this.#records.get(position) as Buffer),
    )
  }

  #queue(topic: string, queueId: number): QueueEntry[] {
    const key = `${topic}/${queueId}`
    let queue = this.#queues.get(key)
    if (!queue) this.#queues.set(key, (queue = []))
    return queue
  }
}

function decoded(record: Buffer): StoredMessage {
  const result = decodeMessage(record, 0, record.length)
  if (!result.ok) throw new Error(result.reason)
  return result.message
}

const HOST = { host: '127.0.0.1', port: 10911 }

/** A plain message. */
export function message(
  topic: string,
  options: Partial<MessageToAppend> & { readonly text?: string } = {},
): MessageToAppend {
  const { text = '', ...rest } = options
  return {
    topic,
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: { host: '127.0.0.1', port: 5000 },
    storeHost: HOST,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from('body'),
    properties: Buffer.from(text),
    ...rest,
  }
}
