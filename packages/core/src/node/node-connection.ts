import type { Socket } from 'node:net'
import { assert } from '../assert.js'
import { MillraceError } from '../errors.js'
import type { NetAddress, NetConnection, NetEvents, TlsServer } from '../ports/net.js'
import { isTlsHello, secureAccepted } from './node-tls.js'

/** Bytes waiting in the process for one peer before `write` says that it is slow. */
export const WRITE_BYTES_HIGH = 256 * 1024

/** A peer that does not close its side after our `end` is cut off then. */
const END_LINGER_MS = 1_000

/**
 * A TCP connection, with or without TLS. States: waiting for `start` → started → closed; the socket stays paused until
 * `start`. One that may be TLS finds out by its first byte.
 */
export class NodeConnection implements NetConnection {
  readonly local: NetAddress
  readonly remote: NetAddress
  #socket: Socket
  readonly #emitsData: boolean
  #events: NetEvents | undefined
  #isBlocked = false
  #isClosed = false
  #error: Error | undefined
  /** Set until the first byte has come. */
  #tls: TlsServer | undefined

  /** `emitsData`: the socket has no `onread`; chunks come as 'data' events. Otherwise the owner calls `receive`. */
  constructor(socket: Socket, emitsData: boolean, tls?: TlsServer) {
    this.#socket = socket
    this.#emitsData = emitsData
    this.#tls = tls
    this.local = { host: socket.localAddress ?? '', port: socket.localPort ?? 0 }
    this.remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    socket.setNoDelay(true)
    this.#listenTo(socket)
  }

  #listenTo(socket: Socket): void {
    socket.on('error', error => {
      this.#error = error
    })
    socket.once('close', () => {
      if (socket === this.#socket) this.#close()
    })
    socket.on('drain', () => this.#drained())
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  receive(chunk: Buffer): void {
    if (this.#tls === undefined) this.#events?.data(chunk)
    else this.#begin(chunk, this.#tls)
  }

  /** Takes the first bytes of a connection that may be TLS. */
  #begin(chunk: Buffer, tls: TlsServer): void {
    this.#tls = undefined
    if (!isTlsHello(chunk)) {
      if (tls.mode === 'permissive') this.#events?.data(chunk)
      else this.destroy()
      return
    }
    const plain = this.#socket
    plain.pause()
    plain.removeAllListeners('data')
    // Not inside the read callback of the very handle that TLS takes over; the chunk is only valid until then.
    const hello = Buffer.from(chunk)
    setImmediate(() => {
      if (plain.destroyed) return
      try {
        const secure = secureAccepted(plain, hello, tls)
        this.#socket = secure
        this.#listenTo(secure)
        secure.on('data', (bytes: Buffer) => this.#events?.data(bytes))
      } catch (error) {
        this.#error = error as Error
        plain.destroy()
      }
    })
  }

  start(events: NetEvents): void {
    assert(this.#events === undefined, 'start a connection once', this.remote)
    this.#events = events
    if (this.#isClosed) process.nextTick(() => this.#reportClose(events))
    else if (this.#emitsData) this.#socket.on('data', chunk => this.receive(chunk as Buffer))
    this.#socket.resume()
  }

  write(bytes: Uint8Array, onSent?: () => void): boolean {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) {
      if (onSent) process.nextTick(onSent)
      return false
    }
    if (onSent) socket.write(bytes, () => onSent())
    else socket.write(bytes)
    // The stream's own answer ignores that most writes are taken by the operating system at once.
    if (socket.writableLength < WRITE_BYTES_HIGH) return true
    this.#isBlocked = true
    return false
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    // Closing at once with unread input would reset the connection and could cost the peer our last bytes.
    socket.end(() => {
      const linger = setTimeout(() => socket.destroy(), END_LINGER_MS)
      linger.unref()
      socket.once('close', () => clearTimeout(linger))
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #drained(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.#events?.drain()
  }

  #close(): void {
    this.#isClosed = true
    if (this.#events) this.#reportClose(this.#events)
  }

  #reportClose(events: NetEvents): void {
    const cause = this.#error
    if (!cause) {
      events.close()
      return
    }
    const peer = `${this.remote.host}:${this.remote.port}`
    events.close(new MillraceError('CONNECTION_LOST', `connection to ${peer} was lost: ${cause.message}`, { cause }))
  }
}
