import { MillraceError } from '../errors.js'
import type { Net, NetAddress, NetConnection, NetListener } from '../ports/net.js'
import type { Scheduler } from '../ports/scheduler.js'
import { type Link, MemoryConnection } from './memory-connection.js'

const FIRST_FREE_PORT = 49_152
const PORT_MAX = 65_535
const WILDCARDS: readonly string[] = ['0.0.0.0', '::']

export interface MemoryNetOptions {
  /** One-way delay of every delivery, in milliseconds. Without it bytes arrive at the end of the event-loop turn. */
  readonly latencyMs?: number
}

type Accept = (connection: NetConnection) => void

/**
 * A network inside the process, without sockets: embedded mode and the simulator run on it. Each call makes a separate
 * network. Order per connection, backpressure, pausing and closing behave as TCP does; a listener on `0.0.0.0` or
 * `::` answers for every host name.
 */
export function memoryNet(scheduler: Scheduler, options: MemoryNetOptions = {}): Net {
  const listeners = new Map<string, Accept>()
  const { latencyMs = 0 } = options
  const soon: Link['soon'] = work => scheduler.turn(work)
  const travel: Link['travel'] = latencyMs > 0 ? work => void scheduler.after(latencyMs, work) : undefined
  const link: Link = { soon, travel }
  let nextPort = FIRST_FREE_PORT

  return { listen, connect }

  function listen(address: NetAddress, onConnection: Accept): Promise<NetListener> {
    const bound = { host: address.host, port: address.port === 0 ? freePort() : address.port }
    const key = keyOf(bound)
    if (listeners.has(key))
      return Promise.reject(
        new MillraceError(
          'ADDRESS_IN_USE',
          `${key} is already in use in this process; close that listener or choose another port (0 picks a free one)`,
        ),
      )
    listeners.set(key, onConnection)
    const close = (): Promise<void> => {
      if (listeners.get(key) === onConnection) listeners.delete(key)
      return Promise.resolve()
    }
    return Promise.resolve({ address: bound, close })
  }

  function connect(address: NetAddress): Promise<NetConnection> {
    return new Promise((resolve, reject) => {
      ;(travel ?? soon)(() => {
        const accept = listenerFor(address)
        if (!accept) {
          const message = `cannot connect to ${keyOf(address)}: nothing listens there in this process; start the server first`
          reject(new MillraceError('CONNECT_FAILED', message))
          return
        }
        const clientAddress = { host: '127.0.0.1', port: freePort() }
        const client = new MemoryConnection(clientAddress, address, link)
        const server = new MemoryConnection(address, clientAddress, link)
        MemoryConnection.join(client, server)
        resolve(client)
        accept(server)
      })
    })
  }

  function listenerFor(address: NetAddress): Accept | undefined {
    const exact = listeners.get(keyOf(address))
    if (exact) return exact
    for (const host of WILDCARDS) {
      const accept = listeners.get(keyOf({ host, port: address.port }))
      if (accept) return accept
    }
    return undefined
  }

  function freePort(): number {
    const port = nextPort
    nextPort = port === PORT_MAX ? FIRST_FREE_PORT : port + 1
    return listenerFor({ host: '127.0.0.1', port }) ? freePort() : port
  }
}

function keyOf(address: NetAddress): string {
  return `${address.host === 'localhost' ? '127.0.0.1' : address.host}:${address.port}`
}
