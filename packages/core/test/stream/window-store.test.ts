import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Key } from '../../src/stream/key.js'
import { MemoryState, type StateChange } from '../../src/stream/stores/state.js'
import { WindowStore } from '../../src/stream/stores/window-store.js'

function commit(store: WindowStore<number>, state: MemoryState): void {
  const changes: StateChange[] = []
  store.collect(changes)
  state.apply(changes)
  store.settle()
}

/** Takes out everything, the earliest window first. */
function drain(store: WindowStore<number>): [number, Key, number][] {
  const taken: [number, Key, number][] = []
  while (store.firstStart !== undefined) {
    const next = store.takeFirst()
    if (next !== undefined) taken.push([next.start, next.key, next.state])
  }
  return taken
}

describe('the window store', () => {
  it('gives a window of many pages back in byte order, wherever its entries lie', () => {
    const state = new MemoryState()
    const store = new WindowStore<number>(state, 'a', 100)
    const keys = Array.from({ length: 1_000 }, (_, i) => `k${(i * 617) % 1_000}`)
    for (const key of keys.slice(0, 700)) store.set(0, key, 1)
    commit(store, state)
    expect(store.size).toBe(100)
    for (const key of keys.slice(500)) store.set(0, key, (store.get(0, key) ?? 0) + 1)
    const taken = drain(store)
    expect(taken.map(([, key]) => key)).toEqual([...keys].sort())
    expect(taken.filter(([, , value]) => value === 2)).toHaveLength(200)
    commit(store, state)
    expect([store.size, state.size]).toEqual([0, 0])
  })

  it('leaves other stores in the same state alone', () => {
    const state = new MemoryState()
    const first = new WindowStore<number>(state, 'a', 10)
    const second = new WindowStore<number>(state, 'ab', 10)
    first.set(-5, 'x', 1)
    second.set(3, 'x', 2)
    commit(first, state)
    commit(second, state)
    expect(new WindowStore<number>(state, 'a', 10).firstStart).toBe(-5)
    expect(drain(new WindowStore<number>(state, 'ab', 10))).toEqual([[3, 'x', 2]])
  })

  it('does what a plain map does, through commits, evictions, reopening and interrupted closes', () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ add: fc.nat(4), key: fc.constantFrom<Key>('a', 'b', 1, '1', 'é', '𝒳', 2.5) }),
      },
      { weight: 1, arbitrary: fc.constant('commit' as const) },
      { weight: 1, arbitrary: fc.constant('begin' as const) },
      { weight: 1, arbitrary: fc.constant('settle' as const) },
      { weight: 1, arbitrary: fc.constant('reopen' as const) },
      { weight: 2, arbitrary: fc.constant('take' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.nat(4), (steps, entriesMax) => {
        const state = new MemoryState()
        let store = new WindowStore<number>(state, 's', entriesMax)
        const model = new Map<string, number>()
        let pending: StateChange[] | undefined
        const settle = (): void => {
          if (pending === undefined) return
          state.apply(pending)
          store.settle()
          pending = undefined
        }
        let closed = -1
        for (const step of steps) {
          if (typeof step === 'object') {
            // A window that has begun to close takes no more, as the operator sees to.
            const start = Math.max(step.add, closed + 1)
            const name = `${start} ${typeof step.key} ${step.key}`
            const next = (model.get(name) ?? 0) + 1
            expect(store.get(start, step.key) ?? 0).toBe(next - 1)
            store.set(start, step.key, next)
            model.set(name, next)
          } else if (step === 'take') {
            const start = store.firstStart
            const taken = store.takeFirst()
            if (start !== undefined) closed = Math.max(closed, start)
            if (taken === undefined) continue
            const name = `${taken.start} ${typeof taken.key} ${taken.key}`
            expect(taken.state).toBe(model.get(name))
            model.delete(name)
          } else if (step === 'begin') {
            settle()
            pending = []
            store.collect(pending)
          } else if (step === 'settle') settle()
          else {
            settle()
            commit(store, state)
            if (step === 'reopen') store = new WindowStore<number>(state, 's', entriesMax)
          }
        }
        settle()
        commit(store, state)
        expect(state.size).toBe(model.size)
        const left = drain(new WindowStore<number>(state, 's', entriesMax))
        expect(new Map(left.map(([start, key, value]) => [`${start} ${typeof key} ${key}`, value]))).toEqual(model)
      }),
      { numRuns: 500 },
    )
  })
})
