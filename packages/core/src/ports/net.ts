/** Stream sockets. The node implementation is TCP; others are in-memory and simulated. */
export interface Net {
  /**
   * Listens on `host:port`; port 0 picks a free one.
   * @throws MillraceError ADDRESS_IN_USE | NETWORK
   */
  listen(address: NetAddress, onConnection: (connection: NetConnection) => void): Promise<NetListener>
  /**
   * Connects to `host:port`.
   * @throws MillraceError CONNECT_FAILED, also when `timeoutMs` passes first.
   */
  connect(address: NetAddress, options?: { readonly timeoutMs?: number }): Promise<NetConnection>
}

export interface NetAddress {
  readonly host: string
  readonly port: number
}

export interface NetListener {
  /** The address really bound. */
  readonly address: NetAddress
  /** Stops accepting; connections that are open stay open. */
  close(): Promise<void>
}

export interface NetEvents {
  /** Bytes that arrived. The chunk is the receiver's only until the callback returns: copy what is kept. */
  data(chunk: Buffer): void
  /** What was written has left the process's buffers (after a `write` that returned false). */
  drain(): void
  /** The connection ended, for whatever reason. Called exactly once; nothing follows. */
  close(error?: Error): void
}

export interface NetConnection {
  readonly local: NetAddress
  readonly remote: NetAddress
  /** Bytes written and not yet handed to the operating system. */
  readonly bufferedBytes: number
  /** Installs the receiver. Data that came earlier is delivered after this call. Call once. */
  start(events: NetEvents): void
  /**
   * Queues bytes. The buffer belongs to the connection until it has been sent: `onSent` is called then
   * (also when the connection is lost). Returns false when the peer is slow: stop until `drain`.
   */
  write(bytes: Uint8Array, onSent?: () => void): boolean
  /** Stops `data` events, so that TCP pushes back on the peer. */
  pause(): void
  resume(): void
  /** Sends what is queued, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}
