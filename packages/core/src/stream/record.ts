import { Packr } from 'msgpackr'
import type { Key } from './key.js'

/** A message as a task reads it. */
export interface InputRecord {
  /** Offset in the task's queue. */
  readonly offset: number
  readonly body: Uint8Array
  /** Event time in milliseconds, for topics without an event-time function: `mr.time`, otherwise when the message was made. */
  readonly timestamp: number
  /** The message's key, if it has one. */
  readonly key: string | undefined
}

/** A message that a task wants sent. */
export interface OutputRecord {
  readonly topic: string
  /** Index into the topic's queues sorted by broker name and queue id. */
  readonly queue: number
  readonly key: Key | undefined
  readonly body: Uint8Array
  /** Event time, milliseconds. */
  readonly timestamp: number
  /** When consumers shall see it, milliseconds since the epoch; undefined for at once. */
  readonly deliverAt: number | undefined
  /**
   * Position among the task's outputs, growing; an output that is sent again has the same number.
   * Undefined for messages that carry only a watermark: they may come twice.
   */
  readonly sequence: number | undefined
}

/** Names of the message properties that pipelines write. */
export const StreamProperty = {
  /** Event time, milliseconds. */
  TIME: 'mr.time',
  PIPELINE: 'mr.pipeline',
  /** Task that made the message, unique in its pipeline. */
  TASK: 'mr.task',
  /** How often the task had been started when it made the message. */
  EPOCH: 'mr.epoch',
  SEQUENCE: 'mr.seq',
  /** Set on delayed messages: they do not come in the order of their sequences. */
  DELAYED: 'mr.delayed',
} as const

/** What a message on a repartition topic says; one without `record` carries only the watermark. */
export interface RepartitionMessage {
  /** Index of the task that sent it among the tasks of its stage. */
  readonly channel: number
  /** No event before this is to come from that task. */
  readonly watermark: number
  readonly record:
    | {
        readonly sequence: number
        readonly timestamp: number
        readonly key: Key
        readonly value: Uint8Array
      }
    | undefined
}

const packr = new Packr({ useRecords: false })

export function encodeRepartition({ channel, watermark, record }: RepartitionMessage): Uint8Array {
  return packr.pack(
    record === undefined
      ? [channel, watermark]
      : [channel, watermark, record.sequence, record.timestamp, record.key, record.value],
  )
}

/** Undefined for bytes that no Millrace pipeline has written. */
export function decodeRepartition(body: Uint8Array): RepartitionMessage | undefined {
  let fields: unknown
  try {
    fields = packr.unpack(body)
  } catch {
    return undefined // Not MessagePack at all: the caller counts it like any other body it cannot read.
  }
  if (!Array.isArray(fields)) return undefined
  const [channel, watermark, sequence, timestamp, key, value] = fields as unknown[]
  if (typeof channel !== 'number' || typeof watermark !== 'number') return undefined
  if (fields.length === 2) return { channel, watermark, record: undefined }
  if (typeof sequence !== 'number' || typeof timestamp !== 'number') return undefined
  if ((typeof key !== 'string' && typeof key !== 'number') || !(value instanceof Uint8Array)) return undefined
  return { channel, watermark, record: { sequence, timestamp, key, value } }
}

/** Outputs as they are kept in the state until they are acknowledged. */
export function encodeOutbox(outputs: readonly OutputRecord[]): Uint8Array {
  const fields: unknown[] = []
  for (const { topic, queue, key, body, timestamp, deliverAt, sequence } of outputs)
    fields.push(topic, queue, key, body, timestamp, deliverAt, sequence)
  return packr.pack(fields)
}

export function decodeOutbox(stored: Uint8Array): OutputRecord[] {
  const fields = packr.unpack(stored as Buffer) as unknown[]
  const outputs: OutputRecord[] = []
  for (let at = 0; at < fields.length; at += 7) {
    const [topic, queue, key, body, timestamp, deliverAt, sequence] = fields.slice(at, at + 7)
    outputs.push({ topic, queue, key, body, timestamp, deliverAt, sequence } as OutputRecord)
  }
  return outputs
}
