import { type CrashKind, SimulatedMachine, SimulatedNetwork, type Simulation, simulate } from '@millrace/core/testkit'
import { type Service, startService } from '@millrace/runtime'
import { loadConfig } from '@millrace/runtime/config'
import { SimulatedStorage } from '@millrace/storage/testkit'

const NAMESERVER_HOST = '10.0.0.1'
const NAMESERVER_PORT = 9876
const BROKER_PORT = 10911
const DATA = '/data'

export interface ClusterOptions {
  readonly seed: number
  readonly brokers: number
  readonly flush: 'sync' | 'async'
}

/** A machine of the cluster, and what runs on it. */
export class Node {
  readonly storage = new SimulatedStorage()
  #service: Service | undefined
  #starting: Promise<void> | undefined

  constructor(
    readonly machine: SimulatedMachine,
    private readonly settings: Readonly<Record<string, string | number>>,
    private readonly roles: readonly ('nameserver' | 'broker')[],
  ) {}

  get name(): string {
    return this.machine.name
  }

  /** A process is up, or on its way. */
  get isUp(): boolean {
    return this.machine.isUp
  }

  /** Starts the service; resolves when it can be used. @throws MillraceError as `startService` */
  start(): Promise<void> {
    this.#starting = this.#start()
    this.#starting.catch(() => undefined)
    return this.#starting
  }

  async #start(): Promise<void> {
    const process = this.machine.boot()
    const flags = Object.entries(this.settings).map(([key, value]) => ({ key, value, origin: 'simulation' }))
    const config = { ...loadConfig({ flags }), roles: this.roles }
    this.#service = await startService(config, process, {}, this.storage.engine(process))
  }

  crash(kind: CrashKind): void {
    this.#service = undefined
    this.machine.crash(kind)
  }

  async stop(): Promise<void> {
    await this.#service?.stop()
    this.crash('process')
  }
}

/** A nameserver, brokers and one machine for clients, in one process and virtual time: the production code of each. */
export class Cluster {
  readonly simulation: Simulation
  readonly network: SimulatedNetwork
  readonly nameserver: Node
  readonly brokers: readonly Node[]
  readonly clients: SimulatedMachine

  constructor({ brokers, flush, seed }: ClusterOptions) {
    this.simulation = simulate({ seed })
    const { random, scheduler } = this.simulation
    this.network = new SimulatedNetwork(scheduler, random, { latencyMs: 0.2, jitterMs: 1 })
    const machine = (name: string): SimulatedMachine => new SimulatedMachine(name, this.simulation, this.network)
    const common = {
      insecure: 'true',
      bindAddress: '0.0.0.0',
      flushDiskType: flush === 'sync' ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
    }
    this.nameserver = new Node(
      machine(NAMESERVER_HOST),
      { ...common, 'nameserver.listenPort': NAMESERVER_PORT, storePathRootDir: DATA },
      ['nameserver'],
    )
    this.brokers = Array.from({ length: brokers }, (_, i) => {
      const host = `10.0.1.${i + 1}`
      const settings = {
        ...common,
        brokerName: `broker-${i}`,
        brokerIP1: host,
        namesrvAddr: this.nameserverAddress,
        'broker.listenPort': BROKER_PORT,
        storePathRootDir: DATA,
        mapedFileSizeCommitLog: 2 * 1024 * 1024,
        maxMessageSize: 64 * 1024,
        ringBytes: 1024 * 1024,
      }
      return new Node(machine(host), settings, ['broker'])
    })
    this.clients = machine('10.0.2.1')
  }

  get nameserverAddress(): string {
    return `${NAMESERVER_HOST}:${NAMESERVER_PORT}`
  }

  async start(): Promise<void> {
    await this.nameserver.start()
    await Promise.all(this.brokers.map(broker => broker.start()))
  }
}
