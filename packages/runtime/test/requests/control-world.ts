import { type ActorSystem, createActorSystem } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { type KeyValue, MetadataStore, memoryKeyValue } from '@millrace/storage'
import { BrokerCounters } from '../../src/broker/counters.js'
import { type BrokerConfig, brokerConfig, type NameserverConfig, nameserverConfig } from '../../src/config/index.js'
import { type ControlPlane, createControlPlane } from '../../src/control-plane.js'
import type { Reply } from '../../src/listener/peer.js'
import { command, FakePeer, type RequestOptions } from './fake-peer.js'
import { MemoryMessageStore } from './memory-message-store.js'

export interface WorldOptions {
  readonly broker?: Partial<BrokerConfig> | undefined
  readonly nameserver?: Partial<NameserverConfig> | undefined
  readonly roles?: readonly ('broker' | 'nameserver')[]
  readonly simulation?: Simulation
  /** To start on what another world left behind. */
  readonly keyValue?: KeyValue
  readonly store?: MemoryMessageStore
}

/** Nameserver and broker control in a simulated process. */
export interface World {
  readonly simulation: Simulation
  readonly system: ActorSystem
  readonly plane: ControlPlane
  readonly store: MemoryMessageStore
  readonly keyValue: KeyValue
  readonly config: BrokerConfig
  readonly counters: BrokerCounters
  readonly peer: FakePeer
  /** Sends a request and runs the world until it is answered. */
  ask(code: number, fields?: Readonly<Record<string, string>>, options?: AskOptions): Promise<Reply>
  /** JSON body of the answer to a request that succeeds. */
  read(code: number, fields?: Readonly<Record<string, string>>, options?: AskOptions): Promise<unknown>
  pass(durationMs: number): Promise<void>
  stop(): Promise<void>
}

export interface AskOptions extends RequestOptions {
  readonly peer?: FakePeer
}

export const BROKER_PORT = 10911

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { roles = ['broker', 'nameserver'], simulation = simulate({ seed: 1 }), keyValue = memoryKeyValue() } = options
  const { store = new MemoryMessageStore(simulation.clock) } = options
  const system = createActorSystem('test', simulation)
  const metadata = await MetadataStore.over(keyValue, {
    clock: simulation.clock,
    scheduler: simulation.scheduler,
    name: 'test',
  })
  const config = { ...brokerConfig(options.broker) }
  const counters = new BrokerCounters(simulation.clock.monotonic())
  const plane = createControlPlane({
    system,
    metadata,
    nameserver: roles.includes('nameserver') ? { config: nameserverConfig(options.nameserver) } : undefined,
    broker: roles.includes('broker') ? { config, store, timerIndex: keyValue, counters } : undefined,
  })
  const peer = new FakePeer()
  await simulation.runUntilSettled(plane.start(BROKER_PORT))

  async function ask(
    code: number,
    fields: Readonly<Record<string, string>> = {},
    { peer: from = peer, ...request }: AskOptions = {},
  ): Promise<Reply> {
    const handler = plane.handlers.get(code)
    if (!handler) throw new Error(`request ${code} is not served`)
    return simulation.runUntilSettled(from.ask(handler, command(code, fields, request)))
  }

  return {
    simulation,
    system,
    plane,
    store,
    keyValue,
    config,
    counters,
    peer,
    ask,
    async read(code, fields, asked) {
      const reply = await ask(code, fields, asked)
      if (reply.code !== 0) throw new Error(`request ${code} was answered ${reply.code}: ${reply.remark}`)
      return JSON.parse(Buffer.from(reply.body ?? '').toString())
    },
    pass: durationMs => simulation.run(simulation.clock.now() + durationMs),
    async stop() {
      await simulation.runUntilSettled(plane.stop())
      await simulation.runUntilSettled(system.stop())
      await metadata.close()
    },
  }
}
