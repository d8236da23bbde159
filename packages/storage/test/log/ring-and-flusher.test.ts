import type { Disk } from '@millrace/core'
import { memoryDisk } from '@millrace/core/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { QueueTail, QueueTails, StoredTopic } from '../../src/index/queue-tails.js'
import { Flusher } from '../../src/log/flusher.js'
import { LogFiles } from '../../src/log/log-files.js'
import { LogRing } from '../../src/log/log-ring.js'
import { LogScan } from '../../src/log/log-scan.js'
import { OUTCOME, RECORD_EXTRA_BYTES_MAX, RecordInput, RecordWriter } from '../../src/log/record-writer.js'
import { createSharedLog, SharedPosition, WORD } from '../../src/log/shared-log.js'

const BODY_MAX = 4096
const RECORD_MAX = BODY_MAX + RECORD_EXTRA_BYTES_MAX
const RING = RECORD_MAX * 2 + 777
const FILE = RING * 2 + 333

/** The broker's side, the flusher and a reader of the files, all in this thread. */
class Rig {
  readonly shared = createSharedLog({ ringBytes: RING, recordBytesMax: RECORD_MAX, fileBytes: FILE, base: 0 })
  readonly ring = new LogRing(this.shared, RECORD_MAX)
  readonly tails = new QueueTails()
  readonly writer = new RecordWriter(this.ring, this.tails)
  readonly files: LogFiles
  readonly flusher: Flusher
  readonly queue = new QueueTail(new StoredTopic('topic'), 3, 0, 0)
  private readonly scanned = new SharedPosition(new Int32Array(this.shared.words), WORD.scanned, 0)
  private readonly input = new RecordInput()

  constructor(disk: Disk, mode: 'sync' | 'async') {
    this.files = new LogFiles(disk, '/log', FILE)
    this.flusher = new Flusher(this.shared, this.files, mode)
    this.input.bornHost = Buffer.alloc(8)
    this.input.storeHost = Buffer.alloc(8)
  }

  append(bodyBytes: number): number {
    this.input.source = Buffer.alloc(bodyBytes, (this.queue.nextOffset * 31 + bodyBytes) & 0xff)
    this.input.bodyEnd = bodyBytes
    return this.writer.append(this.queue, this.input, 1000)
  }

  flush(): void {
    this.ring.publish(false)
    while (this.flusher.step() === 'progress');
    this.scanned.set(this.ring.written)
  }
}

function bodiesIn(disk: Disk): number[] {
  const scan = new LogScan(new LogFiles(disk, '/log', FILE), 0, true)
  const sizes: number[] = []
  while (scan.next(Number.MAX_SAFE_INTEGER, (_bytes, _position, view) => sizes.push(view.bodyLength)));
  expect(scan.ended).toBe('end of log')
  return sizes
}

describe('ring and flusher', () => {
  it.each(['sync', 'async'] as const)('bring every record to the files whole and in order (%s)', mode => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: BODY_MAX }), fc.constant('flush' as const)), { maxLength: 300 }),
        steps => {
          const disk = memoryDisk()
          const rig = new Rig(disk, mode)
          const expected: number[] = []
          for (const step of steps) {
            if (step === 'flush') {
              rig.flush()
              continue
            }
            if (rig.append(step) === OUTCOME.full) {
              rig.flush()
              expect(rig.append(step)).toBe(OUTCOME.appended)
            }
            expected.push(step)
          }
          rig.flush()
          expect(bodiesIn(disk)).toEqual(expected)
          expect(rig.queue.nextOffset).toBe(expected.length)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('never let the ring overrun what the workers still need', () => {
    const rig = new Rig(memoryDisk(), 'async')
    let count = 0
    while (rig.append(BODY_MAX) === OUTCOME.appended) count++
    expect(count).toBeGreaterThan(50)
    expect(rig.ring.end).toBeLessThanOrEqual(RING)
    rig.flush()
    expect(rig.append(BODY_MAX)).toBe(OUTCOME.appended)
  })

  it('leave nothing of taken-back records behind, whatever follows and whenever the disk fills', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 100, max: 400 }),
        (groups, room, size) => {
          const { disk, setRoom } = fillingDisk()
          const rig = new Rig(disk, 'sync')
          const kept: number[] = []
          for (let group = 0; group < groups; group++) {
            for (let i = 0; i < 5; i++) if (rig.append(size) === OUTCOME.appended) kept.push(size)
            if (group === groups - 1) setRoom(room)
            rig.ring.publish(false)
            const result = rig.flusher.step()
            if (typeof result === 'object') {
              const lost = rig.ring.written
              rig.tails.takeBack(lost)
              rig.ring.takeBack()
              rig.flusher.rewind()
              kept.length = rig.queue.nextOffset
              setRoom(Number.POSITIVE_INFINITY)
              // As long as the one taken back: a stale record behind it would fit exactly.
              expect(rig.append(size)).toBe(OUTCOME.appended)
              kept.push(size)
            }
            rig.flush()
          }
          expect(bodiesIn(disk)).toEqual(kept)
        },
      ),
      { numRuns: 60 },
    )
  })
})

/** A disk that takes `room` more bytes and then refuses, after taking a part. */
function fillingDisk(): { disk: Disk; setRoom: (bytes: number) => void } {
  const inner = memoryDisk()
  let room = Number.POSITIVE_INFINITY
  const disk: Disk = {
    ...inner,
    write(file, bytes, offset, length, position) {
      const taken = Math.min(length, room)
      room -= taken
      if (taken > 0) inner.write(file, bytes, offset, taken, position)
      return taken
    },
  }
  return { disk, setRoom: bytes => (room = bytes) }
}
