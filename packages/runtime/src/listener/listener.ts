import type { Environment, NetAddress, NetConnection, NetListener, TlsServer } from '@millrace/core'
import { type ConnectionEdges, type FrameServer, RemotingConnection } from './connection.js'

export interface ListenerLimits {
  readonly connectionsMax: number
  readonly frameBytesMax: number
  /** A connection that has sent nothing for this long is closed. Clients send heartbeats every 30 s. */
  readonly idleMs: number
}

const IDLE_CHECK_MS = 10_000

/**
 * Accepts remoting connections on any number of addresses; every port serves everything.
 * A connection over the limit is closed at once: those that are open are not disturbed.
 */
export class Listener {
  private readonly listeners: NetListener[] = []
  private readonly open = new Map<number, RemotingConnection>()
  private nextId = 1
  private isClosing = false

  constructor(
    private readonly environment: Environment,
    private readonly server: FrameServer,
    private readonly limits: ListenerLimits,
    private readonly tls?: TlsServer | undefined,
    private readonly edges?: ConnectionEdges | undefined,
  ) {
    this.scheduleIdleCheck()
  }

  get connectionCount(): number {
    return this.open.size
  }

  connections(): IterableIterator<RemotingConnection> {
    return this.open.values()
  }

  /** Listens on one more address; resolves with the one really bound. @throws MillraceError ADDRESS_IN_USE | NETWORK */
  async listen(address: NetAddress): Promise<NetAddress> {
    const listener = await this.environment.net.listen(address, net => this.accept(net), { tls: this.tls })
    this.listeners.push(listener)
    return listener.address
  }

  private accept(net: NetConnection): void {
    if (this.isClosing || this.open.size >= this.limits.connectionsMax) {
      net.destroy()
      return
    }
    const id = this.nextId++
    const connection = new RemotingConnection(
      id,
      net,
      this.environment,
      this.server,
      this.limits.frameBytesMax,
      this.edges,
    )
    this.open.set(id, connection)
    connection.onClose(() => this.open.delete(id))
    connection.start()
  }

  private scheduleIdleCheck(): void {
    this.environment.scheduler.after(
      IDLE_CHECK_MS,
      () => {
        if (this.isClosing) return
        const since = this.environment.clock.monotonic() - this.limits.idleMs
        for (const connection of this.open.values()) if (connection.lastActiveMs < since) connection.close()
        this.scheduleIdleCheck()
      },
      { unref: true },
    )
  }

  /** Stops accepting. */
  async stopAccepting(): Promise<void> {
    this.isClosing = true
    await Promise.all(this.listeners.map(listener => listener.close()))
  }

  /** Ends every connection. */
  closeAll(): void {
    for (const connection of this.open.values()) connection.close()
  }
}
