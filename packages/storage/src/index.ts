export type { Key, KeyPart, KeyRange, KeyValue, KeyValueTable, TableOptions } from './kv/key-value.js'
export { KeyValueStore, type KeyValueStoreOptions } from './kv/key-value-store.js'
