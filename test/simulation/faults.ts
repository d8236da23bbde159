import type { Cluster, Node } from './cluster.js'
import { pause } from './workload.js'

/** What happened to the cluster, for the timeline. */
export type Note = (what: string) => void

const DISK_ERRORS = ['EIO', 'ENOSPC'] as const

/** Breaks something now and then, by the seed, until told to stop; then heals everything. */
export class Faults {
  #isOver = false
  readonly #healings = new Set<Promise<void>>()

  constructor(
    private readonly cluster: Cluster,
    private readonly flush: 'sync' | 'async',
    private readonly note: Note,
  ) {}

  async run(): Promise<void> {
    const { random } = this.cluster.simulation
    while (!this.#isOver) {
      await pause(this.cluster.simulation, 100 + random.int(2_000))
      if (this.#isOver) return
      this.#break()
    }
  }

  /** No more faults: all machines are up and talk to each other, and disks work. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#healings)
    const { cluster } = this
    cluster.network.heal()
    for (const broker of cluster.brokers) {
      broker.machine.disk.heal()
      // A store that has failed stays read-only until a restart.
      broker.crash('process')
      await this.#restart(broker)
    }
    if (!cluster.nameserver.isUp) await this.#restart(cluster.nameserver)
  }

  #break(): void {
    const { cluster, note } = this
    const { random } = cluster.simulation
    const broker = cluster.brokers[random.int(cluster.brokers.length)]!
    switch (random.int(6)) {
      case 0:
      case 1: {
        const kind = this.flush === 'sync' && random.int(2) === 0 ? 'power' : 'process'
        if (!broker.isUp) return
        note(`${broker.name} crashes (${kind})`)
        broker.crash(kind)
        this.#later(2_000, () => this.#restart(broker))
        break
      }
      case 2: {
        if (!cluster.nameserver.isUp) return
        note('the nameserver crashes')
        cluster.nameserver.crash('process')
        this.#later(2_000, () => this.#restart(cluster.nameserver))
        break
      }
      case 3: {
        const both = random.int(2) === 0
        const [from, to] =
          random.int(2) === 0 ? [broker.name, cluster.clients.name] : [cluster.clients.name, broker.name]
        note(`partition ${from} ${both ? '↔' : '→'} ${to}`)
        cluster.network.cut(from, to, both)
        this.#later(5_000, async () => cluster.network.heal())
        break
      }
      case 4: {
        const code = DISK_ERRORS[random.int(DISK_ERRORS.length)]!
        const call = random.int(3) === 0 ? 'syncData' : 'write'
        note(`${broker.name}: a ${call} will fail with ${code}`)
        broker.machine.disk.failNth(call, 1 + random.int(20), code)
        this.#later(4_000, async () => {
          broker.machine.disk.heal()
          broker.crash('process')
          await this.#restart(broker)
        })
        break
      }
      default:
        cluster.network.jitterMs = random.int(4) === 0 ? 200 : 1
        note(`network jitter is ${cluster.network.jitterMs} ms`)
    }
  }

  #later(longestMs: number, heal: () => Promise<void>): void {
    const { simulation } = this.cluster
    const healing = pause(simulation, simulation.random.int(longestMs)).then(heal)
    this.#healings.add(healing)
    healing.then(
      () => this.#healings.delete(healing),
      () => this.#healings.delete(healing),
    )
  }

  /** Starts a node again; a start that fails (the disk does) is tried again. */
  async #restart(node: Node): Promise<void> {
    for (let attempt = 0; !node.isUp; attempt++) {
      try {
        await node.start()
        this.note(`${node.name} is up`)
      } catch (error) {
        this.note(`${node.name} does not start: ${(error as Error).message}`)
        node.crash('process')
        node.machine.disk.heal()
        if (attempt === 3) throw error
        await pause(this.cluster.simulation, 200)
      }
    }
  }
}
