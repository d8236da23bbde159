import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetWindow } from '../../src/consumer/offset-window.js'

describe('OffsetWindow', () => {
  it('passes finished messages only when all before them are finished', () => {
    const window = new OffsetWindow(10)
    const [a, b, c] = [10, 11, 12].map(offset => window.add(offset))
    window.finish(b)
    expect([window.commitOffset, window.inFlight]).toEqual([10, 3])
    window.finish(a)
    expect([window.commitOffset, window.inFlight]).toEqual([12, 1])
    window.finish(c)
    expect([window.commitOffset, window.inFlight]).toEqual([13, 0])
  })

  it('passes offsets that were filtered out', () => {
    const window = new OffsetWindow(0)
    window.advance(50)
    expect(window.commitOffset).toBe(50)
    const ticket = window.add(60)
    window.advance(100)
    expect(window.commitOffset).toBe(60)
    window.finish(ticket)
    expect(window.commitOffset).toBe(100)
  })

  it('refuses an offset that goes back', () => {
    const window = new OffsetWindow(5)
    expect(() => window.add(4)).toThrow(/offsets of a queue grow/)
  })

  it('agrees with a plain model for any order of work', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), gap: fc.nat(3) }),
      fc.record({ kind: fc.constant('finish' as const), pick: fc.nat() }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 4_000 }), steps => {
        const window = new OffsetWindow(0)
        const open = new Map<number, number>()
        for (const each of steps) {
          if (each.kind === 'add') {
            const offset = window.nextOffset + each.gap
            open.set(window.add(offset), offset)
          } else if (open.size > 0) {
            const tickets = [...open.keys()]
            const ticket = tickets[each.pick % tickets.length]
            window.finish(ticket)
            window.finish(ticket)
            open.delete(ticket)
          }
          expect(window.commitOffset).toBe(Math.min(window.nextOffset, ...open.values()))
        }
      }),
      { numRuns: 50 },
    )
  })
})
