import { concatMap, filter, map, mergeMap, of, tap } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { type Behavior, type DeadLetter, type ReplyTo, receive, receiveBatch, setup } from '../../src/index.js'
import { WORLDS } from './worlds.js'

interface Add {
  readonly value: number
  readonly reply: ReplyTo<number>
}

const adder = receive<Add>(({ value, reply }) => {
  if (value < 0) throw new Error('negative')
  if (value === 0) reply.fail(new Error('zero'))
  if (value < 1_000) reply.tell(value + 1)
})

describe.each(WORLDS)('messages (%s)', (_name, makeWorld) => {
  const numbers = (into: number[][]): readonly (readonly [string, Behavior<number>])[] => [
    ['receive', receive(message => into.push([message]))],
    ['receiveBatch', receiveBatch(batch => into.push([...batch]))],
    ['setup', setup(() => receive(message => into.push([message])))],
    ['a pipeline', inbox => inbox.pipe(tap(batch => into.push([...batch])))],
    [
      'a composed pipeline',
      (inbox, context) => receive<number>(m => into.push([m]))(inbox.pipe(filter(() => true)), context),
    ],
  ]

  it('hands messages over in the order of their sender, whatever the behaviour', async () => {
    const world = makeWorld()
    const seen: number[][][] = numbers([]).map(() => [])
    seen.forEach((into, index) => {
      const ref = world.system.spawn(`a${index}`, numbers(into)[index]![1])
      for (let i = 0; i < 100; i++) ref.tell(i)
    })
    const expected = Array.from({ length: 100 }, (_, i) => i)
    await world.until(() => seen.every(batches => batches.flat().length === 100))
    for (const batches of seen) expect(batches.flat()).toEqual(expected)
    await world.settled(world.system.stop())
  })

  it('gives a batch behaviour all that waits in one array of its own', async () => {
    const world = makeWorld()
    const batches: (readonly number[])[] = []
    const ref = world.system.spawn(
      'batch',
      receiveBatch<number>(batch => batches.push(batch)),
    )
    for (let i = 0; i < 500; i++) ref.tell(i)
    await world.until(() => batches.length === 1)
    ref.tell(500)
    await world.until(() => batches.length === 2)
    expect(batches.map(batch => batch.length)).toEqual([500, 1])
    expect(batches[0]![499]).toBe(499)
    await world.settled(world.system.stop())
  })

  it('keeps messages until a pipeline subscribes to its inbox', async () => {
    const world = makeWorld()
    const seen: number[] = []
    const late: Behavior<number> = inbox =>
      of(0).pipe(
        concatMap(() => Promise.resolve()),
        mergeMap(() => inbox),
        map(batch => seen.push(...batch)),
      )
    const ref = world.system.spawn('late', late)
    ref.tell(1)
    ref.tell(2)
    await world.until(() => seen.length === 2)
    ref.tell(3)
    await world.until(() => seen.length === 3)
    expect(seen).toEqual([1, 2, 3])
    await world.settled(world.system.stop())
  })

  it('answers asks, and fails them with what failed', async () => {
    const world = makeWorld()
    const ref = world.system.spawn('adder', adder)
    const ask = (value: number): Promise<number> => ref.ask<number>(reply => ({ value, reply }), 50)
    expect(await world.settled(Promise.all([ask(1), ask(2), ask(3)]))).toEqual([2, 3, 4])
    await expect(world.settled(ask(0))).rejects.toThrow('zero')
    await expect(world.settled(ask(-1))).rejects.toThrow('negative')
    await world.settled(world.system.stop())
  })

  it('fails an ask at its deadline, and ignores an answer after it', async () => {
    const world = makeWorld()
    const replies: ReplyTo<number>[] = []
    const ref = world.system.spawn(
      'silent',
      receive<ReplyTo<number>>(reply => replies.push(reply)),
    )
    const { clock } = world.system.environment
    const startMs = clock.monotonic()
    const asked = ref.ask<number>(reply => reply, 30)
    await expect(world.settled(asked)).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/"test\/silent".*30 ms/),
    })
    expect(clock.monotonic() - startMs).toBeGreaterThanOrEqual(30)
    replies[0]!.tell(1)
    const shorter = ref.ask<number>(reply => reply, 10)
    const longer = ref.ask<number>(reply => reply, 5_000)
    const answered = ref.ask<number>(reply => reply, 10)
    await world.until(() => replies.length === 4)
    replies[3]!.tell(7)
    await expect(world.settled(shorter)).rejects.toMatchObject({ code: 'TIMEOUT' })
    replies[2]!.tell(8)
    expect(await world.settled(Promise.all([longer, answered]))).toEqual([8, 7])
    await world.settled(world.system.stop())
  })

  it('fails asks of an actor that stops, told before or after', async () => {
    const world = makeWorld()
    const ref = world.system.spawn(
      'stopper',
      receive<ReplyTo<number> | 'stop'>((m, context) => {
        if (m === 'stop') context.stop()
      }),
    )
    const delivered = ref.ask<number>(reply => reply, 5_000)
    ref.tell('stop')
    const waiting = ref.ask<number>(reply => reply, 5_000)
    const outcomes = await world.settled(Promise.allSettled([delivered, waiting]))
    const late = await world.settled(Promise.allSettled([ref.ask<number>(reply => reply, 5_000)]))
    for (const outcome of [...outcomes, ...late]) {
      expect(outcome.status).toBe('rejected')
      expect((outcome as PromiseRejectedResult).reason).toMatchObject({ code: 'ACTOR_STOPPED' })
    }
  })

  it('shows messages that nobody will handle as dead letters', async () => {
    const world = makeWorld()
    const dead: DeadLetter[] = []
    world.system.deadLetters.subscribe(letter => dead.push(letter))
    const ref = world.system.spawn(
      'brief',
      receive<string>((_, context) => context.stop()),
    )
    ref.tell('one')
    ref.tell('two')
    await world.until(() => dead.length === 1)
    ref.tell('three')
    expect(dead).toEqual([
      { recipient: 'test/brief', message: 'two', reason: 'stopped' },
      { recipient: 'test/brief', message: 'three', reason: 'stopped' },
    ])
    await world.settled(world.system.stop())
  })

  it.each([
    ['reject', [0, 1, 2], [3, 4, 5], 'MAILBOX_FULL'],
    ['drop-oldest', [3, 4, 5], [], undefined],
    ['drop-newest', [0, 1, 2], [], 'MAILBOX_FULL'],
  ] as const)('bounds a mailbox: %s', async (overflow, handled, deadMessages, lastAskCode) => {
    const world = makeWorld()
    const seen: unknown[] = []
    const dead: unknown[] = []
    world.system.deadLetters.subscribe(letter => dead.push(letter.message))
    const ref = world.system.spawn(
      'small',
      receive<number | ReplyTo<string>>(message => {
        if (typeof message === 'number') seen.push(message)
        else message.tell('served')
      }),
      { mailbox: { capacity: 3, overflow } },
    )
    for (let i = 0; i < 6; i++) ref.tell(i)
    const inspection = world.system.inspect()[0]!
    expect([inspection.depth, inspection.capacity, inspection.overflowCount]).toEqual([3, 3, 3])
    await world.until(() => seen.length === 3)
    expect(seen).toEqual(handled)
    expect(dead).toEqual(deadMessages)
    const asks = Array.from({ length: 4 }, () => ref.ask<string>(reply => reply, 1_000))
    const outcomes = await world.settled(Promise.allSettled(asks))
    const codes = outcomes.map(outcome => (outcome.status === 'fulfilled' ? undefined : outcome.reason.code))
    expect(codes.filter(code => code === 'MAILBOX_FULL')).toHaveLength(1)
    expect(codes[3]).toBe(lastAskCode)
    await world.settled(world.system.stop())
  })

  it('keeps order through many drops of the oldest', async () => {
    const world = makeWorld()
    const seen: number[] = []
    const ref = world.system.spawn(
      'lossy',
      receive<number>(m => seen.push(m)),
      {
        mailbox: { capacity: 4, overflow: 'drop-oldest' },
      },
    )
    for (let i = 0; i < 1_000; i++) ref.tell(i)
    await world.until(() => seen.length > 0)
    expect(seen).toEqual([996, 997, 998, 999])
    await world.settled(world.system.stop())
  })

  it('lets timers and I/O run while actors tell each other without end', async () => {
    const world = makeWorld()
    const { scheduler } = world.system.environment
    let told = 0
    const loop = world.system.spawn(
      'loop',
      receive<string>((message, context) => {
        told++
        context.self.tell(message)
      }),
    )
    loop.tell('again')
    const asking = world.system.spawn(
      'asked',
      receive<ReplyTo<number>>(reply => reply.tell(1)),
    )
    let isAsking = true
    const askInALoop = async (): Promise<void> => {
      while (isAsking) await asking.ask<number>(reply => reply, 1_000)
    }
    const asks = askInALoop().catch(() => {})
    let hasFired = false
    scheduler.turn(() => {
      hasFired = true
    })
    await world.until(() => hasFired && told > 20_000)
    isAsking = false
    await world.settled(world.system.stop())
    await world.settled(asks)
  })

  it('drains once per turn when asked to', async () => {
    const world = makeWorld()
    const batches: number[] = []
    const order: string[] = []
    const perTurn = world.system.spawn(
      'turn',
      receiveBatch<number>(batch => {
        batches.push(batch.length)
        order.push('turn')
      }),
      { dispatch: 'turn' },
    )
    const soon = world.system.spawn(
      'soon',
      receive<number>(() => order.push('soon')),
    )
    await world.pass(5)
    perTurn.tell(1)
    soon.tell(1)
    await Promise.resolve()
    await Promise.resolve()
    perTurn.tell(2)
    await world.until(() => batches.length === 1)
    expect(batches).toEqual([2])
    expect(order).toEqual(['soon', 'turn'])
    await world.settled(world.system.stop())
  })

  it('shows depth, age, rate and counts', async () => {
    const world = makeWorld()
    const ref = world.system.spawn(
      'seen',
      receive<string>(() => {}),
    )
    for (let i = 0; i < 10; i++) ref.tell('x')
    expect(world.system.inspect()[0]).toMatchObject({ path: 'test/seen', state: 'running', depth: 10, handledCount: 0 })
    await world.pass(20)
    const after = world.system.inspect()[0]!
    expect(after).toMatchObject({ depth: 0, ageMs: 0, handledCount: 10, restartCount: 0, childCount: 0 })
    expect(after.ratePerSecond).toBeGreaterThan(0)
    expect(after.ratePerSecond).toBeLessThanOrEqual(10_000)
    await world.settled(world.system.stop())
  })
})
