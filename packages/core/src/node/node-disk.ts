import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import type { Disk } from '../ports/disk.js'

const READ_WRITE_CREATE = constants.O_RDWR | constants.O_CREAT

/** The file system. One system call per method, nothing retried. */
export const nodeDisk: Disk = {
  makeDirectory: path => {
    mkdirSync(path, { recursive: true })
  },
  list: path => {
    try {
      return readdirSync(path).sort()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  },
  size: path => statSync(path, { throwIfNoEntry: false })?.size,
  open: (path, mode) => openSync(path, mode === 'read' ? constants.O_RDONLY : READ_WRITE_CREATE, 0o644),
  close: file => closeSync(file),
  write: (file, bytes, offset, length, position) => writeSync(file, bytes, offset, length, position),
  read: (file, bytes, offset, length, position) => readSync(file, bytes, offset, length, position),
  syncData: file => fdatasyncSync(file),
  syncDirectory: path => {
    const directory = openSync(path, constants.O_RDONLY)
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  },
  truncate: (file, size) => ftruncateSync(file, size),
  rename: (from, to) => renameSync(from, to),
  remove: path => unlinkSync(path),
  space: path => {
    const { bavail, blocks, bsize } = statfsSync(path)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
}
