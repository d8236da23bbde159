import {
  CommandFlag,
  type Credentials,
  decodeFrame,
  type Environment,
  encodeRequest,
  FrameReader,
  MillraceError,
  type NetAddress,
  type NetConnection,
  type RemotingCommand,
  signedFields,
  type TlsClient,
} from '@millrace/core'

export interface WireRequest {
  readonly code: number
  readonly extFields: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
}

export interface WireOptions {
  readonly timeoutMs: number
  /** Signs every request. */
  readonly credentials?: Credentials | undefined
  readonly tls?: TlsClient | undefined
  readonly onLost: () => void
}

interface Waiting {
  readonly resolve: (answer: RemotingCommand) => void
  readonly reject: (error: MillraceError) => void
}

/** A connection to a nameserver, for the few requests a broker makes. Open until it is closed or lost. */
export class WireConnection {
  readonly local: NetAddress
  readonly #net: NetConnection
  readonly #environment: Environment
  readonly #reader = new FrameReader()
  readonly #waiting = new Map<number, Waiting>()
  readonly #name: string
  readonly #credentials: Credentials | undefined
  #lastOpaque = 0
  #isOpen = true

  private constructor(
    environment: Environment,
    net: NetConnection,
    name: string,
    { credentials, onLost }: Pick<WireOptions, 'credentials' | 'onLost'>,
  ) {
    this.#credentials = credentials
    this.#environment = environment
    this.#net = net
    this.#name = name
    this.local = net.local
    net.start({
      data: chunk => this.#receive(chunk),
      drain: () => undefined,
      close: () => {
        this.#isOpen = false
        for (const { reject } of this.#waiting.values()) reject(this.#lost())
        this.#waiting.clear()
        onLost()
      },
    })
  }

  /** `onLost` is called once, when the connection has ended for whatever reason. @throws MillraceError CONNECT_FAILED */
  static async open(environment: Environment, address: NetAddress, options: WireOptions): Promise<WireConnection> {
    const net = await environment.net.connect(address, { timeoutMs: options.timeoutMs, tls: options.tls })
    return new WireConnection(environment, net, `${address.host}:${address.port}`, options)
  }

  /** Resolves with the answer, whatever its code. @throws MillraceError TIMEOUT | CONNECTION_LOST */
  call(request: WireRequest, timeoutMs: number): Promise<RemotingCommand> {
    if (!this.#isOpen) return Promise.reject(this.#lost())
    this.#lastOpaque += 1
    const opaque = this.#lastOpaque
    return new Promise((resolve, reject) => {
      const cancel = this.#environment.scheduler.after(timeoutMs, () => {
        this.#waiting.delete(opaque)
        reject(
          new MillraceError(
            'TIMEOUT',
            `nameserver ${this.#name} did not answer request ${request.code} in ${timeoutMs} ms`,
          ),
        )
      })
      this.#waiting.set(opaque, {
        resolve: answer => {
          cancel()
          resolve(answer)
        },
        reject: error => {
          cancel()
          reject(error)
        },
      })
      const extFields = this.#credentials
        ? signedFields(this.#credentials, request.extFields, request.body)
        : request.extFields
      this.#net.write(encodeRequest({ ...request, extFields, opaque }))
    })
  }

  /** Sends what is queued, then closes. */
  end(): void {
    this.#net.end()
  }

  /** Closes at once. */
  destroy(): void {
    this.#net.destroy()
  }

  #receive(chunk: Buffer): void {
    const reader = this.#reader
    reader.feed(chunk)
    while (reader.next()) {
      const result = decodeFrame(reader.buffer, reader.start, reader.end)
      // Requests of the nameserver (minimum broker id and the like) are of no use to a master.
      if (result.ok && (result.command.flag & CommandFlag.RESPONSE) !== 0) this.#settle(result.command)
    }
    if (reader.failure) this.#net.destroy()
  }

  #settle(answer: RemotingCommand): void {
    const waiting = this.#waiting.get(answer.opaque)
    this.#waiting.delete(answer.opaque)
    waiting?.resolve(answer)
  }

  #lost(): MillraceError {
    return new MillraceError('CONNECTION_LOST', `connection to nameserver ${this.#name} was lost; it is tried again`)
  }
}
