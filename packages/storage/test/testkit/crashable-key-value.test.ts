import { simulate } from '@millrace/core/testkit'
import { describe, expect, it } from 'vitest'
import { CrashableKeyValue } from '../../src/testkit/crashable-key-value.js'

describe('a key-value store that crashes', () => {
  it.each(['process', 'power'] as const)(
    'keeps whole commits, in order, and all that was promised (%s)',
    async kind => {
      for (let seed = 1; seed <= 40; seed++) {
        const simulation = simulate({ seed })
        const kept = new CrashableKeyValue()
        const store = kept.open(simulation, kind === 'power' ? 'flushed' : 'committed')
        const [left, right] = [store.table<number>('left'), store.table<number>('right')]
        let promised = 0
        for (let i = 1; i <= 20; i++) {
          simulation.scheduler.after(i, () => {
            const written = store.batch(() => {
              void left.put(i, i)
              void right.put(i, -i)
            })
            void written.then(() => (promised = Math.max(promised, i)))
          })
        }
        await simulation.run(simulation.clock.now() + 1 + simulation.random.int(25))
        const told = promised
        kept.crash(kind, simulation.random)

        const again = kept.open(simulation, 'committed')
        const keys = [...again.table<number>('left').keys()]
        expect(keys).toEqual(Array.from({ length: keys.length }, (_, i) => i + 1))
        expect(keys.length).toBeGreaterThanOrEqual(told)
        expect([...again.table<number>('right').range()].map(({ value }) => -value)).toEqual(keys)
      }
    },
  )

  it('reads its own writes inside a transaction, and undoes it when that fails', () => {
    const simulation = simulate({ seed: 1 })
    const store = new CrashableKeyValue().open(simulation, 'committed')
    const table = store.table<string, string>('t')
    store.commitSync(() => {
      void table.put('a', 'one')
      expect(table.get('a')).toBe('one')
    })
    const failing = (): void =>
      store.commitSync(() => {
        void table.put('a', 'two')
        throw new Error('no')
      })
    expect(failing).toThrow('no')
    expect(table.get('a')).toBe('one')
  })

  it('takes nothing from a process that is gone', async () => {
    const simulation = simulate({ seed: 1 })
    const kept = new CrashableKeyValue()
    const store = kept.open(simulation, 'committed')
    kept.crash('process', simulation.random)
    await expect(store.table('t').put('a', 1)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
