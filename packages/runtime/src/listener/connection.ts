import {
  type Cancel,
  CommandFlag,
  decodeFrame,
  type Environment,
  encodeRequest,
  encodeResponse,
  FrameReader,
  MillraceError,
  type NetAddress,
  type NetConnection,
  type RemotingCommand,
} from '@millrace/core'
import type { OutgoingRequest, Peer, RemotingRequest, Reply } from './peer.js'
import { ReplyGate } from './reply-gate.js'
import { formatWebReply, isWebRequest, readWebRequest, type WebReply, type WebRequest } from './web-request.js'

/** What became of a frame. */
export type Taken = 'taken' | 'unusual' | 'no room'

/** Serves the frames of a connection. */
export interface FrameServer {
  /**
   * The hot path: [start, end) of `bytes` is a frame after its length word, valid until this returns.
   * 'unusual': decode it in general. 'no room': the log is full, give the frame again when told to resume.
   */
  hot(connection: RemotingConnection, bytes: Buffer, start: number, end: number): Taken
  /** Everything else. */
  request(request: RemotingRequest): void
}

/** What a connection does with bytes that are no frames. */
export interface ConnectionEdges {
  /** Answers an HTTP request. */
  web(request: WebRequest, host: string): WebReply
  /** The connection sent something that cannot be read, and ends. */
  broken(connection: RemotingConnection, reason: string): void
}

interface PendingCall {
  readonly resolve: (answer: RemotingCommand) => void
  readonly reject: (error: Error) => void
  readonly cancel: Cancel
}

/** Calls of ours that may wait for one client. */
const CALLS_MAX = 1024
/** Bytes a stalled connection may hold back before it is closed: more can only come from a peer that ignores TCP. */
const STALLED_BYTES_MAX = 64 * 1024 * 1024

/**
 * One remoting connection of a client. States: open → closed; while open it may be stalled (the log has no room: the
 * socket is paused, so TCP pushes back on the client) or choked (the client does not read its answers: paused too).
 */
export class RemotingConnection implements Peer {
  readonly gate = new ReplyGate()
  /** `LogStore.publishCount` when the gate last took a reply; see SendPath. */
  gateTurn = -1
  /** The send path's own notes about this connection. */
  sendContext: unknown
  /** Listed with the send path as having replies that wait. */
  isGated = false
  isOpen = true
  /** Of the last frame received, in monotonic milliseconds. */
  lastActiveMs: number
  private readonly reader: FrameReader
  private readonly calls = new Map<number, PendingCall>()
  private nextOpaque = 1
  /** Answers of handlers: those that come together leave in one write, which costs more than all the rest. */
  private replies: Buffer[] = []
  private closeListeners: ((peer: Peer) => void)[] = []
  private stalled: Buffer | undefined
  private isChoked = false
  /** The beginning of an HTTP request; undefined on a connection that speaks remoting. */
  private webHead: Buffer | undefined
  private isWebDone = false

  constructor(
    readonly id: number,
    readonly net: NetConnection,
    private readonly environment: Environment,
    private readonly server: FrameServer,
    frameBytesMax: number,
    private readonly edges?: ConnectionEdges | undefined,
  ) {
    this.reader = new FrameReader(frameBytesMax)
    this.lastActiveMs = environment.clock.monotonic()
  }

  get local(): NetAddress {
    return this.net.local
  }
  get remote(): NetAddress {
    return this.net.remote
  }
  get isStalled(): boolean {
    return this.stalled !== undefined
  }

  start(): void {
    this.net.start({
      data: chunk => this.receive(chunk),
      drain: () => this.unchoke(),
      close: () => this.closed(),
    })
  }

  private receive(chunk: Buffer): void {
    this.lastActiveMs = this.environment.clock.monotonic()
    if (this.stalled !== undefined) {
      this.stalled = Buffer.concat([this.stalled, chunk])
      if (this.stalled.length > STALLED_BYTES_MAX) this.net.destroy()
      return
    }
    this.serve(chunk)
  }

  private serve(chunk: Buffer): void {
    const { reader } = this
    reader.feed(chunk)
    while (reader.next()) {
      const taken = this.server.hot(this, reader.buffer, reader.start, reader.end)
      if (taken === 'taken') continue
      if (taken === 'no room') {
        this.stalled = reader.takeRest()
        this.net.pause()
        return
      }
      if (!this.general(reader.buffer, reader.start, reader.end)) return
    }
    if (reader.failure) this.foreign(chunk, reader.failure.reason)
  }

  /** Takes up again after a stall. */
  resume(): void {
    const rest = this.stalled
    if (rest === undefined || !this.isOpen) return
    this.stalled = undefined
    this.serve(rest)
    if (this.stalled === undefined && !this.isChoked) this.net.resume()
  }

  private general(bytes: Buffer, start: number, end: number): boolean {
    const decoded = decodeFrame(bytes, start, end)
    if (!decoded.ok) {
      this.refuse(decoded.reason)
      return false
    }
    const { command } = decoded
    if (command.flag & CommandFlag.RESPONSE) {
      const call = this.calls.get(command.opaque)
      if (call) {
        this.calls.delete(command.opaque)
        call.cancel()
        call.resolve(command.body ? { ...command, body: Buffer.from(command.body) } : command)
      }
      return true
    }
    // Actors look at it later, when the socket's buffer holds something else.
    this.server.request({
      command: command.body ? { ...command, body: Buffer.from(command.body) } : command,
      peer: this,
    })
    return true
  }

  /** A broken frame: there is no way back in step, so only this connection ends. */
  private refuse(reason: string): void {
    this.edges?.broken(this, reason)
    this.net.destroy()
  }

  /** Bytes that are no frame: a request of HTTP, or nothing we know. */
  private foreign(chunk: Buffer, reason: string): void {
    if (this.isWebDone) return
    if (this.webHead === undefined && (this.edges === undefined || !isWebRequest(chunk))) {
      this.refuse(reason)
      return
    }
    this.webHead = Buffer.concat([this.webHead ?? NO_BYTES, chunk])
    const request = readWebRequest(this.webHead)
    if (request === 'incomplete') return
    if (request === undefined || this.edges === undefined) {
      this.refuse('it is neither a frame nor a request of HTTP')
      return
    }
    this.isWebDone = true
    this.net.write(formatWebReply(request, this.edges.web(request, this.remote.host)))
    this.net.end()
  }

  /** Sends bytes at once. They belong to the connection from here on unless `bufferedBytes` is 0 afterwards. */
  send(bytes: Uint8Array): void {
    if (!this.isOpen) return
    if (!this.net.write(bytes)) this.choke()
  }

  /** Sends the gated replies that the log allows. */
  releaseReplies(written: number): void {
    if (!this.isOpen) return
    this.gate.release(written, this.net)
    if (this.net.bufferedBytes > CHOKE_BYTES) this.choke()
  }

  private choke(): void {
    if (this.isChoked) return
    this.isChoked = true
    this.net.pause()
  }

  private unchoke(): void {
    if (!this.isChoked) return
    this.isChoked = false
    if (this.stalled === undefined) this.net.resume()
  }

  reply(request: RemotingCommand, response: Reply): void {
    if (!this.isOpen || request.flag & CommandFlag.ONEWAY) return
    if (this.replies.push(encodeResponse(request, response)) === 1)
      this.environment.scheduler.microtask(() => this.sendReplies())
  }

  private sendReplies(): void {
    const { replies } = this
    this.replies = []
    this.send(replies.length === 1 ? replies[0]! : Buffer.concat(replies))
  }

  notify(request: OutgoingRequest): void {
    this.send(encodeRequest({ ...request, opaque: this.nextOpaque++, isOneway: true }))
  }

  call(request: OutgoingRequest, deadlineMs: number): Promise<RemotingCommand> {
    const opaque = this.nextOpaque++
    return new Promise((resolve, reject) => {
      const peer = `${this.remote.host}:${this.remote.port}`
      if (!this.isOpen) return reject(new MillraceError('CONNECTION_LOST', `client ${peer} is not connected any more`))
      if (this.calls.size >= CALLS_MAX)
        return reject(new MillraceError('MAILBOX_FULL', `${CALLS_MAX} requests wait for client ${peer}`))
      const cancel = this.environment.scheduler.after(
        deadlineMs,
        () => {
          this.calls.delete(opaque)
          reject(
            new MillraceError(
              'TIMEOUT',
              `client ${peer} did not answer request ${request.code} within ${deadlineMs} ms`,
            ),
          )
        },
        { unref: true },
      )
      this.calls.set(opaque, { resolve, reject, cancel })
      this.send(encodeRequest({ ...request, opaque }))
    })
  }

  onClose(listener: (peer: Peer) => void): void {
    if (this.isOpen) this.closeListeners.push(listener)
    else listener(this)
  }

  /** Ends the connection from our side. */
  close(): void {
    this.net.end()
  }

  private closed(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.stalled = undefined
    for (const call of this.calls.values()) {
      call.cancel()
      call.reject(
        new MillraceError('CONNECTION_LOST', `client ${this.remote.host}:${this.remote.port} closed its connection`),
      )
    }
    this.calls.clear()
    const listeners = this.closeListeners
    this.closeListeners = []
    for (const listener of listeners) listener(this)
  }
}

const CHOKE_BYTES = 1024 * 1024
const NO_BYTES: Buffer = Buffer.alloc(0)
