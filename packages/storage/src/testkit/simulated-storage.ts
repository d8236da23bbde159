import { MillraceError, type Random } from '@millrace/core'
import type { CrashKind, SimulatedProcess } from '@millrace/core/testkit'
import type { StorageEngine } from '../engine.js'
import { CrashableKeyValue } from './crashable-key-value.js'
import { simulatedWorkers } from './simulated-workers.js'

const DISK_MS_MAX = 10

/** The stores of one simulated machine; they outlive its processes. */
export class SimulatedStorage {
  readonly #environments = new Map<string, CrashableKeyValue>()
  readonly #locked = new Set<string>()

  /** For one process; hears of its crash by itself. */
  engine(process: SimulatedProcess): StorageEngine {
    const { disk, random, scheduler } = process
    process.onCrash(kind => this.#crash(kind, random))
    const later = (work: () => void, done: (error?: Error) => void): void => {
      scheduler.after(random.next() * DISK_MS_MAX, () => done(errorOf(work)))
    }
    return {
      openKeyValue: async (path, options) => {
        disk.makeDirectory(path)
        return this.#environment(path).open(process, options.durability)
      },
      lockDirectory: path => this.#lock(path),
      startWorkers: simulatedWorkers(process, path => this.#environment(path).open(process, 'flushed')),
      syncFiles: (paths, done) => later(() => syncAll(process, paths), done),
      removeFiles: (directory, names, done) =>
        later(() => {
          for (const name of names) disk.remove(`${directory}/${name}`)
        }, done),
    }
  }

  #lock(path: string): { readonly release: () => void } {
    if (this.#locked.has(path))
      throw new MillraceError('STORE_LOCKED', `"${path}" is open in another process of this simulated machine`)
    this.#locked.add(path)
    return { release: () => void this.#locked.delete(path) }
  }

  #environment(path: string): CrashableKeyValue {
    let environment = this.#environments.get(path)
    if (!environment) this.#environments.set(path, (environment = new CrashableKeyValue()))
    return environment
  }

  #crash(kind: CrashKind, random: Random): void {
    this.#locked.clear()
    for (const environment of this.#environments.values()) environment.crash(kind, random)
  }
}

function syncAll({ disk }: SimulatedProcess, paths: readonly string[]): void {
  for (const path of paths) {
    const file = disk.open(path, 'write')
    try {
      disk.syncData(file)
    } finally {
      disk.close(file)
    }
  }
}

function errorOf(work: () => void): Error | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
