import { type Environment, MillraceError, type RemotingCommand } from '@millrace/core'
import { REQUEST_TIMEOUT_MS } from '../limits.js'
import { addressOf } from './address.js'
import {
  type ConnectionOptions,
  RemotingConnection,
  type Request,
  type ServerRequestHandler,
} from './remoting-connection.js'

export interface RequestOptions {
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** One connection per address, made when first needed and again after it was lost. */
export class ConnectionPool {
  readonly #environment: Environment
  readonly #serve: ServerRequestHandler
  readonly #options: ConnectionOptions
  readonly #connections = new Map<string, RemotingConnection>()
  readonly #opening = new Map<string, Promise<RemotingConnection>>()
  #onOpen: (address: string) => void = () => {}
  #isClosed = false

  constructor(environment: Environment, serve: ServerRequestHandler, options: ConnectionOptions = {}) {
    this.#options = options
    this.#environment = environment
    this.#serve = serve
  }

  /** Calls `listener` for every connection that is made, before it is handed to whoever asked for it. */
  onOpen(listener: (address: string) => void): void {
    this.#onOpen = listener
  }

  /** The connection to `host:port` if there is a usable one now. */
  live(address: string): RemotingConnection | undefined {
    const connection = this.#connections.get(address)
    return connection?.isUsable ? connection : undefined
  }

  /** The connection to `host:port`. Callers that ask while it is being made share it. @throws MillraceError CONNECT_FAILED | CLOSED */
  connect(address: string): Promise<RemotingConnection> {
    const live = this.live(address)
    if (live) return Promise.resolve(live)
    const opening = this.#opening.get(address)
    if (opening) return opening
    const promise = this.#open(address).finally(() => this.#opening.delete(address))
    this.#opening.set(address, promise)
    return promise
  }

  /**
   * Sends a request to `host:port` and resolves with its answer, whatever its code.
   * @throws MillraceError CONNECT_FAILED | TIMEOUT | CONNECTION_LOST | ABORTED | CLOSED
   */
  async request(address: string, request: Request, options: RequestOptions = {}): Promise<RemotingCommand> {
    const connection = await this.connect(address)
    return connection.request(request, { timeoutMs: options.timeoutMs ?? REQUEST_TIMEOUT_MS, signal: options.signal })
  }

  /** Sends what is queued and closes every connection; nothing connects again. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#connections.values()) connection.close()
    this.#connections.clear()
  }

  async #open(address: string): Promise<RemotingConnection> {
    this.#refuseWhenClosed()
    const connection = await RemotingConnection.open(this.#environment, addressOf(address), this.#serve, this.#options)
    if (this.#isClosed) {
      connection.close()
      this.#refuseWhenClosed()
    }
    this.#connections.set(address, connection)
    connection.onClose(() => {
      if (this.#connections.get(address) === connection) this.#connections.delete(address)
    })
    this.#onOpen(address)
    return connection
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new MillraceError('CLOSED', 'the client is closed; make a new one with Client.connect')
  }
}
