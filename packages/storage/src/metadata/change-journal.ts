import { crc32 } from 'node:zlib'
import type { DataVersion, Disk, FileDescriptor } from '@millrace/core'
import { Packr } from 'msgpackr'

/** One change of a metadata table. */
export interface TableChange {
  readonly table: string
  readonly key: string
  /** Undefined: the record was removed. */
  readonly value: unknown
  /** Of the table, after the change. */
  readonly version: DataVersion
}

export interface JournaledChange extends TableChange {
  /** Counts the changes of all tables. */
  readonly sequence: number
}

type Row = readonly [sequence: number, table: string, key: string, version: DataVersion, value?: unknown]

/** Length and checksum of what follows, 4 bytes each, big-endian. */
const HEAD_BYTES = 8
const RECORD_BYTES_MAX = 64 * 1024 * 1024

const packr = new Packr({ useRecords: false })

/**
 * An append-only file of changes: handed to the operating system when `append` returns, so that they survive a crash
 * of the process. Synchronous: a change costs one write of some hundred bytes (about 10 µs), an LMDB commit costs an fsync.
 *
 * A record is [length, CRC-32, msgpack of its row]; a file ends where a record is torn or does not follow the one before.
 */
export class ChangeJournal {
  /** What the file held when it was opened, in order. */
  readonly found: readonly JournaledChange[]
  readonly #disk: Disk
  readonly #file: FileDescriptor
  #end: number

  private constructor(disk: Disk, file: FileDescriptor, found: readonly JournaledChange[], end: number) {
    this.#disk = disk
    this.#file = file
    this.found = found
    this.#end = end
  }

  /** @throws the platform's error when the file cannot be opened or read */
  static open(disk: Disk, path: string): ChangeJournal {
    const size = disk.size(path) ?? 0
    const file = disk.open(path, 'write')
    const bytes = Buffer.alloc(size)
    const read = disk.read(file, bytes, 0, size, 0)
    const { changes, end } = decode(bytes.subarray(0, read))
    return new ChangeJournal(disk, file, changes, end)
  }

  get sizeBytes(): number {
    return this.#end
  }

  /** False: the disk took nothing, or not all. */
  append(change: JournaledChange): boolean {
    const record = encode(change)
    try {
      if (this.#disk.write(this.#file, record, 0, record.length, this.#end) !== record.length) return false
    } catch {
      // Whatever the reason: the caller has another way to store the change.
      return false
    }
    this.#end += record.length
    return true
  }

  /** Empties the file: all its changes are stored elsewhere. */
  clear(): void {
    if (this.#end === 0) return
    this.#disk.truncate(this.#file, 0)
    this.#end = 0
  }

  close(): void {
    this.#disk.close(this.#file)
  }
}

function encode({ key, sequence, table, value, version }: JournaledChange): Buffer {
  const row: Row = value === undefined ? [sequence, table, key, version] : [sequence, table, key, version, value]
  const packed = packr.pack(row)
  const record = Buffer.allocUnsafe(HEAD_BYTES + packed.length)
  record.writeUInt32BE(packed.length, 0)
  record.writeUInt32BE(crc32(packed), 4)
  packed.copy(record, HEAD_BYTES)
  return record
}

function decode(bytes: Buffer): { changes: JournaledChange[]; end: number } {
  const changes: JournaledChange[] = []
  let at = 0
  while (at + HEAD_BYTES <= bytes.length) {
    const length = bytes.readUInt32BE(at)
    const start = at + HEAD_BYTES
    if (length === 0 || length > RECORD_BYTES_MAX || start + length > bytes.length) break
    const packed = bytes.subarray(start, start + length)
    if (crc32(packed) !== bytes.readUInt32BE(at + 4)) break
    const [sequence, table, key, version, value] = packr.unpack(packed) as Row
    const last = changes.at(-1)
    if (last !== undefined && sequence <= last.sequence) break
    changes.push({ sequence, table, key, version, value })
    at = start + length
  }
  return { changes, end: at }
}
