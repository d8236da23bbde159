import type { Environment, StateBackend, StateChange, StateEntry } from '@millrace/core'
import type { KeyValue, KeyValueTable } from '../kv/key-value.js'
import { KeyValueStore } from '../kv/key-value-store.js'

/**
 * Opens or creates the state of one pipeline task: an LMDB environment of its own in directory `path`, so that a task is moved
 * or deleted by its directory, and commits of tasks do not wait for each other.
 * @throws MillraceError DISK_FAILED
 */
export async function openTaskState(
  path: string,
  environment: Pick<Environment, 'clock' | 'scheduler' | 'disk'>,
): Promise<StateBackend> {
  return new TaskState(await KeyValueStore.open(path, { durability: 'flushed', environment }))
}

class TaskState implements StateBackend {
  readonly #store: KeyValue
  readonly #entries: KeyValueTable<Uint8Array, Uint8Array>

  constructor(store: KeyValue) {
    this.#store = store
    this.#entries = store.table<Uint8Array, Uint8Array>('state', { encoding: 'binary', keys: 'binary' })
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.getBinary(key)
  }

  range(from: Uint8Array, to: Uint8Array, limit: number): readonly StateEntry[] {
    return [...this.#entries.range({ from, to, limit })]
  }

  async commit(changes: readonly StateChange[]): Promise<void> {
    await this.#store.batch(() => {
      // The batch answers for all of them.
      for (const { key, value } of changes)
        void (value === undefined ? this.#entries.remove(key) : this.#entries.put(key, value))
    })
    // The snapshot that reads use may be older than the commit until the turn ends.
    this.#store.refresh()
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
