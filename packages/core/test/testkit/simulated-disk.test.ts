import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testkit/seeded-random.js'
import { SimulatedDisk } from '../../src/testkit/simulated-disk.js'

function contentOf(disk: SimulatedDisk, path: string): string {
  const file = disk.open(path, 'read')
  const bytes = Buffer.alloc(disk.size(path)!)
  disk.read(file, bytes, 0, bytes.length, 0)
  disk.close(file)
  return bytes.toString('latin1')
}

const appends = fc.array(fc.record({ text: fc.stringMatching(/^[a-z]{1,8}$/), isSynced: fc.boolean() }), {
  maxLength: 20,
})

describe('a simulated disk', () => {
  it('keeps after a power cut what was synced, and of the rest no more than a prefix', () => {
    fc.assert(
      fc.property(appends, fc.integer(), (writes, seed) => {
        const disk = new SimulatedDisk(new SeededRandom(seed))
        const file = disk.open('/f', 'write')
        let [all, synced] = ['', '']
        for (const { isSynced, text } of writes) {
          disk.write(file, Buffer.from(text), 0, text.length, all.length)
          all += text
          if (!isSynced) continue
          disk.syncData(file)
          synced = all
        }
        disk.crash('power')
        const found = contentOf(disk, '/f')
        expect(found.startsWith(synced)).toBe(true)
        expect(all.startsWith(found)).toBe(true)
      }),
    )
  })

  it('keeps after the end of a process all that was written', () => {
    const disk = new SimulatedDisk(new SeededRandom(1))
    const file = disk.open('/f', 'write')
    disk.write(file, Buffer.from('kept'), 0, 4, 0)
    disk.crash('process')
    expect(contentOf(disk, '/f')).toBe('kept')
    expect(() => disk.write(file, Buffer.from('x'), 0, 1, 0)).toThrow(/EBADF/)
  })

  it('brings back after a power cut what was cut off or overwritten, unless that was synced', () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new SimulatedDisk(new SeededRandom(seed))
      const file = disk.open('/f', 'write')
      disk.write(file, Buffer.from('old content'), 0, 11, 0)
      disk.syncData(file)
      disk.truncate(file, 3)
      disk.crash('power')
      expect(['old content', 'old']).toContain(contentOf(disk, '/f'))
    }
  })

  it('fails the nth call, once, and flips bits', () => {
    const disk = new SimulatedDisk(new SeededRandom(1))
    const file = disk.open('/f', 'write')
    disk.failNth('write', 2, 'ENOSPC')
    const write = (): number => disk.write(file, Buffer.from('a'), 0, 1, 0)
    expect(write()).toBe(1)
    expect(write).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    expect(write()).toBe(1)
    disk.flipBit('/f', 0, 1)
    expect(contentOf(disk, '/f')).toBe('c')
  })
})
