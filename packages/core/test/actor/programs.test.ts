import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ActorRef,
  type Behavior,
  createActorSystem,
  type DeadLetter,
  receive,
  receiveBatch,
  type SpawnOptions,
  setup,
} from '../../src/index.js'
import { simulate } from '../../src/testkit/index.js'

const ACTOR_COUNT = 4
const SENDER_COUNT = 3

interface Told {
  readonly sender: number
  /** Grows with each message told in the program. */
  readonly sequence: number
  /** The handler throws. */
  readonly isPoison: boolean
  /** Above 0, the handler first tells its own actor two messages: one like this with one level less, and a plain one. */
  readonly echoDepth: number
}

const SELF = SENDER_COUNT

type Step =
  | {
      readonly kind: 'tell'
      readonly sender: number
      readonly target: number
      readonly isPoison: boolean
      readonly echoDepth: number
    }
  | { readonly kind: 'burst'; readonly sender: number; readonly target: number; readonly count: number }
  | { readonly kind: 'stop'; readonly target: number }
  | { readonly kind: 'spawn'; readonly target: number }
  | { readonly kind: 'wait'; readonly ms: number }

const sender = fc.nat(SENDER_COUNT - 1)
const target = fc.nat(ACTOR_COUNT - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('tell' as const),
      sender,
      target,
      isPoison: fc.boolean(),
      echoDepth: fc.nat(2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      sender,
      target,
      count: fc.integer({ min: 1, max: 30 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), target }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('spawn' as const), target }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 40 }) }) },
)

const VARIANTS: readonly (readonly [string, SpawnOptions])[] = [
  ['restart', { supervision: { kind: 'restart', backoffMsMin: 1, backoffMsMax: 8, restartsMax: 1_000 } }],
  ['resume', { supervision: { kind: 'resume' } }],
  ['stop', { supervision: { kind: 'stop' } }],
  ['restart, per turn', { dispatch: 'turn', supervision: { kind: 'restart', backoffMsMin: 1, restartsMax: 1_000 } }],
]

describe('random programs', () => {
  it.each(VARIANTS)(
    'neither lose nor duplicate a message, and keep the order of each sender (%s)',
    async (_n, options) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(), async (steps, seed) => {
          const run = await play(steps, seed, options)
          // Each message that was told is handled or a dead letter, and only once.
          expect([...run.handled, ...run.dead].sort()).toEqual(run.told.sort())
          for (const [stream, sequences] of run.orders)
            expect([stream, sequences]).toEqual([stream, ascending(sequences)])
          // The same seed plays the same run.
          expect((await play(steps, seed, options)).traceHash).toBe(run.traceHash)
        }),
        { numRuns: 60 },
      )
    },
  )

  it('neither lose, duplicate nor reorder messages of virtual actors around passivation', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(), async (steps, seed) => {
        const told: string[] = []
        const handled: string[] = []
        const orders = new Map<string, number[]>()
        const simulation = simulate({ seed })
        const system = createActorSystem('test', simulation)
        const family = system.virtual<Told>(
          'kind',
          key =>
            setup(context => {
              if (key !== '0') context.onStop(() => new Promise(resolve => simulation.scheduler.after(5, resolve)))
              return receive(message => note(key, message, handled, orders))
            }),
          { idleMs: 10 },
        )
        const senders = Array.from({ length: SENDER_COUNT }, () => new Map<string, ActorRef<Told>>())
        for (const action of steps) {
          if (action.kind === 'wait') await simulation.run(simulation.clock.now() + action.ms)
          if (action.kind !== 'tell' && action.kind !== 'burst') continue
          const key = String(action.target)
          const refs = senders[action.sender]!
          // Some senders keep an address across passivations, others ask for it each time.
          const ref = (action.sender === 0 ? refs.get(key) : undefined) ?? family.get(key)
          refs.set(key, ref)
          for (let i = 0; i < (action.kind === 'burst' ? action.count : 1); i++)
            ref.tell(next(key, { sender: action.sender }, told))
        }
        await simulation.run(simulation.clock.now() + 1_000)
        expect(handled.sort()).toEqual(told.sort())
        for (const [stream, sequences] of orders) expect([stream, sequences]).toEqual([stream, ascending(sequences)])
        expect(family.activeCount).toBe(0)
        await simulation.runUntilSettled(system.stop())
      }),
      { numRuns: 100 },
    )
  })
})

async function play(steps: readonly Step[], seed: number, options: SpawnOptions) {
  const told: string[] = []
  const handled: string[] = []
  const dead: string[] = []
  const orders = new Map<string, number[]>()
  const simulation = simulate({ seed })
  const system = createActorSystem('test', simulation)
  system.deadLetters.subscribe(({ recipient, message }: DeadLetter) => {
    const name = recipient.slice(recipient.indexOf('/') + 1)
    if (message !== 'stop') dead.push(identity(name, message as Told))
  })
  const refs = new Map<string, ActorRef<Told | 'stop'>>()
  const generations = new Array<number>(ACTOR_COUNT).fill(0)
  const spawn = (index: number): void => {
    const name = `${index}-${generations[index]!++}`
    // A batch that fails is lost as a whole, so only actors that take messages one by one can be poisoned.
    const behavior: Behavior<Told | 'stop'> =
      index % 2 === 0
        ? receive((message, context) => {
            if (message === 'stop') context.stop()
            else {
              note(name, message, handled, orders)
              if (message.echoDepth > 0) {
                context.self.tell(next(name, { ...message, sender: SELF, echoDepth: message.echoDepth - 1 }, told))
                context.self.tell(next(name, { sender: SELF }, told))
              }
              if (message.isPoison) throw new Error('poison')
            }
          })
        : receiveBatch((batch, context) => {
            for (const message of batch) {
              if (message === 'stop') context.stop()
              else note(name, message, handled, orders)
            }
          })
    refs.set(String(index), system.spawn(name, behavior, options))
  }
  for (let index = 0; index < ACTOR_COUNT; index++) spawn(index)
  for (const action of steps) {
    if (action.kind === 'wait') await simulation.run(simulation.clock.now() + action.ms)
    else if (action.kind === 'spawn') spawn(action.target)
    else {
      const ref = refs.get(String(action.target))!
      const name = ref.path.slice(ref.path.indexOf('/') + 1)
      if (action.kind === 'stop') ref.tell('stop')
      else if (action.kind === 'tell') ref.tell(next(name, action, told))
      else for (let i = 0; i < action.count; i++) ref.tell(next(name, { sender: action.sender }, told))
    }
  }
  await simulation.run(simulation.clock.now() + 60_000)
  await simulation.runUntilSettled(system.stop())
  for (const one of handled) simulation.note(one)
  return { told, handled, dead, orders, traceHash: simulation.traceHash }
}

/** The next message of a sender to an actor; noted in `told`. */
function next(name: string, from: Partial<Told> & { readonly sender: number }, told: string[]): Told {
  const { sender, isPoison = false, echoDepth = 0 } = from
  const message: Told = { sender, sequence: told.length, isPoison, echoDepth }
  told.push(identity(name, message))
  return message
}

function note(name: string, message: Told, handled: string[], orders: Map<string, number[]>): void {
  handled.push(identity(name, message))
  const stream = `${message.sender} to ${name}`
  const sequences = orders.get(stream)
  if (sequences) sequences.push(message.sequence)
  else orders.set(stream, [message.sequence])
}

function identity(name: string, message: Told): string {
  return `${name}:${message.sender}:${message.sequence}`
}

function ascending(sequences: readonly number[]): number[] {
  return [...sequences].sort((one, other) => one - other)
}
