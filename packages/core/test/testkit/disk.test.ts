import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeDisk } from '../../src/node/index.js'
import type { Disk } from '../../src/ports/disk.js'
import { memoryDisk } from '../../src/testkit/index.js'

const directories: string[] = []
const DISKS: readonly (readonly [string, () => { disk: Disk; root: string }])[] = [
  ['node', () => ({ disk: nodeDisk, root: temporaryDirectory() })],
  [
    'memory',
    () => {
      const disk = memoryDisk()
      disk.makeDirectory('/store')
      return { disk, root: '/store' }
    },
  ],
]

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
})

describe.each(DISKS)('%s disk', (_name, make) => {
  it('writes, reads, truncates and keeps what is outside a write', () => {
    const { disk, root } = make()
    const path = `${root}/log`
    const file = disk.open(path, 'write')
    expect(disk.write(file, Buffer.from('-hello-'), 1, 5, 4)).toBe(5)
    expect(disk.size(path)).toBe(9)
    const bytes = Buffer.alloc(20, 1)
    expect(disk.read(file, bytes, 2, 18, 2)).toBe(7)
    expect(bytes.subarray(0, 9).toString('latin1')).toBe('\x01\x01\0\0hello')
    disk.syncData(file)
    disk.truncate(file, 6)
    disk.truncate(file, 8)
    expect(disk.read(file, bytes, 0, 20, 0)).toBe(8)
    expect(bytes.subarray(4, 8).toString('latin1')).toBe('he\0\0')
    expect(disk.read(file, bytes, 0, 20, 100)).toBe(0)
    disk.close(file)
    disk.syncDirectory(root)
    const again = disk.open(path, 'write')
    expect(disk.size(path)).toBe(8)
    disk.close(again)
  })

  it('makes, lists, renames and removes', () => {
    const { disk, root } = make()
    disk.makeDirectory(`${root}/a/b`)
    disk.makeDirectory(`${root}/a/b`)
    for (const name of ['2', '1', '3']) disk.close(disk.open(`${root}/a/${name}`, 'write'))
    expect(disk.list(`${root}/a`)).toEqual(['1', '2', '3', 'b'])
    disk.rename(`${root}/a/1`, `${root}/a/b/9`)
    disk.remove(`${root}/a/2`)
    expect([disk.list(`${root}/a`), disk.list(`${root}/a/b`), disk.list(`${root}/none`)]).toEqual([
      ['3', 'b'],
      ['9'],
      [],
    ])
    expect(disk.size(`${root}/a/2`)).toBeUndefined()
  })

  it('fails as the platform does', () => {
    const { disk, root } = make()
    const missing = expect.objectContaining({ code: 'ENOENT' })
    expect(() => disk.open(`${root}/none`, 'read')).toThrow(missing)
    expect(() => disk.open(`${root}/none/file`, 'write')).toThrow(missing)
    expect(() => disk.remove(`${root}/none`)).toThrow(missing)
    expect(() => disk.rename(`${root}/none`, `${root}/other`)).toThrow(missing)
    const file = disk.open(`${root}/file`, 'write')
    disk.close(file)
    const readOnly = disk.open(`${root}/file`, 'read')
    expect(() => disk.write(readOnly, Buffer.from('x'), 0, 1, 0)).toThrow(expect.objectContaining({ code: 'EBADF' }))
    disk.close(readOnly)
    expect(() => disk.close(readOnly)).toThrow(expect.objectContaining({ code: 'EBADF' }))
  })

  it('tells its space', () => {
    const { disk, root } = make()
    const { freeBytes, totalBytes } = disk.space(root)
    expect(freeBytes).toBeGreaterThan(0)
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
  })
})

describe('memory disk', () => {
  it('writes what fits and then refuses', () => {
    const disk = memoryDisk({ totalBytes: 10 })
    const file = disk.open('full', 'write')
    expect(disk.write(file, Buffer.alloc(16), 0, 16, 0)).toBe(10)
    expect(() => disk.write(file, Buffer.alloc(1), 0, 1, 10)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    expect(disk.write(file, Buffer.alloc(4), 0, 4, 2)).toBe(4)
    expect(disk.space('/')).toEqual({ freeBytes: 0, totalBytes: 10 })
  })
})

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  directories.push(directory)
  return directory
}
