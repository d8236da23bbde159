import { MillraceError } from '../errors.js'
import { type Duration, durationMs } from './duration.js'
import type { Key } from './key.js'
import { type StandardSchema, schemaSerde } from './schema.js'
import { json, type Serde } from './serde.js'

export interface TopicOptions<T> {
  /** How a value becomes a message body. Default with a `schema`: JSON. */
  readonly value?: Serde<T>
  /** Checks values, and types them: anything that implements Standard Schema (zod, valibot, arktype …). Must answer at once. */
  readonly schema?: StandardSchema<T>
  /**
   * When the event happened (Date, or milliseconds since the epoch). Without it: the event time that a Millrace
   * pipeline has given the message, otherwise the time at which the producer made it. `'processing'`: when a task reads it.
   */
  readonly eventTime?: ((value: T) => Date | number) | 'processing'
  /** How far behind the newest event of a queue an event may come and still be in time. Default 0. */
  readonly outOfOrder?: Duration
  /** A queue that has nothing for this long does not hold back the others' event time. Default 10 s. */
  readonly idle?: Duration
}

/** A topic and the type of its values. */
export interface Topic<T> {
  readonly name: string
  readonly value: Serde<T>
  readonly key: ((value: T) => Key) | undefined
  readonly eventTime: ((value: T) => Date | number) | 'processing' | undefined
  readonly outOfOrderMs: number
  readonly idleMs: number
}

/** A topic that takes values of a type: its own values may be of a wider one. */
export interface TopicOf<in T> {
  readonly name: string
  readonly value: { readonly serialize: (value: T) => Uint8Array }
  readonly key: ((value: T) => Key) | undefined
}

/** A topic whose messages lie in the queue that `queueOfKey` gives for their key. */
export interface KeyedTopic<T, K extends Key> extends Topic<T> {
  readonly key: (value: T) => K
}

/**
 * Names a topic and types it. With `key`, pipelines send with that key; and a pipeline that reads the topic takes it as a
 * promise that all messages of a key are in one queue (`keyBy` with the same function then needs no repartition).
 * @throws MillraceError INVALID_ARGUMENT for a name that RocketMQ refuses.
 */
export function topic<T, K extends Key>(
  name: string,
  options: TopicOptions<T> & { readonly key: (value: T) => K },
): KeyedTopic<T, K>
export function topic<T>(name: string, options: TopicOptions<T>): Topic<T>
export function topic<T>(name: string, options: TopicOptions<T> & { readonly key?: (value: T) => Key }): Topic<T> {
  if (!/^[%|a-zA-Z0-9_-]{1,127}$/.test(name))
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"${name}" is not a topic name; use 1 to 127 of the characters a-z A-Z 0-9 _ - % |`,
    )
  if (options.value === undefined && options.schema === undefined)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `topic "${name}" has neither a serde nor a schema; give it one, such as value: json()`,
    )
  const value = options.value ?? json<T>()
  return {
    name,
    value: options.schema === undefined ? value : schemaSerde(value, options.schema),
    key: options.key,
    eventTime: options.eventTime,
    outOfOrderMs: durationMs(options.outOfOrder ?? 0),
    idleMs: durationMs(options.idle ?? '10 s'),
  }
}
