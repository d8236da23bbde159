import { describe, expect, it } from 'vitest'
import { createActorSystem, receive, setup } from '../../src/index.js'
import { SeededRandom, simulate, TestProbe } from '../../src/testkit/index.js'

const HOUR_MS = 3_600_000

describe('simulate', () => {
  it('passes time only while it runs, and jumps over what is empty', async () => {
    const simulation = simulate({ seed: 1, startMs: 5_000 })
    const firedMs: number[] = []
    for (const delayMs of [HOUR_MS, 10, 2 * HOUR_MS])
      simulation.scheduler.after(delayMs, () => firedMs.push(simulation.clock.now()))
    expect(simulation.clock.now()).toBe(5_000)
    await simulation.run(5_000 + HOUR_MS)
    expect(firedMs).toEqual([5_010, 5_000 + HOUR_MS])
    expect(simulation.clock.now()).toBe(5_000 + HOUR_MS)
    await simulation.runUntilIdle()
    expect(firedMs).toHaveLength(3)
    expect(simulation.clock.monotonic()).toBe(2 * HOUR_MS)
  })

  it('cancels timers, once and for all', async () => {
    const simulation = simulate({ seed: 1 })
    let fired = 0
    const cancel = simulation.scheduler.after(5, () => fired++)
    const cancelLate = simulation.scheduler.after(1, () => fired++)
    cancel()
    cancel()
    await simulation.runUntilIdle()
    cancelLate()
    simulation.scheduler.after(1, () => fired++)
    await simulation.runUntilIdle()
    expect(fired).toBe(2)
  })

  it('runs the continuations of one moment before the next one', async () => {
    const simulation = simulate({ seed: 1 })
    const log: string[] = []
    const chain = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await Promise.resolve()
      log.push(`chain at ${simulation.clock.monotonic()}`)
    }
    simulation.scheduler.after(1, () => void chain())
    simulation.scheduler.after(2, () => log.push('next'))
    await simulation.runUntilIdle()
    expect(log).toEqual(['chain at 1', 'next'])
  })

  it('ignores unref timers when it looks for idleness, and says what keeps it busy', async () => {
    const simulation = simulate({ seed: 42 })
    const tick = (): void => void simulation.scheduler.after(1_000, tick, { unref: true })
    tick()
    await simulation.runUntilIdle()
    expect(simulation.clock.monotonic()).toBe(0)
    const busy = (): void => void simulation.scheduler.after(1_000, busy)
    busy()
    await expect(simulation.runUntilIdle(10_000)).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('seed 42'),
    })
  })

  it('gives the outcome of a promise, or says that it cannot settle', async () => {
    const simulation = simulate({ seed: 1 })
    const later = new Promise<string>(resolve => simulation.scheduler.after(HOUR_MS, () => resolve('done')))
    expect(await simulation.runUntilSettled(later)).toBe('done')
    await expect(simulation.runUntilSettled(Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(simulation.runUntilSettled(new Promise(() => {}))).rejects.toMatchObject({ code: 'TIMEOUT' })
  })

  it('repeats a run exactly from its seed, and orders ties differently for another', async () => {
    const run = async (seed: number): Promise<{ hash: string; log: string }> => {
      const simulation = simulate({ seed })
      const system = createActorSystem('test', simulation)
      const log: string[] = []
      for (const name of ['a', 'b', 'c', 'd', 'e'])
        system.spawn(
          name,
          setup<string>(context => {
            context.every(10, 'tick')
            return receive(() => {
              log.push(`${name}${context.random.int(10)}`)
              simulation.note(name)
            })
          }),
        )
      await simulation.run(simulation.clock.now() + 100)
      const result = { hash: simulation.traceHash, log: log.join() }
      await simulation.runUntilSettled(system.stop())
      return result
    }
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    const others = await Promise.all([1, 2, 3].map(run))
    expect(new Set([first, ...others].map(({ hash }) => hash)).size).toBe(4)
    expect(new Set([first, ...others].map(({ log }) => log)).size).toBe(4)
  })

  it('simulates a million events a minute, with ease', async () => {
    const simulation = simulate({ seed: 1 })
    for (let i = 0; i < 100; i++) {
      const tick = (): void => void simulation.scheduler.after(10, tick)
      tick()
    }
    // CPU time, so that a busy machine does not fail it.
    const begin = process.cpuUsage()
    await simulation.run(simulation.clock.now() + 2_000)
    const { user, system } = process.cpuUsage(begin)
    const perMinute = (simulation.eventCount / (user + system)) * 60_000_000
    expect(simulation.eventCount).toBeGreaterThanOrEqual(20_000)
    expect(perMinute).toBeGreaterThan(1_000_000)
  })

  it('delays the network by its latency', async () => {
    const simulation = simulate({ seed: 3, latencyMs: 25 })
    const { net, clock } = simulation
    let echoedMs = 0
    await simulation.runUntilSettled(
      net.listen({ host: 'broker', port: 10_911 }, connection =>
        connection.start({
          data: chunk => void connection.write(Buffer.from(chunk)),
          drain: () => {},
          close: () => {},
        }),
      ),
    )
    const connection = await simulation.runUntilSettled(net.connect({ host: 'broker', port: 10_911 }))
    const begunMs = clock.monotonic()
    const echoed = new Promise<void>(resolve =>
      connection.start({
        data: () => {
          echoedMs = clock.monotonic()
          resolve()
        },
        drain: () => {},
        close: () => {},
      }),
    )
    connection.write(Buffer.from('ping'))
    await simulation.runUntilSettled(echoed)
    expect(echoedMs - begunMs).toBe(50)
  })
})

describe('SeededRandom', () => {
  it('repeats its numbers, uniform enough for tests', () => {
    const one = new SeededRandom(99)
    const other = new SeededRandom(99)
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 10_000; i++) {
      const value = one.next()
      expect(other.next()).toBe(value)
      counts[Math.floor(value * 10)]!++
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150)
    expect(new SeededRandom(1).next()).not.toBe(new SeededRandom(2).next())
    const drawn = new Set(Array.from({ length: 200 }, () => one.int(7)))
    expect(drawn).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]))
  })
})

describe('TestProbe', () => {
  it('gives what it was told in turn, past or future, and passes over what is refused', async () => {
    const simulation = simulate({ seed: 1 })
    const system = createActorSystem('test', simulation)
    const probe = new TestProbe<number>(system, 'probe')
    for (const message of [1, 2, 3, 4]) probe.ref.tell(message)
    expect(await simulation.runUntilSettled(probe.next())).toBe(1)
    expect(await simulation.runUntilSettled(probe.next(message => message > 2))).toBe(3)
    const both = Promise.all([probe.next(), probe.next()])
    probe.ref.tell(5)
    expect(await simulation.runUntilSettled(both)).toEqual([4, 5])
    expect(probe.received).toEqual([1, 2, 3, 4, 5])
    await expect(simulation.runUntilSettled(probe.next(undefined, 50))).rejects.toMatchObject({ code: 'TIMEOUT' })
    await simulation.runUntilSettled(system.stop())
  })
})
