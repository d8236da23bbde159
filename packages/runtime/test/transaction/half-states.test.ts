import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HALF, type HalfState, HalfStates } from '../../src/broker/transaction/half-states.js'

const SEGMENT = 4096
const STATES: HalfState[] = [HALF.committed, HALF.rolledBack, HALF.givenUp]

/** A fixed order that is not the natural one. */
function scattered(count: number, step: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * step) % count)
}

describe('the states of half messages', () => {
  it('are undecided, then on their way, then settled for good', () => {
    const states = new HalfStates(0)
    expect(states.get(7)).toBe(HALF.undecided)
    states.begin(7, HALF.committed)
    expect(states.get(7)).toBe(HALF.committed)
    expect(() => states.begin(7, HALF.rolledBack)).toThrow(/ends once/)
    states.settle(7, HALF.committed)
    states.settle(7, HALF.rolledBack)
    expect(states.get(7)).toBe(HALF.committed)
  })

  it('go back to undecided when the disk refused the end', () => {
    const states = new HalfStates(0)
    states.begin(0, HALF.rolledBack)
    expect(states.nextUndecided(0, 1)).toBe(1)
    states.undo(0)
    expect(states.nextUndecided(0, 1)).toBe(0)
    states.begin(0, HALF.committed)
    expect(states.get(0)).toBe(HALF.committed)
  })

  it('are stored without what is on its way', () => {
    const states = new HalfStates(0)
    states.begin(1, HALF.committed)
    states.settle(2, HALF.rolledBack)
    states.setChecks(1, 3)
    const [segment] = states.takeDirty()
    expect(states.takeDirty()).toEqual([])
    const loaded = new HalfStates(0)
    loaded.load(segment!.index, segment!.record, 10)
    expect([0, 1, 2].map(offset => loaded.get(offset))).toEqual([HALF.undecided, HALF.undecided, HALF.rolledBack])
    expect(loaded.checks(1)).toBe(3)
  })

  it('do not take in what the log has lost', () => {
    const states = new HalfStates(0)
    for (let offset = 0; offset < 10; offset++) states.settle(offset, HALF.committed)
    const loaded = new HalfStates(0)
    for (const { index, record } of states.takeDirty()) loaded.load(index, record, 4)
    expect(loaded.first).toBe(4)
    expect(loaded.nextUndecided(0, 10)).toBe(4)
  })

  it('forget how old segments ended, but not that they did, around one that stays undecided', () => {
    const states = new HalfStates(0)
    const end = 20 * SEGMENT
    for (let offset = 1; offset < end; offset++) states.settle(offset, HALF.committed)
    expect(states.first).toBe(0)
    expect(states.get(SEGMENT)).toBe(HALF.ended)
    expect(states.get(end - 1)).toBe(HALF.committed)
    expect(states.undecidedCount(end)).toBe(1)
    expect(states.nextUndecided(1, end)).toBe(end)
    const loaded = new HalfStates(0)
    for (const { index, record } of states.takeDirty()) loaded.load(index, record, end)
    expect(loaded.undecidedCount(end)).toBe(1)
    expect(loaded.nextUndecided(0, end)).toBe(0)
    states.settle(0, HALF.rolledBack)
    expect(states.first).toBe(end)
    expect(states.undecidedCount(end)).toBe(0)
    expect(states.get(0)).not.toBe(HALF.undecided)
  })

  it('agree with a plain map, in any order, from any start', () => {
    fc.assert(
      fc.property(
        fc.nat(3 * SEGMENT),
        fc.array(fc.tuple(fc.nat(3 * SEGMENT), fc.constantFrom(...STATES)), { maxLength: 200 }),
        fc.integer({ min: 1, max: 4000 }),
        (first, ends, run) => {
          const states = new HalfStates(first)
          const known = new Map<number, HalfState>()
          const settle = (offset: number, state: HalfState): void => {
            states.settle(offset, state)
            if (offset >= first && !known.has(offset)) known.set(offset, state)
          }
          for (const [offset, state] of ends) settle(offset, state)
          for (const at of scattered(run, 7)) settle(first + at, HALF.committed)
          const end = 4 * SEGMENT
          let lowest = first
          while (known.has(lowest)) lowest++
          expect(states.first).toBe(lowest)
          expect(states.undecidedCount(end)).toBe(end - first - known.size)
          const wrong = [...known].filter(
            ([offset, state]) => states.get(offset) !== state && states.get(offset) !== HALF.ended,
          )
          expect(wrong).toEqual([])
          let offset = states.nextUndecided(0, end)
          const undecided: number[] = []
          for (let count = 0; count < 50 && offset < end; count++, offset = states.nextUndecided(offset + 1, end))
            undecided.push(offset)
          expect(undecided.filter(at => known.has(at))).toEqual([])
        },
      ),
      { numRuns: 30 },
    )
  })
})
