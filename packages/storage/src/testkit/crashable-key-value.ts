import { type Environment, MillraceError } from '@millrace/core'
import type { Key, KeyValue, KeyValueTable, TableOptions } from '../kv/key-value.js'
import { memoryKeyValue } from '../kv/memory-key-value.js'

type Ports = Pick<Environment, 'random' | 'scheduler'>

/** One write of a table. */
interface Operation {
  readonly table: string
  readonly options: TableOptions | undefined
  readonly apply: (table: KeyValueTable<unknown>) => void
}

interface Commit {
  readonly operations: Operation[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const COMMIT_MS_MAX = 3
const SYNC_MS_MAX = 8

/**
 * What an LMDB environment keeps, and what it loses: commits are made in order, some time after they were asked for, and
 * come to stable storage in that order, later still. A crash of the process loses what was not committed, a power cut also
 * a tail of what was not synced. Two copies are held, as committed and as synced.
 */
export class CrashableKeyValue {
  #committed = memoryKeyValue()
  #synced = memoryKeyValue()
  /** Committed, not synced. */
  #unsynced: Operation[][] = []
  #tables = new Map<string, TableOptions | undefined>()
  #generation = 0

  /** Opens the environment for a process: handles are void after its crash. Several may be open, in order of their writes. */
  open({ random, scheduler }: Ports, durability: 'flushed' | 'committed'): KeyValue {
    const generation = this.#generation
    const queue: Commit[] = []
    let batch: Operation[] | undefined
    let isCommitDue = false
    const isDead = () => generation !== this.#generation

    const sync = (): void => {
      for (const commit of this.#unsynced.splice(0)) apply(this.#synced, commit)
    }
    const commitNext = (): void => {
      isCommitDue = false
      if (isDead()) return
      const commits = queue.splice(0)
      for (const { operations } of commits) this.#commit(operations)
      const settle = (): void => {
        for (const { resolve } of commits) resolve()
      }
      if (durability === 'committed') settle()
      scheduler.after(random.next() * SYNC_MS_MAX, () => {
        if (isDead()) return
        sync()
        if (durability === 'flushed') settle()
      })
    }
    const submit = (operations: Operation[]): Promise<void> => {
      if (isDead()) return Promise.reject(new MillraceError('CLOSED', 'this process has crashed'))
      return new Promise((resolve, reject) => {
        queue.push({ operations, resolve, reject })
        if (isCommitDue) return
        isCommitDue = true
        scheduler.after(random.next() * COMMIT_MS_MAX, commitNext)
      })
    }
    const write = (operation: Operation): Promise<void> => {
      if (batch === undefined) return submit([operation])
      batch.push(operation)
      return Promise.resolve()
    }
    const commitSync = <T>(work: () => T): T => {
      if (isDead()) throw new MillraceError('CLOSED', 'this process has crashed')
      // What was asked for before comes before.
      const waiting = queue.splice(0)
      for (const { operations } of waiting) this.#commit(operations)
      const operations: Operation[] = []
      batch = operations
      isDirect = true
      try {
        const value = this.#committed.commitSync(work)
        this.#unsynced.push(operations)
        if (durability === 'flushed') sync()
        return value
      } finally {
        isDirect = false
        batch = undefined
        for (const { resolve } of waiting) resolve()
      }
    }
    /** Inside `commitSync` writes are made at once, so that they can be read there. */
    let isDirect = false

    const table = <V, K extends Key>(name: string, options?: TableOptions): KeyValueTable<V, K> => {
      this.#tables.set(name, options)
      const rows = () => this.#committed.table<V, K>(name, options)
      const change = (applyTo: (rows: KeyValueTable<unknown>) => void): Promise<void> => {
        if (isDirect) applyTo(rows() as unknown as KeyValueTable<unknown>)
        return write({ table: name, options, apply: applyTo })
      }
      const copied = (value: unknown): unknown =>
        value instanceof Uint8Array ? Buffer.from(value) : structuredClone(value)
      return {
        get: key => rows().get(key),
        getBinary: key => rows().getBinary(key),
        peekBinary: key => rows().peekBinary(key),
        has: key => rows().has(key),
        range: range => rows().range(range),
        keys: range => rows().keys(range),
        put: (key, value) => {
          const [k, v] = [copied(key) as Key, copied(value)]
          return change(to => void to.put(k, v))
        },
        remove: key => {
          const k = copied(key) as Key
          return change(to => void to.remove(k))
        },
        clear: () => change(to => void to.clear()),
      }
    }
    return {
      table,
      batch: work => {
        const operations: Operation[] = []
        batch = operations
        try {
          work()
        } finally {
          batch = undefined
        }
        return submit(operations)
      },
      transaction: async work => commitSync(work),
      commitSync,
      flush: () => submit([]).then(sync),
      refresh: () => undefined,
      failure: undefined,
      close: async () => {
        if (isDead()) return
        for (const { operations, resolve } of queue.splice(0)) {
          this.#commit(operations)
          resolve()
        }
        sync()
      },
    }
  }

  /** The process that has it open is gone. */
  crash(kind: 'process' | 'power', random: Environment['random']): void {
    this.#generation++
    if (kind === 'power') {
      const kept = this.#unsynced.slice(0, random.int(this.#unsynced.length + 1))
      for (const commit of kept) apply(this.#synced, commit)
      this.#committed = this.#copy(this.#synced)
    } else for (const commit of this.#unsynced) apply(this.#synced, commit)
    this.#unsynced = []
  }

  #commit(operations: Operation[]): void {
    apply(this.#committed, operations)
    this.#unsynced.push(operations)
  }

  #copy(from: KeyValue): KeyValue {
    const copy = memoryKeyValue()
    for (const [name, options] of this.#tables) {
      const rows = copy.table<unknown>(name, options)
      for (const { key, value } of from.table<unknown>(name, options).range()) void rows.put(key, value)
    }
    return copy
  }
}

function apply(store: KeyValue, operations: readonly Operation[]): void {
  for (const { apply: change, options, table } of operations) change(store.table<unknown>(table, options))
}
