import { assert, type Disk, type FileDescriptor, MillraceError } from '@millrace/core'
import { logFileName, parseLogFileName } from './layout.js'

/** Open read handles at most; the log's writer holds one more. */
const OPEN_FILES_MAX = 64

/**
 * The files of one commit log: names, sizes and handles. Knows nothing of records.
 *
 * Invariant: files are contiguous: each begins where the one before it ends.
 */
export class LogFiles {
  private readonly readers = new Map<number, FileDescriptor>()
  private writer: { begin: number; file: FileDescriptor } | undefined
  private firsts: number[]
  /** Files before this position are being deleted. */
  private givenUpBefore = 0

  constructor(
    private readonly disk: Disk,
    readonly directory: string,
    readonly fileBytes: number,
  ) {
    disk.makeDirectory(directory)
    this.firsts = []
    this.refresh()
  }

  /** Looks at the directory again: another thread may have added or removed files. @throws MillraceError STORE_CORRUPT */
  refresh(): void {
    const firsts: number[] = []
    for (const name of this.disk.list(this.directory)) {
      const begin = parseLogFileName(name)
      if (begin === undefined || begin < this.givenUpBefore) continue
      const size = this.disk.size(`${this.directory}/${name}`)
      if (size === 0) continue
      if (size !== this.fileBytes) {
        throw new MillraceError(
          'STORE_CORRUPT',
          `log file "${this.directory}/${name}" has ${size} bytes, expected ${this.fileBytes}; set mapedFileSizeCommitLog to the size the store was written with, or restore the file`,
        )
      }
      firsts.push(begin)
    }
    firsts.sort((a, b) => a - b)
    for (let i = 1; i < firsts.length; i++) {
      if (firsts[i] !== firsts[i - 1]! + this.fileBytes) {
        throw new MillraceError(
          'STORE_CORRUPT',
          `log file "${logFileName(firsts[i - 1]! + this.fileBytes)}" is missing in "${this.directory}"; restore it, or move the files before it away`,
        )
      }
    }
    this.firsts = firsts
  }

  /** Position of the first stored byte; 0 in an empty log. */
  get begin(): number {
    return this.firsts[0] ?? 0
  }

  /** Position after the last file. */
  get limit(): number {
    const last = this.firsts.at(-1)
    return last === undefined ? 0 : last + this.fileBytes
  }

  get totalBytes(): number {
    return this.firsts.length * this.fileBytes
  }

  /** First byte of the file that holds `position`. */
  fileOf(position: number): number {
    const origin = this.firsts[0] ?? 0
    return origin + Math.floor((position - origin) / this.fileBytes) * this.fileBytes
  }

  /**
   * Writes `length` bytes at `position`, creating the file at its full (sparse) size when it is new.
   * The range must lie within one file. Returns the bytes written: fewer than asked means no space.
   */
  write(position: number, bytes: Uint8Array, offset: number, length: number): number {
    const file = this.writable(position)
    const begin = this.writer!.begin
    assert(position + length <= begin + this.fileBytes, 'write within one log file', { position, length })
    return this.disk.write(file, bytes, offset, length, position - begin)
  }

  /** fdatasync of the file last written to; of the one before it as well when a file was ended since the last sync. */
  sync(): void {
    if (this.ended !== undefined) {
      this.disk.syncData(this.ended)
      this.disk.close(this.ended)
      this.ended = undefined
    }
    if (this.writer) this.disk.syncData(this.writer.file)
  }
  private ended: FileDescriptor | undefined

  /** Paths of the files that hold any byte of [from, to). */
  pathsBetween(from: number, to: number): string[] {
    return this.firsts
      .filter(first => first < to && first + this.fileBytes > from)
      .map(first => `${this.directory}/${logFileName(first)}`)
  }

  private writable(position: number): FileDescriptor {
    if (this.writer && position >= this.writer.begin && position < this.writer.begin + this.fileBytes)
      return this.writer.file
    const begin = this.firsts.length === 0 ? position - (position % this.fileBytes) : this.fileOf(position)
    const path = `${this.directory}/${logFileName(begin)}`
    const isNew = !this.disk.size(path)
    const file = this.disk.open(path, 'write')
    if (isNew) {
      this.disk.truncate(file, this.fileBytes)
      this.disk.syncDirectory(this.directory)
    }
    this.learn(begin)
    if (this.writer) {
      if (this.ended !== undefined) this.sync()
      this.ended = this.writer.file
    }
    this.writer = { begin, file }
    return file
  }

  /** Reads up to `length` bytes at `position`, not past the end of its file. Returns the bytes read; 0 when there is no such file. */
  read(position: number, bytes: Uint8Array, offset: number, length: number): number {
    // The writer, on another thread, makes the first file.
    if (this.firsts.length === 0) this.refresh()
    if (this.firsts.length === 0 || position < this.begin) return 0
    const begin = this.fileOf(position)
    const file = this.readable(begin)
    if (file === undefined) return 0
    return this.disk.read(file, bytes, offset, Math.min(length, begin + this.fileBytes - position), position - begin)
  }

  private readable(begin: number): FileDescriptor | undefined {
    const known = this.readers.get(begin)
    if (known !== undefined) return known
    const path = `${this.directory}/${logFileName(begin)}`
    if (!this.disk.size(path)) return undefined
    if (this.readers.size >= OPEN_FILES_MAX) this.closeReader(this.readers.keys().next().value!)
    const file = this.disk.open(path, 'read')
    this.readers.set(begin, file)
    this.learn(begin)
    return file
  }

  private learn(begin: number): void {
    if (this.firsts.includes(begin)) return
    this.firsts.push(begin)
    this.firsts.sort((a, b) => a - b)
  }

  private closeReader(begin: number): void {
    const file = this.readers.get(begin)
    if (file === undefined) return
    this.readers.delete(begin)
    this.disk.close(file)
  }

  /** Zeroes everything from `position` to the end of its file and deletes the files after it. */
  cutAt(position: number): void {
    for (const begin of this.firsts.filter(first => first >= position && first > this.fileOf(position)))
      this.removeFile(begin)
    if (this.firsts.length === 0) return
    const begin = this.fileOf(position)
    if (!this.firsts.includes(begin)) return
    const file = this.disk.open(`${this.directory}/${logFileName(begin)}`, 'write')
    this.disk.truncate(file, position - begin)
    this.disk.truncate(file, this.fileBytes)
    this.disk.syncData(file)
    this.disk.close(file)
  }

  /**
   * Counts the first file as gone and returns its name: whoever calls this deletes it. The file that is being written
   * stays. Should the process end before that, the file is there again.
   */
  giveUpFirst(): string {
    assert(this.firsts.length > 1, 'the last log file stays')
    const [begin, next] = this.firsts as [number, number]
    this.closeReader(begin)
    this.firsts = this.firsts.slice(1)
    this.givenUpBefore = next
    return logFileName(begin)
  }

  private removeFile(begin: number): void {
    this.closeReader(begin)
    this.disk.remove(`${this.directory}/${logFileName(begin)}`)
    this.firsts = this.firsts.filter(first => first !== begin)
  }

  /** Lets go of the file being written; the next write opens it again. */
  closeWriter(): void {
    if (this.ended !== undefined) this.disk.close(this.ended)
    if (this.writer) this.disk.close(this.writer.file)
    this.ended = undefined
    this.writer = undefined
  }

  close(): void {
    for (const begin of [...this.readers.keys()]) this.closeReader(begin)
    this.closeWriter()
  }
}
