import {
  type Cancel,
  CommandFlag,
  type Credentials,
  decodeFrame,
  type Environment,
  encodeRequest,
  encodeResponse,
  FrameReader,
  MillraceError,
  type NetAddress,
  type NetConnection,
  type RemotingCommand,
  ResponseCode,
  signedFields,
  type TlsClient,
} from '@millrace/core'
import { abortError } from '../errors.js'
import { CONNECT_TIMEOUT_MS, CONNECTION_BUFFERED_BYTES_MAX } from '../limits.js'

/** A request of ours. */
export interface Request {
  readonly code: number
  readonly fields?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** What happens with the answer; exactly one of the two is called, once. Neither may throw. */
export interface Call {
  /** The body is a view that is valid until this returns: copy what is kept. */
  onAnswer(answer: RemotingCommand): void
  /** MillraceError TIMEOUT | CONNECTION_LOST | CLOSED; the request may have been carried out. */
  onFailure(error: MillraceError): void
}

export interface RequestAnswer {
  readonly code: number
  readonly remark?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** Serves requests that the server starts. Undefined: it is one-way, or we do not serve it (answered with code 3). */
export type ServerRequestHandler = (
  request: RemotingCommand,
  connection: RemotingConnection,
) => RequestAnswer | undefined | Promise<RequestAnswer | undefined>

/** How connections are made. */
export interface ConnectionOptions {
  /** Signs every request. */
  readonly credentials?: Credentials | undefined
  /** Connects by TLS. */
  readonly tls?: TlsClient | undefined
}

interface Pending {
  readonly code: number
  readonly deadline: number
  readonly timeoutMs: number
  readonly call: Call
}

/**
 * One TCP connection to a name server or broker: many requests in flight, matched by opaque; the frames of one
 * event-loop turn leave in one write.
 *
 * States: open → closed. Nothing is sent and nothing is pending once closed.
 */
export class RemotingConnection {
  readonly address: NetAddress
  readonly #environment: Environment
  readonly #net: NetConnection
  readonly #serve: ServerRequestHandler
  readonly #credentials: Credentials | undefined
  readonly #reader = new FrameReader()
  readonly #pending = new Map<number, Pending>()
  readonly #closeListeners: (() => void)[] = []
  #drainWaiters: (() => void)[] = []
  #outgoing: Buffer[] = []
  #outgoingBytes = 0
  #isFlushDue = false
  #isBlocked = false
  #isOpen = true
  #isLeaving = false
  #opaque = 0
  #sweepAt = Number.POSITIVE_INFINITY
  #cancelSweep: Cancel | undefined

  private constructor(
    environment: Environment,
    net: NetConnection,
    address: NetAddress,
    serve: ServerRequestHandler,
    credentials: Credentials | undefined,
  ) {
    this.#credentials = credentials
    this.#environment = environment
    this.#net = net
    this.#serve = serve
    this.address = address
    net.start({
      data: chunk => this.#receive(chunk),
      drain: () => this.#drained(),
      close: error => this.#closed(error),
    })
  }

  /** @throws MillraceError CONNECT_FAILED */
  static async open(
    environment: Environment,
    address: NetAddress,
    serve: ServerRequestHandler,
    { credentials, tls }: ConnectionOptions = {},
  ): Promise<RemotingConnection> {
    const net = await environment.net.connect(address, { timeoutMs: CONNECT_TIMEOUT_MS, tls })
    return new RemotingConnection(environment, net, address, serve, credentials)
  }

  /** False once closed, and once the server said that it goes away: requests in flight may still be answered then. */
  get isUsable(): boolean {
    return this.#isOpen && !this.#isLeaving
  }

  /** Our end of the connection. */
  get local(): NetAddress {
    return this.#net.local
  }

  /** True when the peer is so slow that one-way sends should wait for `drained`. */
  get isCongested(): boolean {
    return this.#outgoingBytes + this.#net.bufferedBytes > CONNECTION_BUFFERED_BYTES_MAX
  }

  /** Sends a request; `call` hears of the answer. @throws MillraceError INVALID_ARGUMENT for a frame over the limit. */
  call(request: Request, timeoutMs: number, call: Call): void {
    if (!this.#isOpen) {
      call.onFailure(this.#lostError())
      return
    }
    const opaque = this.#nextOpaque()
    this.#enqueue(encodeRequest({ code: request.code, opaque, extFields: this.#signed(request), body: request.body }))
    const deadline = this.#environment.clock.monotonic() + timeoutMs
    this.#pending.set(opaque, { code: request.code, deadline, timeoutMs, call })
    if (deadline < this.#sweepAt) this.#scheduleSweep(deadline)
  }

  /**
   * Sends a request and resolves with whatever the server answered; its body is a copy.
   * @throws MillraceError TIMEOUT | CONNECTION_LOST | ABORTED
   */
  request(
    request: Request,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<RemotingCommand> {
    const { signal, timeoutMs } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortError(signal, `request ${request.code} to ${this.#where()}`))
      const onAbort = (): void =>
        reject(abortError(signal as AbortSignal, `request ${request.code} to ${this.#where()}`))
      signal?.addEventListener('abort', onAbort, { once: true })
      this.call(request, timeoutMs, {
        onAnswer: answer => {
          signal?.removeEventListener('abort', onAbort)
          resolve(answer.body ? { ...answer, body: Buffer.from(answer.body) } : answer)
        },
        onFailure: error => {
          signal?.removeEventListener('abort', onAbort)
          reject(error)
        },
      })
    })
  }

  /** Sends a request that is not answered. Does nothing on a closed connection. */
  notify(request: Request): void {
    if (!this.#isOpen) return
    const opaque = this.#nextOpaque()
    const { code, body } = request
    this.#enqueue(encodeRequest({ code, opaque, extFields: this.#signed(request), body, isOneway: true }))
  }

  /** Resolves when the connection is no longer congested, or has closed. */
  drained(): Promise<void> {
    if (!this.#isOpen || !this.isCongested) return Promise.resolve()
    return new Promise(resolve => this.#drainWaiters.push(resolve))
  }

  /** Calls back once when the connection has closed, at once if it has. */
  onClose(listener: () => void): void {
    if (this.#isOpen) this.#closeListeners.push(listener)
    else listener()
  }

  /** Sends what is queued and closes; requests in flight fail. */
  close(): void {
    if (!this.#isOpen) return
    this.#flush()
    this.#net.end()
    this.#closed(new MillraceError('CLOSED', `the connection to ${this.#where()} was closed by this client`))
  }

  #signed({ fields, body }: Request): Readonly<Record<string, string>> | undefined {
    return this.#credentials ? signedFields(this.#credentials, fields, body) : fields
  }

  #nextOpaque(): number {
    this.#opaque = this.#opaque === 0x7fffffff ? 1 : this.#opaque + 1
    return this.#opaque
  }

  #enqueue(frame: Buffer): void {
    this.#outgoing.push(frame)
    this.#outgoingBytes += frame.length
    if (this.#isFlushDue || this.#isBlocked) return
    this.#isFlushDue = true
    this.#environment.scheduler.turn(() => this.#flush())
  }

  #flush(): void {
    this.#isFlushDue = false
    if (!this.#isOpen || this.#isBlocked || this.#outgoing.length === 0) return
    const bytes = this.#outgoing.length === 1 ? (this.#outgoing[0] as Buffer) : Buffer.concat(this.#outgoing)
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#isBlocked = !this.#net.write(bytes)
    if (!this.isCongested) this.#wakeDrainWaiters()
  }

  #drained(): void {
    this.#isBlocked = false
    this.#flush()
    if (!this.isCongested) this.#wakeDrainWaiters()
  }

  #wakeDrainWaiters(): void {
    if (this.#drainWaiters.length === 0) return
    const waiters = this.#drainWaiters
    this.#drainWaiters = []
    for (const wake of waiters) wake()
  }

  #receive(chunk: Buffer): void {
    const reader = this.#reader
    reader.feed(chunk)
    while (this.#isOpen && reader.next()) {
      const frame = decodeFrame(reader.buffer, reader.start, reader.end)
      if (!frame.ok) {
        this.#broken(frame.reason)
        return
      }
      if (frame.command.flag & CommandFlag.RESPONSE) this.#answered(frame.command)
      else this.#requested(frame.command)
    }
    if (reader.failure) this.#broken(reader.failure.reason)
  }

  #answered(answer: RemotingCommand): void {
    const pending = this.#pending.get(answer.opaque)
    if (!pending) return
    this.#pending.delete(answer.opaque)
    if (answer.code === ResponseCode.GO_AWAY) this.#isLeaving = true
    pending.call.onAnswer(answer)
    if (this.#isLeaving && this.#pending.size === 0) this.close()
  }

  #requested(request: RemotingCommand): void {
    // The body must outlive this callback when the handler waits.
    const kept = request.body ? { ...request, body: Buffer.from(request.body) } : request
    void this.#answer(kept)
  }

  async #answer(request: RemotingCommand): Promise<void> {
    let answer: RequestAnswer | undefined
    try {
      answer = await this.#serve(request, this)
    } catch (error) {
      answer = { code: ResponseCode.SYSTEM_ERROR, remark: String(error) }
    }
    if (request.flag & CommandFlag.ONEWAY || !this.#isOpen) return
    const { code, remark, fields, body } = answer ?? {
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: ` request type ${request.code} not supported`,
    }
    this.#enqueue(encodeResponse(request, { code, remark, extFields: fields, body }))
  }

  #broken(reason: string): void {
    this.#net.destroy()
    this.#closed(new MillraceError('PROTOCOL', `${this.#where()} sent a broken frame: ${reason}`))
  }

  #closed(cause: Error | undefined): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#cancelSweep?.()
    this.#outgoing = []
    this.#outgoingBytes = 0
    const error = cause instanceof MillraceError ? cause : this.#lostError(cause)
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { call } of pending) call.onFailure(error)
    this.#wakeDrainWaiters()
    for (const listener of this.#closeListeners) listener()
  }

  /** One timer per connection: it runs at the earliest deadline, which most requests never see. */
  #scheduleSweep(deadline: number): void {
    this.#cancelSweep?.()
    this.#sweepAt = deadline
    const delayMs = Math.max(1, Math.ceil(deadline - this.#environment.clock.monotonic()))
    this.#cancelSweep = this.#environment.scheduler.after(delayMs, () => this.#sweep(), { unref: true })
  }

  #sweep(): void {
    this.#sweepAt = Number.POSITIVE_INFINITY
    const now = this.#environment.clock.monotonic()
    let next = Number.POSITIVE_INFINITY
    const late: Pending[] = []
    for (const [opaque, pending] of this.#pending) {
      if (pending.deadline > now) {
        if (pending.deadline < next) next = pending.deadline
      } else {
        this.#pending.delete(opaque)
        late.push(pending)
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#scheduleSweep(next)
    for (const { code, timeoutMs, call } of late) {
      const message = `request ${code} to ${this.#where()} was not answered within ${Math.round(timeoutMs)} ms; the server may still have carried it out`
      call.onFailure(new MillraceError('TIMEOUT', message))
    }
  }

  #lostError(cause?: Error): MillraceError {
    const message = `the connection to ${this.#where()} was lost${cause ? `: ${cause.message}` : ''}; the request may have been carried out`
    return new MillraceError('CONNECTION_LOST', message, { cause })
  }

  #where(): string {
    return `${this.address.host}:${this.address.port}`
  }
}
