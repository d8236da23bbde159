/** File handle. */
export type FileDescriptor = number

/**
 * Files, synchronous: the log's writer runs on its own thread, and reads are of hot pages.
 * Every call throws the platform's error (`code` ENOENT, ENOSPC, EIO …).
 */
export interface Disk {
  /** Creates missing parents too. */
  makeDirectory(path: string): void
  /** File names, sorted; empty when the directory does not exist. */
  list(path: string): string[]
  /** Size in bytes; undefined when there is no such file. */
  size(path: string): number | undefined
  open(path: string, mode: 'read' | 'write'): FileDescriptor
  close(file: FileDescriptor): void
  /** Returns the bytes written; fewer than asked means the disk refused the rest. */
  write(file: FileDescriptor, bytes: Uint8Array, offset: number, length: number, position: number): number
  /** Returns the bytes read; fewer than asked means end of file. */
  read(file: FileDescriptor, bytes: Uint8Array, offset: number, length: number, position: number): number
  /** Data (not all metadata) is on stable storage when this returns. Never retry after a failure. */
  syncData(file: FileDescriptor): void
  /** Makes created, renamed and deleted names of a directory durable. */
  syncDirectory(path: string): void
  truncate(file: FileDescriptor, size: number): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** Free and total bytes of the file system that holds `path`. */
  space(path: string): { readonly freeBytes: number; readonly totalBytes: number }
}
