export { nodeStorageEngine, type StorageEngine } from './engine.js'
export { ENTRY_NUMBERS, QueueTail, StoredTopic } from './index/queue-tails.js'
export type { Key, KeyPart, KeyRange, KeyValue, KeyValueTable, TableOptions } from './kv/key-value.js'
export { KeyValueStore, type KeyValueStoreOptions } from './kv/key-value-store.js'
export { memoryKeyValue } from './kv/memory-key-value.js'
export { encodeHost } from './log/host-bytes.js'
export { RECORD_OVERHEAD_MAX } from './log/layout.js'
export type { RecoveryProgress } from './log/log-recovery.js'
export type { LogWorkerListener, LogWorkers, StartLogWorkers } from './log/log-workers.js'
export { RecordView } from './log/record-view.js'
export { OUTCOME, type Outcome, RecordInput } from './log/record-writer.js'
export {
  LogStore,
  type LogStoreListener,
  type LogStoreOptions,
  type RetainLimits,
  type StoreState,
} from './log-store.js'
export type { Appended, MessageStore, MessageToAppend, QueueEntry, RecordCopy } from './message-store.js'
export { ConsumerOffsets } from './metadata/consumer-offsets.js'
export { MetadataStore, type MetadataStoreOptions } from './metadata/metadata-store.js'
export { MetadataTable } from './metadata/metadata-table.js'
export { lockDirectory } from './metadata/node-directory-lock.js'
export type { PopOrder } from './pop/pop-order.js'
export { PopQueue, PopReceipt, RECEIPT_MESSAGES_MAX } from './pop/pop-receipt.js'
export { PopReceipts } from './pop/pop-receipts.js'
export { openTaskState } from './state/task-state.js'
