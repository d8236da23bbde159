/** Stream sockets. The node implementation is TCP; others are in-memory and simulated. */
export interface Net {
  /**
   * Listens on `host:port`; port 0 picks a free one.
   * With `tls` the first byte of a connection says whether it is TLS; implementations without sockets leave it aside.
   * @throws MillraceError ADDRESS_IN_USE | NETWORK
   */
  listen(
    address: NetAddress,
    onConnection: (connection: NetConnection) => void,
    options?: { readonly tls?: TlsServer | undefined },
  ): Promise<NetListener>
  /**
   * Connects to `host:port`, over TLS when `tls` is given.
   * @throws MillraceError CONNECT_FAILED, also when `timeoutMs` passes first.
   */
  connect(
    address: NetAddress,
    options?: { readonly timeoutMs?: number; readonly tls?: TlsClient | undefined },
  ): Promise<NetConnection>
}

/** How a listener takes TLS connections. */
export interface TlsServer {
  /** permissive: TLS or plain, as the client likes. enforcing: a plain connection is closed. */
  readonly mode: 'permissive' | 'enforcing'
  /**
   * Certificate for the connection that begins now: the same object as long as nothing has changed. Undefined: one that
   * the process makes for itself, which no client can check.
   */
  identity(): TlsServerIdentity | undefined
}

/** Certificates and keys are PEM. */
export interface TlsServerIdentity {
  readonly certificate: Buffer
  readonly key: Buffer
  readonly passphrase?: string | undefined
  /** Must a client show a certificate that one of `authorities` has signed? */
  readonly clientCertificate: 'none' | 'optional' | 'required'
  readonly authorities?: Buffer | undefined
}

export interface TlsClient {
  /** Is the server's certificate checked: signed by an authority, and for this host? */
  readonly isChecked: boolean
  /** PEM of the authorities that are believed; default: those the platform knows. */
  readonly authorities?: Buffer | string | undefined
  /** PEM of our own certificate and its key, for servers that ask. */
  readonly certificate?: Buffer | string | undefined
  readonly key?: Buffer | string | undefined
  readonly passphrase?: string | undefined
  /** Name that the server's certificate must be for; default: the host. */
  readonly serverName?: string | undefined
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
  /** Installs the receiver. Data that came earlier is delivered after this call; TLS begins with it. Call once. */
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
