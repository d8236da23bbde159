import type { KeyValue, KeyValueTable } from '../kv/key-value.js'

/** The index's tables; see index-format.ts. */
export interface IndexTables {
  readonly store: KeyValue
  readonly blocks: KeyValueTable<Uint8Array, Uint8Array>
  readonly queues: KeyValueTable<Uint8Array, Uint8Array>
  readonly runs: KeyValueTable<Uint8Array, Uint8Array>
  readonly state: KeyValueTable<Uint8Array, Uint8Array>
}

export function indexTables(store: KeyValue): IndexTables {
  const options = { encoding: 'binary', keys: 'binary' } as const
  return {
    store,
    blocks: store.table('blocks', options),
    queues: store.table('queues', options),
    runs: store.table('keys', options),
    state: store.table('state', options),
  }
}

const WATERMARK = Buffer.from('watermark')

/** Position up to which the log is indexed; undefined in a new index. */
export function readWatermark(tables: IndexTables): number | undefined {
  const value = tables.state.getBinary(WATERMARK)
  return value?.readDoubleLE(0)
}

/** Part of the transaction that writes the entries before `position`. */
export function writeWatermark(tables: IndexTables, position: number): void {
  void tables.state.put(WATERMARK, double(position))
}

const VERIFY_FROM = Buffer.from('verify from')

/** Position of a record not far before the watermark: from there on the log is read again when it is opened. */
export function readVerifyFrom(tables: IndexTables): number | undefined {
  return tables.state.getBinary(VERIFY_FROM)?.readDoubleLE(0)
}

export function writeVerifyFrom(tables: IndexTables, position: number): void {
  void tables.state.put(VERIFY_FROM, double(position))
}

/** Empties the index: it is to be rebuilt. */
export function clearIndex(tables: IndexTables): void {
  tables.store.commitSync(() => {
    for (const table of [tables.blocks, tables.queues, tables.runs, tables.state]) void table.clear()
  })
}

const DELETED_PREFIX = 'deleted/'

/** Records of a topic before the position of its deletion are not indexed again. Undefined: never deleted. */
export function readDeletion(tables: IndexTables, topic: string): number | undefined {
  return tables.state.getBinary(Buffer.from(DELETED_PREFIX + topic))?.readDoubleLE(0)
}

export function writeDeletion(tables: IndexTables, topic: string, position: number): void {
  void tables.state.put(Buffer.from(DELETED_PREFIX + topic), double(position))
}

/** First and next offset of a queue. */
export interface QueueBounds {
  readonly first: number
  readonly next: number
}

export function readBounds(tables: IndexTables, queue: Buffer): QueueBounds | undefined {
  const value = tables.queues.getBinary(queue)
  return value && { first: value.readDoubleLE(0), next: value.readDoubleLE(8) }
}

export function writeBounds(tables: IndexTables, queue: Buffer, bounds: QueueBounds): void {
  const value = Buffer.allocUnsafe(16)
  value.writeDoubleLE(bounds.first, 0)
  value.writeDoubleLE(bounds.next, 8)
  void tables.queues.put(queue, value)
}

function double(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(value, 0)
  return bytes
}
