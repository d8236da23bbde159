import type { Assignments, Client, Message, Producer, ReceivedMessage } from '@millrace/client'
import { assert, type InputRecord, type MessageQueue, MillraceError, StreamProperty } from '@millrace/core'
import type { OutgoingMessage, Pulled, QueueIndex, QueueListener, TopicReader, TopicWriter } from './topics.js'

/** Topics through a client: of Millrace's broker or Apache's. */
export class ClientTopics implements TopicReader, TopicWriter {
  readonly #client: Client
  readonly #group: string
  readonly #producer: Producer
  readonly #onError: (error: Error) => void
  /** Queues by topic, sorted as the client gives them: by broker name and queue id. */
  readonly #queues = new Map<string, readonly MessageQueue[]>()
  /** Told by `join`, whose listener starts to pull before the client has given the assignments. */
  #joining: Promise<Assignments> | undefined
  #assignments: Assignments | undefined

  /** @param onError  hears of failures that are tried again. */
  constructor(client: Client, group: string, onError: (error: Error) => void) {
    this.#client = client
    this.#group = group
    // Retries by the producer would go to another queue, or store twice.
    this.#producer = client.producer({ group, retries: 0 })
    this.#onError = onError
  }

  async queueCount(topic: string): Promise<number | undefined> {
    try {
      const { readQueues } = await this.#client.admin.route(topic)
      this.#queues.set(topic, readQueues)
      return readQueues.length
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'TOPIC_NOT_FOUND') return undefined
      throw error
    }
  }

  async createTopic(topic: string, queues: number): Promise<void> {
    const { brokerAddrTable } = await this.#client.admin.clusterInfo()
    const brokerCount = Math.max(1, Object.keys(brokerAddrTable).length)
    await this.#client.admin.createTopic(topic, { queues: Math.ceil(queues / brokerCount) })
  }

  async join(group: string, topics: readonly string[], listener: QueueListener): Promise<void> {
    for (const topic of topics) await this.queueCount(topic)
    this.#joining = this.#client.assignments(
      { group, topics: [...topics], from: 'first', onError: this.#onError },
      {
        assigned: queues => listener.assigned(this.#indexes(queues)),
        revoked: queues => listener.revoked(this.#indexes(queues)),
      },
    )
    this.#assignments = await this.#joining
  }

  async pull(queue: QueueIndex, offset: number, recordsMax: number, signal: AbortSignal): Promise<Pulled> {
    assert(this.#joining !== undefined, 'the group is being joined')
    const assignments = await this.#joining
    const result = await assignments.pull(this.#queue(queue), offset, { max: recordsMax, signal })
    const { nextOffset, minOffset, maxOffset } = result
    return { records: result.messages.map(inputRecord), nextOffset, minOffset, maxOffset }
  }

  offsetAt(queue: QueueIndex, position: 'first' | 'last' | number): Promise<number> {
    return this.#client.admin.offsets.at(this.#queue(queue), position)
  }

  reported(queue: QueueIndex): Promise<number | undefined> {
    return this.#client.admin.offsets.committed(this.#group, this.#queue(queue))
  }

  report(queue: QueueIndex, offset: number): void {
    const assignments = this.#assignments
    assignments?.offsets.commitOneWay(assignments.group, this.#queue(queue), offset)
  }

  async leave(): Promise<void> {
    await this.#assignments?.close()
  }

  async send(queue: QueueIndex, messages: readonly OutgoingMessage[]): Promise<void> {
    const outgoing = messages.map(({ body, key, properties, deliverAt }): Message => {
      const message = { topic: queue.topic, body, properties, deliverAt }
      return key === undefined ? message : { ...message, keys: key, shardingKey: key }
    })
    const [first] = outgoing
    const options = { queue: this.#queue(queue) }
    if (first?.deliverAt !== undefined) await this.#producer.send(first, options)
    else await this.#producer.sendBatch(outgoing, options)
  }

  #indexes(queues: readonly MessageQueue[]): QueueIndex[] {
    const indexes: QueueIndex[] = []
    for (const { topic, brokerName, queueId } of queues) {
      const known = this.#queues.get(topic) ?? []
      const queue = known.findIndex(other => other.brokerName === brokerName && other.queueId === queueId)
      // Queues that were added since the plan was made wait for the next start, which looks at them again.
      if (queue >= 0) indexes.push({ topic, queue })
    }
    return indexes
  }

  #queue({ topic, queue }: QueueIndex): MessageQueue {
    const found = this.#queues.get(topic)?.[queue]
    assert(found !== undefined, 'the queue is known', { topic, queue })
    return found
  }
}

function inputRecord(message: ReceivedMessage): InputRecord {
  const { properties } = message
  const time = Number(properties[StreamProperty.TIME])
  return {
    offset: message.queueOffset,
    body: message.body,
    timestamp: Number.isFinite(time) ? time : message.bornTimestamp,
    key: message.shardingKey ?? message.keys,
  }
}
