import { describe, expect, it } from 'vitest'
import { type ReplyTo, receive, setup } from '../../src/index.js'
import { WORLDS } from './worlds.js'

describe.each(WORLDS)('virtual actors (%s)', (_name, makeWorld) => {
  it('activates on the first message, passivates when idle, and starts fresh', async () => {
    const world = makeWorld()
    const log: string[] = []
    const groups = world.system.virtual<number>(
      'group',
      key =>
        setup(context => {
          let sum = 0
          log.push(`${key} starts`)
          context.onStop(() => void log.push(`${key} stops at ${sum}`))
          return receive(value => {
            sum += value
          })
        }),
      { idleMs: 40 },
    )
    const ref = groups.get('a')
    expect(ref.path).toBe('test/group/a')
    expect(groups.activeCount).toBe(0)
    ref.tell(1)
    groups.get('a').tell(2)
    expect(groups.activeCount).toBe(1)
    await world.until(() => log.length === 2)
    expect(groups.activeCount).toBe(0)
    ref.tell(5)
    await world.until(() => log.length === 4)
    expect(log).toEqual(['a starts', 'a stops at 3', 'a starts', 'a stops at 5'])
    await world.settled(world.system.stop())
  })

  it('passivates between one and one and a half idle times after the last message', async () => {
    const world = makeWorld()
    const { clock } = world.system.environment
    let stoppedMs = 0
    const family = world.system.virtual<string>(
      'kind',
      () =>
        setup(context => {
          context.onStop(() => {
            stoppedMs = clock.monotonic()
          })
          return receive(() => {})
        }),
      { idleMs: 100 },
    )
    const ref = family.get('x')
    let lastMs = 0
    for (let i = 0; i < 5; i++) {
      ref.tell('busy')
      lastMs = clock.monotonic()
      await world.pass(40)
    }
    expect(stoppedMs).toBe(0)
    await world.until(() => stoppedMs > 0)
    expect(stoppedMs - lastMs).toBeGreaterThanOrEqual(95)
    expect(stoppedMs - lastMs).toBeLessThan(1_000)
    await world.settled(world.system.stop())
  })

  it('keeps an actor with timers, children or open asks', async () => {
    const world = makeWorld()
    const replies: ReplyTo<string>[] = []
    const family = world.system.virtual<ReplyTo<string> | 'timer' | 'child'>(
      'kind',
      () =>
        receive((message, context) => {
          if (message === 'timer') context.after(3_600_000, message)
          else if (message === 'child')
            context.spawn(
              'child',
              receive(() => {}),
            )
          else replies.push(message)
        }),
      { idleMs: 10 },
    )
    family.get('timer').tell('timer')
    family.get('child').tell('child')
    const asked = family.get('asked').ask<string>(reply => reply, 60_000)
    await world.pass(60)
    expect(family.activeCount).toBe(3)
    replies[0]!.tell('at last')
    expect(await world.settled(asked)).toBe('at last')
    await world.until(() => family.activeCount === 2)
    await world.settled(world.system.stop())
  })

  it('hands messages that arrive during a slow passivation to the next activation, in order', async () => {
    const world = makeWorld()
    const { scheduler } = world.system.environment
    const seen: number[] = []
    let activations = 0
    let isCleaning = false
    const family = world.system.virtual<number>(
      'kind',
      () =>
        setup(context => {
          activations++
          context.onStop(async () => {
            isCleaning = true
            await new Promise<void>(resolve => scheduler.after(20, resolve))
            isCleaning = false
          })
          return receive(value => {
            expect(isCleaning).toBe(false)
            seen.push(value)
          })
        }),
      { idleMs: 10 },
    )
    const early = family.get('x')
    early.tell(0)
    await world.until(() => isCleaning)
    early.tell(1)
    family.get('x').tell(2)
    early.tell(3)
    await world.until(() => seen.length === 4)
    expect(seen).toEqual([0, 1, 2, 3])
    expect(activations).toBe(2)
    await world.settled(world.system.stop())
  })

  it('routes all addresses of a key to one activation', async () => {
    const world = makeWorld()
    let activations = 0
    const seen: number[] = []
    const family = world.system.virtual<number>(
      'kind',
      () =>
        setup(() => {
          activations++
          return receive(value => seen.push(value))
        }),
      { idleMs: 60_000 },
    )
    const refs = Array.from({ length: 10 }, () => family.get('same'))
    for (const [index, ref] of refs.entries()) ref.tell(index)
    await world.until(() => seen.length === 10)
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(activations).toBe(1)
    await world.settled(world.system.stop())
  })

  it('comes back after it stopped itself, with the messages that waited', async () => {
    const world = makeWorld()
    const seen: string[] = []
    const family = world.system.virtual<string>(
      'kind',
      () =>
        receive((message, context) => {
          seen.push(message)
          if (message === 'stop') context.stop()
        }),
      { idleMs: 60_000 },
    )
    for (const message of ['a', 'stop', 'b', 'stop']) family.get('x').tell(message)
    await world.until(() => seen.length === 4 && family.activeCount === 0)
    expect(seen).toEqual(['a', 'stop', 'b', 'stop'])
    await world.settled(world.system.stop())
  })

  it('comes back after a failure that stopped it', async () => {
    const world = makeWorld()
    const dead: unknown[] = []
    world.system.deadLetters.subscribe(letter => dead.push(letter.message))
    const seen: string[] = []
    const family = world.system.virtual<string>(
      'kind',
      () =>
        receive(message => {
          if (message === 'fail') throw new Error('failed on purpose')
          seen.push(message)
        }),
      { idleMs: 60_000, supervision: { kind: 'stop' } },
    )
    const ref = family.get('x')
    ref.tell('fail')
    ref.tell('lost')
    await world.until(() => family.activeCount === 0)
    ref.tell('again')
    await world.until(() => seen.length === 1)
    expect([seen, dead]).toEqual([['again'], ['lost']])
    await world.settled(world.system.stop())
  })

  it('stops all of them with the system, after which messages are dead letters', async () => {
    const world = makeWorld()
    let stops = 0
    const dead: unknown[] = []
    world.system.deadLetters.subscribe(letter => dead.push(letter.message))
    const family = world.system.virtual<string>(
      'kind',
      () =>
        setup(context => {
          context.onStop(() => {
            stops++
          })
          return receive(() => {})
        }),
      { idleMs: 60_000 },
    )
    for (let i = 0; i < 100; i++) family.get(`key-${i}`).tell('x')
    await world.pass(5)
    await world.settled(world.system.stop())
    expect([stops, family.activeCount]).toEqual([100, 0])
    family.get('key-1').tell('late')
    await expect(family.get('new').ask(() => 'ask', 50)).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    expect(dead).toEqual(['late', 'ask'])
  })

  it('refuses to be watched, and a kind that is taken', async () => {
    const world = makeWorld()
    const family = world.system.virtual<string>('kind', () => receive(() => {}), { idleMs: 1_000 })
    expect(() => world.system.virtual('kind', () => receive(() => {}), { idleMs: 1_000 })).toThrow('"kind"')
    const errors: unknown[] = []
    world.system.failures.subscribe(failure => errors.push(failure.error))
    world.system.spawn(
      'watcher',
      setup<string>(context => {
        context.watch(family.get('x'), 'gone')
        return receive(() => {})
      }),
      { supervision: { kind: 'stop' } },
    )
    await world.until(() => errors.length === 1)
    expect(errors[0]).toMatchObject({ code: 'INVALID_ARGUMENT' })
    await world.settled(world.system.stop())
  })
})
