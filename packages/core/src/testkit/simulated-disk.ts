import type { Disk, FileDescriptor } from '../ports/disk.js'
import type { Random } from '../ports/random.js'
import { memoryDisk } from './memory-disk.js'

/** What ends a process: `process` keeps what the system was given, `power` only what was synced, and some of the rest. */
export type CrashKind = 'process' | 'power'

/** Calls that can be made to fail. */
export type DiskCall = 'open' | 'read' | 'write' | 'syncData' | 'truncate' | 'rename'

/** A write or cut that may be lost. */
interface Unsynced {
  readonly position: number
  /** What was there; the file ended behind it if `sizeBefore` says so. */
  readonly before: Uint8Array
  readonly after: Uint8Array
  readonly sizeBefore: number
}

/**
 * A disk with the faults of real ones: it forgets what was not synced, tears the last write, refuses calls. Names of files
 * are durable at once.
 */
export class SimulatedDisk implements Disk {
  /** A disk that says it has synced, and has not: what a power cut does then must be noticed. */
  isLyingAboutSyncs = false
  readonly #inner: Disk
  readonly #random: Random
  readonly #paths = new Map<FileDescriptor, string>()
  readonly #unsynced = new Map<string, Unsynced[]>()
  readonly #failures: { readonly call: DiskCall; countdown: number; readonly code: string }[] = []

  constructor(random: Random, options: { readonly totalBytes?: number } = {}) {
    this.#inner = memoryDisk(options)
    this.#random = random
  }

  /** The `nth` call from now (1: the next) fails with the platform's `code`: EIO, ENOSPC … */
  failNth(call: DiskCall, nth: number, code: string): void {
    this.#failures.push({ call, countdown: nth, code })
  }

  /** No call fails any more. */
  heal(): void {
    this.#failures.length = 0
  }

  /** Flips one bit of a file. */
  flipBit(path: string, position: number, bit: number): void {
    const file = this.#inner.open(path, 'write')
    const byte = new Uint8Array(1)
    if (this.#inner.read(file, byte, 0, 1, position) === 1) {
      byte[0]! ^= 1 << bit
      this.#inner.write(file, byte, 0, 1, position)
    }
    this.#inner.close(file)
  }

  /** The process behind open files is gone. */
  crash(kind: CrashKind): void {
    for (const file of this.#paths.keys()) this.#inner.close(file)
    this.#paths.clear()
    if (kind === 'power') for (const [path, changes] of this.#unsynced) this.#forget(path, changes)
    this.#unsynced.clear()
  }

  /** Undoes a random tail of what was not synced; the first change of that tail may be there in part. */
  #forget(path: string, changes: readonly Unsynced[]): void {
    if (this.#inner.size(path) === undefined) return
    const kept = this.#random.int(changes.length + 1)
    const file = this.#inner.open(path, 'write')
    for (let i = changes.length - 1; i >= kept; i--) {
      const { before, position, sizeBefore } = changes[i]!
      this.#inner.write(file, before, 0, before.length, position)
      if ((this.#inner.size(path) ?? 0) !== sizeBefore) this.#inner.truncate(file, sizeBefore)
    }
    const torn = changes[kept]
    if (torn && torn.after.length > 0) {
      const length = this.#random.int(torn.after.length + 1)
      if (length > 0) this.#inner.write(file, torn.after, 0, length, torn.position)
    }
    this.#inner.close(file)
  }

  #attempt(call: DiskCall): void {
    for (const failure of this.#failures) {
      if (failure.call !== call) continue
      failure.countdown--
      if (failure.countdown > 0) continue
      this.#failures.splice(this.#failures.indexOf(failure), 1)
      throw Object.assign(new Error(`${failure.code}: simulated failure, ${call}`), {
        code: failure.code,
        syscall: call,
      })
    }
  }

  #note(file: FileDescriptor, position: number, length: number, after: Uint8Array): void {
    const path = this.#paths.get(file)
    if (path === undefined) return
    const sizeBefore = this.#inner.size(path) ?? 0
    const before = new Uint8Array(Math.max(0, Math.min(length, sizeBefore - position)))
    if (before.length > 0) this.#inner.read(file, before, 0, before.length, position)
    const changes = this.#unsynced.get(path)
    const change = { position, before, after, sizeBefore }
    if (changes) changes.push(change)
    else this.#unsynced.set(path, [change])
  }

  makeDirectory(path: string): void {
    this.#inner.makeDirectory(path)
  }

  list(path: string): string[] {
    return this.#inner.list(path)
  }

  size(path: string): number | undefined {
    return this.#inner.size(path)
  }

  open(path: string, mode: 'read' | 'write'): FileDescriptor {
    this.#attempt('open')
    const file = this.#inner.open(path, mode)
    this.#paths.set(file, path)
    return file
  }

  close(file: FileDescriptor): void {
    this.#paths.delete(file)
    this.#inner.close(file)
  }

  write(file: FileDescriptor, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#attempt('write')
    this.#note(file, position, length, bytes.slice(offset, offset + length))
    return this.#inner.write(file, bytes, offset, length, position)
  }

  read(file: FileDescriptor, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#attempt('read')
    return this.#inner.read(file, bytes, offset, length, position)
  }

  syncData(file: FileDescriptor): void {
    this.#attempt('syncData')
    this.#inner.syncData(file)
    const path = this.#paths.get(file)
    if (path !== undefined && !this.isLyingAboutSyncs) this.#unsynced.delete(path)
  }

  syncDirectory(path: string): void {
    this.#inner.syncDirectory(path)
  }

  truncate(file: FileDescriptor, size: number): void {
    this.#attempt('truncate')
    const path = this.#paths.get(file)
    const sizeBefore = (path !== undefined && this.#inner.size(path)) || 0
    // Growth adds nothing that could be lost; what is cut off can come back.
    this.#note(file, Math.min(size, sizeBefore), Math.max(0, sizeBefore - size), new Uint8Array(0))
    this.#inner.truncate(file, size)
  }

  rename(from: string, to: string): void {
    this.#attempt('rename')
    this.#inner.rename(from, to)
    const changes = this.#unsynced.get(from)
    this.#unsynced.delete(from)
    if (changes) this.#unsynced.set(to, changes)
  }

  remove(path: string): void {
    this.#inner.remove(path)
    this.#unsynced.delete(path)
  }

  space(path: string): { readonly freeBytes: number; readonly totalBytes: number } {
    return this.#inner.space(path)
  }
}
