import type { KeyValue } from './kv/key-value.js'
import { KeyValueStore, type KeyValueStoreOptions } from './kv/key-value-store.js'
import type { StartLogWorkers } from './log/log-workers.js'
import { lockDirectory } from './metadata/node-directory-lock.js'
import { removeInBackground } from './worker/node-background-remove.js'
import { type BackgroundSync, syncInBackground } from './worker/node-background-sync.js'
import { startNodeLogWorkers } from './worker/node-log-workers.js'

/** What the stores are built on beside the disk port: simulations bring their own. */
export interface StorageEngine {
  /** @throws MillraceError DISK_FAILED */
  readonly openKeyValue: (path: string, options: KeyValueStoreOptions) => Promise<KeyValue>
  /** One process per data directory. @throws MillraceError STORE_LOCKED */
  readonly lockDirectory: (path: string) => { readonly release: () => void }
  readonly startWorkers: StartLogWorkers
  readonly syncFiles: BackgroundSync
  readonly removeFiles: typeof removeInBackground
}

/** LMDB, piscina workers, libuv's thread pool. */
export const nodeStorageEngine: StorageEngine = {
  openKeyValue: (path, options) => KeyValueStore.open(path, options),
  lockDirectory,
  startWorkers: startNodeLogWorkers,
  syncFiles: syncInBackground,
  removeFiles: removeInBackground,
}
