import { MillraceError } from '../errors.js'
import { type Link, MemoryConnection } from '../net/memory-connection.js'
import type { Net, NetAddress, NetConnection, NetListener } from '../ports/net.js'
import type { Random } from '../ports/random.js'
import type { Scheduler } from '../ports/scheduler.js'

const FIRST_FREE_PORT = 49_152

export interface SimulatedNetworkOptions {
  /** One-way delay: at least this, milliseconds. Default 0.1. */
  readonly latencyMs?: number
  /** Added to it, uniformly from 0 to this. Default 0. */
  readonly jitterMs?: number
}

type Accept = (connection: NetConnection) => void

/** A host on the network, as long as its process lives. */
export interface SimulatedHost {
  readonly net: Net
  /** The process is gone: listeners close, and what others have open to it breaks. */
  kill(): void
}

/**
 * A network between hosts of one simulation. A connection keeps the order of its bytes, as TCP does; between
 * connections there is none. A partition holds bytes back until it heals; who waits sees nothing but silence.
 */
export class SimulatedNetwork {
  readonly #listeners = new Map<string, Accept>()
  /** Connections by the host that holds an end of them. */
  readonly #owned = new Map<string, Set<MemoryConnection>>()
  /** `from>to` of directions that are cut. */
  readonly #cut = new Set<string>()
  #held: { readonly from: string; readonly to: string; readonly work: () => void }[] = []
  #nextPort = FIRST_FREE_PORT
  latencyMs: number
  jitterMs: number

  constructor(
    private readonly scheduler: Scheduler,
    private readonly random: Random,
    options: SimulatedNetworkOptions = {},
  ) {
    this.latencyMs = options.latencyMs ?? 0.1
    this.jitterMs = options.jitterMs ?? 0
  }

  /** Cuts what `from` sends to `to`; with `both` the other direction too. */
  cut(from: string, to: string, both: boolean): void {
    this.#cut.add(`${from}>${to}`)
    if (both) this.#cut.add(`${to}>${from}`)
  }

  /** Heals every partition: what was held back arrives now. */
  heal(): void {
    this.#cut.clear()
    const held = this.#held
    this.#held = []
    for (const { from, to, work } of held) this.#travel(from, to, work)
  }

  /** A process on `host` begins; its sockets end with `kill`. */
  host(name: string): SimulatedHost {
    const listening = new Set<string>()
    const connections = new Set<MemoryConnection>()
    let isAlive = true
    const listen = async (address: NetAddress, onConnection: Accept): Promise<NetListener> => {
      const bound = { host: name, port: address.port === 0 ? this.#nextPort++ : address.port }
      const key = keyOf(bound)
      if (this.#listeners.has(key))
        throw new MillraceError(
          'ADDRESS_IN_USE',
          `${key} is already in use on this simulated host; choose another port`,
        )
      const accept: Accept = connection => {
        if (isAlive) onConnection(connection)
      }
      this.#listeners.set(key, accept)
      listening.add(key)
      const close = async (): Promise<void> => {
        this.#listeners.delete(key)
        listening.delete(key)
      }
      return { address: bound, close }
    }
    const connect = (address: NetAddress): Promise<NetConnection> =>
      new Promise((resolve, reject) => {
        this.#travel(name, address.host, () => {
          const accept = this.#listeners.get(keyOf(address))
          if (!accept) {
            reject(new MillraceError('CONNECT_FAILED', `cannot connect to ${keyOf(address)}: nothing listens there`))
            return
          }
          const local = { host: name, port: this.#nextPort++ }
          const client = new MemoryConnection(local, address, this.#link(name, address.host))
          const server = new MemoryConnection(address, local, this.#link(address.host, name))
          MemoryConnection.join(client, server)
          connections.add(client)
          this.#owned.get(address.host)?.add(server)
          if (isAlive) resolve(client)
          else client.destroy()
          accept(server)
        })
      })
    this.#owned.set(name, connections)
    return {
      net: { listen, connect },
      kill: () => {
        isAlive = false
        for (const key of listening) this.#listeners.delete(key)
        for (const connection of connections) connection.destroy()
      },
    }
  }

  /** What is behind has its turn when what is before has arrived: a connection counts arrivals, it does not tell them apart. */
  #link(from: string, to: string): Link {
    return { soon: work => this.scheduler.turn(work), travel: work => this.#travel(from, to, work) }
  }

  #delayMs(): number {
    return this.latencyMs + (this.jitterMs > 0 ? this.random.next() * this.jitterMs : 0)
  }

  #travel(from: string, to: string, work: () => void): void {
    if (this.#cut.has(`${from}>${to}`)) {
      this.#held.push({ from, to, work })
      return
    }
    this.scheduler.after(this.#delayMs(), work)
  }
}

function keyOf(address: NetAddress): string {
  return `${address.host}:${address.port}`
}
