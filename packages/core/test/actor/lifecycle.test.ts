import { concatMap, ignoreElements, mergeMap, take, tap, throwError } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { type ActorFailure, type ActorRef, type Behavior, receive, receiveBatch, setup } from '../../src/index.js'
import { WORLDS, type World } from './worlds.js'

const QUICK = { kind: 'restart', backoffMsMin: 5, backoffMsMax: 20 } as const

describe.each(WORLDS)('life cycle (%s)', (_name, makeWorld) => {
  it('names actors by their path and refuses a name that is taken, empty or a path', async () => {
    const world = makeWorld()
    let child: ActorRef<string> | undefined
    const behavior = setup<string>(context => {
      child = context.spawn(
        'child',
        receive<string>(() => {}),
      )
      return receive(() => {})
    })
    const parent = world.system.spawn('parent', behavior)
    await world.until(() => child !== undefined)
    expect([parent.path, child!.path]).toEqual(['test/parent', 'test/parent/child'])
    for (const name of ['parent', '', 'a/b'])
      expect(() => world.system.spawn(name, behavior)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => world.system.spawn('parent', behavior)).toThrow('already has a child "parent"')
    await world.settled(world.system.stop())
    expect(() => world.system.spawn('late', behavior)).toThrow(expect.objectContaining({ code: 'ACTOR_STOPPED' }))
  })

  it('frees the name of an actor that stopped', async () => {
    const world = makeWorld()
    const stopper = receive<string>((_, context) => context.stop())
    world.system.spawn('name', stopper).tell('stop')
    await world.until(() => world.system.inspect().length === 0)
    expect(world.system.spawn('name', stopper).path).toBe('test/name')
    await world.settled(world.system.stop())
  })

  it('stops children first, the last one spawned first, and waits for cleanups', async () => {
    const world = makeWorld()
    const log: string[] = []
    const leaf = (name: string): Behavior<string> =>
      setup(context => {
        context.onStop(() => void log.push(name))
        return receive(() => {})
      })
    const parent = setup<string>(context => {
      context.onStop(() => void log.push('parent first registered'))
      context.onStop(async () => {
        await new Promise<void>(resolve => context.environment.scheduler.after(10, resolve))
        log.push('parent last registered')
      })
      context.spawn('one', leaf('one'))
      context.spawn('two', leaf('two'))
      return receive(() => {})
    })
    world.system.spawn('parent', parent)
    world.system.spawn('other', leaf('other'))
    await world.pass(5)
    const first = world.system.stop()
    await world.settled(Promise.all([first, world.system.stop()]))
    expect(log).toEqual(['other', 'two', 'one', 'parent last registered', 'parent first registered'])
  })

  it('runs the other cleanups when one fails, and reports it', async () => {
    const world = makeWorld()
    const failures = failuresOf(world)
    const log: string[] = []
    world.system.spawn(
      'untidy',
      setup<string>(context => {
        context.onStop(() => void log.push('last'))
        context.onStop(() => Promise.reject(new Error('rejected')))
        context.onStop(() => {
          throw new Error('thrown')
        })
        return receive(() => {})
      }),
    )
    await world.pass(5)
    await world.settled(world.system.stop())
    expect(log).toEqual(['last'])
    expect(failures.map(failure => [String(failure.error), failure.action])).toEqual([
      ['Error: thrown', 'none'],
      ['Error: rejected', 'none'],
    ])
  })

  it('lets only parents stop an actor', async () => {
    const world = makeWorld()
    const stranger = world.system.spawn(
      'stranger',
      receive<string>(() => {}),
    )
    const failures = failuresOf(world)
    world.system.spawn(
      'actor',
      setup<string>(context => {
        context.stop(stranger)
        return receive(() => {})
      }),
      { supervision: { kind: 'stop' } },
    )
    await world.until(() => failures.length === 1)
    expect(failures[0]!.error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    await world.settled(world.system.stop())
  })

  it('tells a watcher when an actor stops, also if it stopped before', async () => {
    const world = makeWorld()
    const log: string[] = []
    const watched = world.system.spawn(
      'watched',
      receive<string>((_, context) => context.stop()),
    )
    world.system.spawn(
      'watcher',
      setup<string>(context => {
        context.watch(watched, 'gone')
        return receive(message => log.push(message))
      }),
    )
    await world.pass(5)
    expect(log).toEqual([])
    watched.tell('stop')
    await world.until(() => log.length === 1)
    world.system.spawn(
      'late',
      setup<string>(context => {
        context.watch(watched, 'gone before')
        return receive(message => log.push(message))
      }),
    )
    await world.until(() => log.length === 2)
    expect(log).toEqual(['gone', 'gone before'])
    await world.settled(world.system.stop())
  })

  it('runs timers, and cancels them by hand and when the actor stops', async () => {
    const world = makeWorld()
    const log: string[] = []
    const ref = world.system.spawn(
      'timed',
      setup<string>(context => {
        context.after(5, 'once')
        const cancel = context.after(1, 'never')
        cancel()
        cancel()
        context.every(3, 'tick')
        return receive(message => {
          log.push(message)
          if (message === 'stop') context.stop()
        })
      }),
    )
    await world.until(() => log.filter(entry => entry === 'tick').length >= 3 && log.includes('once'))
    expect(log).not.toContain('never')
    ref.tell('stop')
    await world.until(() => world.system.inspect().length === 0)
    const { length } = log
    await world.pass(20)
    expect(log.length).toBe(length)
    expect(log.at(-1)).toBe('stop')
    await world.settled(world.system.stop())
  })

  it('stops an actor whose pipeline completes', async () => {
    const world = makeWorld()
    const seen: string[] = []
    const ref = world.system.spawn<string>('two', inbox =>
      inbox.pipe(
        mergeMap(batch => batch),
        take(2),
        tap(message => seen.push(message)),
      ),
    )
    ref.tell('a')
    ref.tell('b')
    ref.tell('c')
    await world.until(() => world.system.inspect().length === 0)
    expect(seen).toEqual(['a', 'b'])
    await world.settled(world.system.stop())
  })
})

describe.each(WORLDS)('supervision (%s)', (_name, makeWorld) => {
  const counting = (log: string[]): Behavior<string> =>
    setup(context => {
      let count = 0
      log.push('start')
      context.onStop(() => void log.push('stop'))
      return receive(message => {
        if (message === 'fail') throw new Error('failed on purpose')
        log.push(`${message} ${++count}`)
      })
    })

  it('restarts with fresh state and loses no waiting message', async () => {
    const world = makeWorld()
    const failures = failuresOf(world)
    const log: string[] = []
    const ref = world.system.spawn('actor', counting(log), { supervision: QUICK })
    for (const message of ['a', 'b', 'fail', 'c', 'd']) ref.tell(message)
    await world.until(() => log.length === 7)
    expect(log).toEqual(['start', 'a 1', 'b 2', 'stop', 'start', 'c 1', 'd 2'])
    expect(failures).toMatchObject([{ path: 'test/actor', action: 'restart' }])
    expect(world.system.inspect()[0]!.restartCount).toBe(1)
    await world.settled(world.system.stop())
  })

  it('waits longer before each restart, and stops past the limit', async () => {
    const world = makeWorld()
    const failures = failuresOf(world)
    const { clock } = world.system.environment
    const startsMs: number[] = []
    const supervision = {
      kind: 'restart',
      backoffMsMin: 10,
      backoffMsMax: 20,
      restartsMax: 3,
      windowMs: 60_000,
    } as const
    const ref = world.system.spawn(
      'hopeless',
      setup<string>(() => {
        startsMs.push(clock.monotonic())
        throw new Error('no start')
      }),
      { supervision },
    )
    await world.until(() => world.system.inspect().length === 0)
    const pausesMs = startsMs.slice(1).map((atMs, index) => atMs - startsMs[index]!)
    expect(pausesMs).toHaveLength(3)
    expect(pausesMs[0]).toBeGreaterThanOrEqual(9)
    expect(pausesMs[1]).toBeGreaterThanOrEqual(19)
    expect(failures.map(failure => failure.action)).toEqual(['restart', 'restart', 'restart', 'stop'])
    await expect(world.settled(ref.ask(() => 'x', 100))).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    await world.settled(world.system.stop())
  })

  it('resumes with the same state', async () => {
    const world = makeWorld()
    const log: string[] = []
    const ref = world.system.spawn('actor', counting(log), { supervision: { kind: 'resume' } })
    for (const message of ['a', 'fail', 'b', 'fail', 'c']) ref.tell(message)
    await world.until(() => log.length === 4)
    expect(log).toEqual(['start', 'a 1', 'b 2', 'c 3'])
    await world.settled(world.system.stop())
  })

  it('stops, and makes the rest dead letters', async () => {
    const world = makeWorld()
    const dead: unknown[] = []
    world.system.deadLetters.subscribe(letter => dead.push(letter.message))
    const log: string[] = []
    const ref = world.system.spawn('actor', counting(log), { supervision: { kind: 'stop' } })
    for (const message of ['a', 'fail', 'b']) ref.tell(message)
    await world.until(() => dead.length === 1)
    expect(log).toEqual(['start', 'a 1', 'stop'])
    expect(dead).toEqual(['b'])
    await world.settled(world.system.stop())
  })

  it('escalates to the parent, which restarts with all its children', async () => {
    const world = makeWorld()
    const failures = failuresOf(world)
    const log: string[] = []
    let child: ActorRef<string> | undefined
    world.system.spawn(
      'parent',
      setup<string>(context => {
        log.push('parent start')
        child = context.spawn('child', counting(log), { supervision: { kind: 'escalate' } })
        context.spawn('sibling', counting(log))
        return receive(() => {})
      }),
      { supervision: QUICK },
    )
    await world.until(() => log.length === 3)
    const before = child!
    before.tell('fail')
    await world.until(() => log.length === 8)
    expect(log).toEqual(['parent start', 'start', 'start', 'stop', 'stop', 'parent start', 'start', 'start'])
    expect(child).not.toBe(before)
    expect(failures.map(({ path, action }) => [path, action])).toEqual([
      ['test/parent/child', 'escalate'],
      ['test/parent', 'restart'],
    ])
    await world.settled(world.system.stop())
  })

  it('touches no other actor', async () => {
    const world = makeWorld()
    const seen: number[] = []
    const bad = world.system.spawn(
      'bad',
      receive<number>(() => {
        throw new Error('always')
      }),
    )
    const good = world.system.spawn(
      'good',
      receive<number>(m => seen.push(m)),
    )
    for (let i = 0; i < 100; i++) {
      bad.tell(i)
      good.tell(i)
    }
    await world.until(() => seen.length === 100)
    await world.settled(world.system.stop())
  })

  it.each([
    [
      'batch',
      receiveBatch<string>(batch => {
        if (batch.includes('fail')) throw new Error('failed on purpose')
      }),
    ],
    [
      'pipeline',
      inbox =>
        inbox.pipe(
          concatMap(batch => (batch.includes('fail') ? throwError(() => new Error('failed on purpose')) : batch)),
          ignoreElements(),
        ),
    ],
  ] as readonly (readonly [string, Behavior<string>])[])('restarts a failed %s', async (_kind, behavior) => {
    const world = makeWorld()
    const failures = failuresOf(world)
    const ref = world.system.spawn('actor', behavior, { supervision: QUICK })
    for (let round = 1; round <= 3; round++) {
      ref.tell('fail')
      await world.until(() => failures.length === round && world.system.inspect()[0]?.state === 'running')
    }
    expect(failures.every(failure => String(failure.error) === 'Error: failed on purpose')).toBe(true)
    await world.settled(world.system.stop())
  })

  it('resumes a failed pipeline by starting it anew', async () => {
    const world = makeWorld()
    const seen: string[] = []
    const ref = world.system.spawn<string>(
      'pipeline',
      inbox =>
        inbox.pipe(
          tap(batch => {
            if (batch[0] === 'fail') throw new Error('failed on purpose')
            seen.push(...batch)
          }),
        ),
      { supervision: { kind: 'resume' } },
    )
    ref.tell('fail')
    await world.pass(5)
    ref.tell('a')
    await world.until(() => seen.length === 1)
    await world.settled(world.system.stop())
  })

  it('stops during a backoff without waiting for it', async () => {
    const world = makeWorld()
    const supervision = { kind: 'restart', backoffMsMin: 3_600_000, backoffMsMax: 3_600_000 } as const
    const ref = world.system.spawn(
      'actor',
      receive<string>(() => {
        throw new Error('failed on purpose')
      }),
      { supervision },
    )
    ref.tell('x')
    await world.until(() => world.system.inspect()[0]?.state === 'restarting')
    const { clock } = world.system.environment
    const beforeMs = clock.monotonic()
    await world.settled(world.system.stop())
    expect(clock.monotonic() - beforeMs).toBeLessThan(1_000)
  })
})

function failuresOf(world: World): ActorFailure[] {
  const failures: ActorFailure[] = []
  world.system.failures.subscribe(failure => failures.push(failure))
  return failures
}
