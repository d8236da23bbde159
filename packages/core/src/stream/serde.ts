import { Packr } from 'msgpackr'

/**
 * Turns values into message bodies and back. `deserialize` may throw on bytes that it cannot read: the record
 * is then skipped and counted, it does not stop the pipeline. Both run on the hot path and must not keep the bytes.
 */
export interface Serde<T> {
  /** Shown in descriptions. */
  readonly name: string
  serialize(value: T): Uint8Array
  deserialize(bytes: Uint8Array): T
}

/** UTF-8 JSON. The type is taken at its word: nothing checks that the bytes hold a `T`. */
export function json<T>(): Serde<T> {
  return {
    name: 'json',
    serialize: value => Buffer.from(JSON.stringify(value)),
    deserialize: body => JSON.parse(asBuffer(body).toString()) as T,
  }
}

/** MessagePack: about twice as fast as JSON; keeps Date, Map, Set and binary. Class instances come back as plain objects. */
export function msgpack<T>(): Serde<T> {
  const packr = new Packr({ useRecords: false })
  return {
    name: 'msgpack',
    serialize: value => packr.pack(value),
    deserialize: body => packr.unpack(asBuffer(body)) as T,
  }
}

/** The body as it is. */
export function bytes(): Serde<Uint8Array> {
  return { name: 'bytes', serialize: value => value, deserialize: body => body }
}

/** UTF-8 text. */
export function text(): Serde<string> {
  return { name: 'text', serialize: value => Buffer.from(value), deserialize: body => asBuffer(body).toString() }
}

function asBuffer(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
