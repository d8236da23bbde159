import { type Environment, MillraceError, type NetAddress, type RemotingCommand } from '@millrace/core'
import type { ConnectionPool, RequestOptions } from '../connection/connection-pool.js'
import type { Request } from '../connection/remoting-connection.js'

/** The name servers of a cluster: all hold the same, so that any of them can be asked. */
export class Nameservers {
  readonly addresses: readonly string[]
  readonly #pool: ConnectionPool
  #current: number

  constructor(environment: Environment, pool: ConnectionPool, addresses: readonly string[]) {
    this.addresses = addresses
    this.#pool = pool
    this.#current = environment.random.int(addresses.length)
  }

  /** Connects to one of them and returns our own address as seen from there. @throws MillraceError CONNECT_FAILED */
  connect(): Promise<NetAddress> {
    return this.#tryEach(async address => (await this.#pool.connect(address)).local)
  }

  /**
   * Asks the name server that answered last, then the others.
   * @throws MillraceError CONNECT_FAILED | CONNECTION_LOST | TIMEOUT when none answers; ABORTED | CLOSED
   */
  request(request: Request, options: RequestOptions = {}): Promise<RemotingCommand> {
    return this.#tryEach(address => this.#pool.request(address, request, options))
  }

  /** Asks every name server. @throws as the pool, for the first that does not answer */
  requestAll(request: Request): Promise<RemotingCommand[]> {
    return Promise.all(this.addresses.map(address => this.#pool.request(address, request)))
  }

  async #tryEach<R>(call: (address: string) => Promise<R>): Promise<R> {
    let failure: unknown
    for (let attempt = 0; attempt < this.addresses.length; attempt++) {
      const address = this.addresses[this.#current]
      try {
        return await call(address)
      } catch (error) {
        if (error instanceof MillraceError && (error.code === 'ABORTED' || error.code === 'CLOSED')) throw error
        failure = error
        this.#current = (this.#current + 1) % this.addresses.length
      }
    }
    throw new MillraceError(
      failure instanceof MillraceError ? failure.code : 'CONNECT_FAILED',
      `no name server of ${this.addresses.join(';')} answered; check that one runs there: ${String(failure)}`,
      { cause: failure },
    )
  }
}
