import type { Disk, FileDescriptor } from '../ports/disk.js'

const TOTAL_BYTES_DEFAULT = 2 ** 40

class MemoryFile {
  bytes = new Uint8Array(0)
  size = 0

  resize(size: number): void {
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.size))
      this.bytes = grown
    } else if (size < this.size) this.bytes.fill(0, size, this.size)
    this.size = size
  }
}

/** Files in memory, without faults: what was written is there. Errors carry the platform's codes. */
export function memoryDisk(options: { readonly totalBytes?: number } = {}): Disk {
  const { totalBytes = TOTAL_BYTES_DEFAULT } = options
  const directories = new Set<string>(['/', '.'])
  const files = new Map<string, MemoryFile>()
  const open = new Map<FileDescriptor, { readonly file: MemoryFile; readonly isWritable: boolean }>()
  let nextDescriptor = 3

  const usedBytes = (): number => {
    let used = 0
    for (const file of files.values()) used += file.size
    return used
  }
  const fileOf = (descriptor: FileDescriptor, call: string): MemoryFile => {
    const entry = open.get(descriptor)
    if (!entry || (call !== 'read' && call !== 'fdatasync' && !entry.isWritable))
      throw failure('EBADF', 'bad file descriptor', call, String(descriptor))
    return entry.file
  }
  const existing = (path: string, call: string): MemoryFile => {
    const file = files.get(normal(path))
    if (!file) throw failure('ENOENT', 'no such file or directory', call, path)
    return file
  }
  const needDirectory = (path: string, call: string, ofPath: string): void => {
    if (!directories.has(path)) throw failure('ENOENT', 'no such file or directory', call, ofPath)
  }

  return {
    makeDirectory: path => {
      for (let part = normal(path); !directories.has(part); part = parentOf(part)) directories.add(part)
    },
    list: path => {
      const directory = normal(path)
      return [...files.keys(), ...directories]
        .filter(name => name !== directory && parentOf(name) === directory)
        .map(name => name.slice(name.lastIndexOf('/') + 1))
        .sort()
    },
    size: path => files.get(normal(path))?.size,
    open: (path, mode) => {
      const name = normal(path)
      if (mode === 'read') existing(path, 'open')
      needDirectory(parentOf(name), 'open', path)
      const file = files.get(name) ?? new MemoryFile()
      files.set(name, file)
      open.set(nextDescriptor, { file, isWritable: mode === 'write' })
      return nextDescriptor++
    },
    close: descriptor => {
      if (!open.delete(descriptor)) throw failure('EBADF', 'bad file descriptor', 'close', String(descriptor))
    },
    write: (descriptor, bytes, offset, length, position) => {
      const file = fileOf(descriptor, 'write')
      const growth = Math.max(0, position + length - file.size)
      const room = growth === 0 ? length : Math.min(length, length - growth + Math.max(0, totalBytes - usedBytes()))
      if (room <= 0 && length > 0) throw failure('ENOSPC', 'no space left on device', 'write', String(descriptor))
      if (position + room > file.size) file.resize(position + room)
      file.bytes.set(bytes.subarray(offset, offset + room), position)
      return room
    },
    read: (descriptor, bytes, offset, length, position) => {
      const file = fileOf(descriptor, 'read')
      const available = Math.max(0, Math.min(length, file.size - position))
      bytes.set(file.bytes.subarray(position, position + available), offset)
      return available
    },
    syncData: descriptor => {
      fileOf(descriptor, 'fdatasync')
    },
    syncDirectory: path => needDirectory(normal(path), 'fsync', path),
    truncate: (descriptor, size) => fileOf(descriptor, 'ftruncate').resize(size),
    rename: (from, to) => {
      const file = existing(from, 'rename')
      needDirectory(parentOf(normal(to)), 'rename', to)
      files.delete(normal(from))
      files.set(normal(to), file)
    },
    remove: path => {
      existing(path, 'unlink')
      files.delete(normal(path))
    },
    space: () => ({ freeBytes: Math.max(0, totalBytes - usedBytes()), totalBytes }),
  }
}

function normal(path: string): string {
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  if (path.startsWith('/')) return `/${parts.join('/')}`
  return parts.length === 0 ? '.' : parts.join('/')
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  if (slash > 0) return path.slice(0, slash)
  return path.startsWith('/') ? '/' : '.'
}

function failure(code: string, text: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${text}, ${call} '${path}'`), { code, syscall: call, path })
}
