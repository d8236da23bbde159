import { isSystemTopic } from '@millrace/core'
import { Meter } from './stats/meter.js'
import { SampleTimes } from './stats/sample-times.js'
import type { Topic } from './topics/topic.js'

/** Counters of a topic: what was sent to it. */
export const TOPIC = { messages: 0, bytes: 1, requests: 2 } as const
/** Counters of a group in a topic: what it was given, and what it gave back. */
export const GROUP = { messages: 0, bytes: 1, requests: 2, readMs: 3, sentBack: 4, deadLetters: 5 } as const
/** Counters of the broker. Those of users leave out the topics that the broker has for itself. */
export const BROKER = {
  messagesIn: 0,
  bytesIn: 1,
  sends: 2,
  messagesOut: 3,
  bytesOut: 4,
  pullsFound: 5,
  pullsEmpty: 6,
  sendsRefused: 7,
  userMessagesIn: 8,
  userMessagesOut: 9,
} as const

export class TopicMeter extends Meter {
  /** By group that reads the topic. */
  readonly groups = new Map<string, GroupMeter>()

  constructor(
    readonly topic: Topic,
    readonly isSystem: boolean,
  ) {
    super(3)
  }
}

export class GroupMeter extends Meter {
  constructor(readonly isSystem: boolean) {
    super(6)
  }
}

/**
 * Plain numbers that the data path counts up; read by whoever shows them. A count costs one lookup by the
 * topic's number.
 */
export class BrokerCounters {
  readonly broker = new Meter(10)
  readonly times: SampleTimes
  /** By id of the topic; topics that were never used have none. */
  readonly #topics = new Map<number, TopicMeter>()

  constructor(startMs: number) {
    this.times = new SampleTimes(startMs)
  }

  get messagesIn(): number {
    return this.broker.now[BROKER.messagesIn]!
  }
  get bytesIn(): number {
    return this.broker.now[BROKER.bytesIn]!
  }
  get messagesOut(): number {
    return this.broker.now[BROKER.messagesOut]!
  }
  get bytesOut(): number {
    return this.broker.now[BROKER.bytesOut]!
  }
  get pullsFound(): number {
    return this.broker.now[BROKER.pullsFound]!
  }
  get pullsEmpty(): number {
    return this.broker.now[BROKER.pullsEmpty]!
  }
  get sendsRefused(): number {
    return this.broker.now[BROKER.sendsRefused]!
  }

  /** One request stored `messages` in a topic. */
  put(topic: Topic, messages: number, bytes: number): void {
    const meter = this.#topics.get(topic.id) ?? this.#add(topic)
    meter.now[TOPIC.messages]! += messages
    meter.now[TOPIC.bytes]! += bytes
    meter.now[TOPIC.requests]!++
    const { now } = this.broker
    now[BROKER.messagesIn]! += messages
    now[BROKER.bytesIn]! += bytes
    now[BROKER.sends]!++
    if (!meter.isSystem) now[BROKER.userMessagesIn]! += messages
  }

  /** A message that was counted where it was sent to is kept in a topic of the broker meanwhile. */
  kept(topic: Topic, bytes: number): void {
    const { now } = this.#topics.get(topic.id) ?? this.#add(topic)
    now[TOPIC.messages]!++
    now[TOPIC.bytes]! += bytes
    now[TOPIC.requests]!++
  }

  refused(): void {
    this.broker.now[BROKER.sendsRefused]!++
  }

  /** A group got `messages`, which took `readMs` to read. */
  got(meter: GroupMeter, messages: number, bytes: number, readMs: number): void {
    meter.now[GROUP.messages]! += messages
    meter.now[GROUP.bytes]! += bytes
    meter.now[GROUP.requests]!++
    meter.now[GROUP.readMs]! += readMs
    const { now } = this.broker
    now[BROKER.messagesOut]! += messages
    now[BROKER.bytesOut]! += bytes
    now[BROKER.pullsFound]!++
    if (!meter.isSystem) now[BROKER.userMessagesOut]! += messages
  }

  /** A pull found nothing. */
  missed(): void {
    this.broker.now[BROKER.pullsEmpty]!++
  }

  /** A consumer gave a message back: for another try, or for good. */
  sentBack(topic: Topic, group: string, isDeadLetter: boolean): void {
    const { now } = this.readerOf(topic, group)
    now[GROUP.sentBack]!++
    if (isDeadLetter) now[GROUP.deadLetters]!++
  }

  /** Where to count what a group reads from a topic. */
  readerOf(topic: Topic, group: string): GroupMeter {
    const meter = this.#topics.get(topic.id) ?? this.#add(topic)
    const known = meter.groups.get(group)
    if (known !== undefined) return known
    const reader = new GroupMeter(meter.isSystem)
    meter.groups.set(group, reader)
    return reader
  }

  /** What was counted of a topic; undefined: nothing yet. */
  topic(topic: Topic): TopicMeter | undefined {
    return this.#topics.get(topic.id)
  }

  /** Every topic of which something was counted. */
  topics(): IterableIterator<TopicMeter> {
    return this.#topics.values()
  }

  /** Forgets a topic. */
  drop(topic: Topic): void {
    this.#topics.delete(topic.id)
  }

  #add(topic: Topic): TopicMeter {
    const meter = new TopicMeter(topic, isSystemTopic(topic.name))
    this.#topics.set(topic.id, meter)
    return meter
  }
}
