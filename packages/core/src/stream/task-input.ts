import type { Key } from './key.js'
import type { StageInput } from './plan.js'
import { decodeRepartition, type InputRecord } from './record.js'
import { WatermarkTracker } from './watermark.js'

/** What a record turned out to be. `nothing` carries only a watermark. */
export type ReadResult = 'record' | 'duplicate' | 'nothing' | 'unreadable'

/** Behind every event, and far enough from the limits of whole numbers to count on from it. */
const END_OF_TIME = 2 ** 52

/** One queue that a task reads: its offset, its event time, and the record being read. */
export class TaskInput {
  readonly input: StageInput
  readonly queue: number
  /** Topic and queue. */
  readonly name: string
  /** A table that every task holds: it does not hold back event time. */
  readonly isGlobal: boolean
  /** Last sequence seen, per channel of a repartition topic. */
  readonly seen: number[]
  /** Where to read on; undefined before the first record of a task without state. */
  offset: number | undefined
  /** Its watermark has moved since this was last set to false. */
  hasMoved = false
  isIdle = false
  /** Of the last record that was read. */
  value: unknown
  timestamp = 0
  key: Key | undefined
  /** Why the last record was unreadable. */
  cause: unknown
  readonly #tracker: WatermarkTracker
  readonly #lastHeard: number[]
  #newest = Number.NEGATIVE_INFINITY
  #channel = 0
  #sequence = 0

  constructor(
    input: StageInput,
    queue: number,
    name: string,
    offset: number | undefined,
    stored: { readonly watermarks: readonly number[]; readonly seen: readonly number[] } | undefined,
    now: number,
  ) {
    this.input = input
    this.queue = queue
    this.name = name
    this.isGlobal = input.from.kind === 'source' && input.from.node.isGlobal
    this.offset = offset
    const channels = input.from.kind === 'source' ? 1 : input.from.senders
    this.#tracker = new WatermarkTracker(
      stored?.watermarks ?? new Array<number>(channels).fill(Number.NEGATIVE_INFINITY),
    )
    this.seen = [...(stored?.seen ?? new Array<number>(channels).fill(0))]
    this.#lastHeard = new Array<number>(channels).fill(now)
  }

  get watermark(): number {
    return this.#tracker.watermark
  }

  /** Per channel, to be stored. */
  get watermarks(): readonly number[] {
    return this.#tracker.inputs
  }

  /** Decodes a record into this object's fields, and moves the watermark. */
  read(record: InputRecord, now: number, wallClock: () => number): ReadResult {
    const { from } = this.input
    if (this.isIdle) {
      this.isIdle = false
      this.hasMoved = true
    }
    if (from.kind === 'repartition') return this.#readRepartition(record, now)
    const { topic } = from.node
    this.#lastHeard[0] = now
    try {
      const isEmpty = from.node.hasDeletions && record.body.length === 0
      const value = isEmpty ? undefined : topic.value.deserialize(record.body)
      const { eventTime } = topic
      let time: number
      // A deletion has no value to ask.
      if (from.node.hasDeletions && (value === null || value === undefined)) {
        time = record.timestamp
        this.key = record.key
      } else {
        if (eventTime === undefined) time = record.timestamp
        else time = eventTime === 'processing' ? wallClock() : Number(eventTime(value))
        this.key = topic.key === undefined ? record.key : topic.key(value)
      }
      if (!Number.isFinite(time)) throw new TypeError('its event time is not a time')
      this.value = value
      this.timestamp = Math.floor(time)
    } catch (cause) {
      this.cause = cause
      return 'unreadable'
    }
    if (this.timestamp > this.#newest) {
      this.#newest = this.timestamp
      this.#advance(0, this.timestamp - topic.outOfOrderMs)
    }
    return 'record'
  }

  /** What was read has been processed. */
  accept(): void {
    if (this.#sequence > 0) this.seen[this.#channel] = this.#sequence
  }

  /** The queue has nothing more: what was not heard of for a while steps aside. True when that changes event time. */
  quiet(now: number): boolean {
    const { idleMs } = this.input
    let isIdle = true
    for (let channel = 0; channel < this.#lastHeard.length; channel++)
      if (now - this.#lastHeard[channel]! < idleMs) isIdle = false
      else if (this.#lastHeard.length > 1 && !this.#tracker.isIdle(channel)) {
        const before = this.#tracker.watermark
        this.#tracker.setIdle(channel)
        if (this.#tracker.watermark > before) this.hasMoved = true
      }
    if (isIdle && !this.isIdle) {
      this.isIdle = true
      this.hasMoved = true
    }
    return this.hasMoved
  }

  /** By wall clock, for topics whose event time that is. True when event time has moved. */
  moveTo(now: number): boolean {
    const { from } = this.input
    if (from.kind !== 'source' || from.node.topic.eventTime !== 'processing') return false
    this.#advance(0, now - from.node.topic.outOfOrderMs)
    return this.hasMoved
  }

  /** The topic has ended. */
  finish(): void {
    if (this.input.from.kind === 'source') this.#advance(0, END_OF_TIME)
  }

  #readRepartition(record: InputRecord, now: number): ReadResult {
    const message = decodeRepartition(record.body)
    if (message === undefined || !(message.channel in this.#lastHeard) || this.input.from.kind !== 'repartition') {
      this.cause = new TypeError('it was not written by this pipeline')
      return 'unreadable'
    }
    const { channel } = message
    this.#lastHeard[channel] = now
    this.#advance(channel, message.watermark)
    if (message.record === undefined) return 'nothing'
    if (message.record.sequence <= this.seen[channel]!) return 'duplicate'
    try {
      this.value = this.input.from.node.value.deserialize(message.record.value)
    } catch (cause) {
      this.cause = cause
      return 'unreadable'
    }
    this.#channel = channel
    this.#sequence = message.record.sequence
    this.timestamp = message.record.timestamp
    this.key = message.record.key
    return 'record'
  }

  #advance(channel: number, watermark: number): void {
    const before = this.#tracker.watermark
    this.#tracker.advance(channel, watermark)
    if (this.#tracker.watermark > before) this.hasMoved = true
  }
}
