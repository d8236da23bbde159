import { type ActorSystem, createActorSystem } from '../../src/index.js'
import { nodeEnvironment } from '../../src/node/index.js'
import { simulate } from '../../src/testkit/index.js'

/** A system with a way to let time pass, real or virtual. */
export interface World {
  readonly system: ActorSystem
  /** Waits until `fact` holds; fails after five seconds. */
  until(fact: () => boolean): Promise<void>
  /** Gives the outcome of `promise`, letting time pass. */
  settled<T>(promise: Promise<T>): Promise<T>
  pass(ms: number): Promise<void>
}

export const WORLDS: readonly (readonly [string, () => World])[] = [
  ['node', nodeWorld],
  ['simulated', () => simulatedWorld(1)],
]

export function simulatedWorld(seed: number): World {
  const simulation = simulate({ seed })
  return {
    system: createActorSystem('test', simulation),
    until: async fact => {
      for (let waited = 0; !fact() && waited < 5_000; waited++) await simulation.run(simulation.clock.now() + 1)
      if (!fact()) throw new Error('waited 5 s of virtual time in vain')
    },
    settled: promise => simulation.runUntilSettled(promise),
    pass: ms => simulation.run(simulation.clock.now() + ms),
  }
}

function nodeWorld(): World {
  const environment = nodeEnvironment()
  const pass = (ms: number): Promise<void> => new Promise(resolve => environment.scheduler.after(ms, resolve))
  return {
    system: createActorSystem('test', environment),
    until: async fact => {
      const deadlineMs = environment.clock.monotonic() + 5_000
      while (!fact()) {
        if (environment.clock.monotonic() > deadlineMs) throw new Error('waited 5 s in vain')
        await pass(1)
      }
    },
    settled: promise => promise,
    pass,
  }
}
