import { assert } from '../assert.js'
import type { NetAddress, NetConnection, NetEvents } from '../ports/net.js'

/** Bytes on their way to one peer before `write` says that it is slow. */
export const WRITE_BYTES_HIGH = 256 * 1024
/** One `data` event carries no more, as a read from a socket does. */
const CHUNK_BYTES_MAX = 256 * 1024

/** Runs a delivery later; calls for one network are served in order of their due time. */
export type Deliver = (work: () => void) => void

interface Outgoing {
  readonly bytes: Buffer
  readonly onSent: (() => void) | undefined
  position: number
}

/**
 * One end of an in-process connection. What it writes waits in `#outgoing` until the peer takes it, so bytes are never
 * copied and belong to the connection until the peer's `data` callback returned.
 *
 * States: open → ending (no more writes, FIN behind the queue) → closed. Both ends close once both FINs arrived, or
 * when one is destroyed. A peer's FIN is answered with our own, as a TCP socket without half-open does; bytes for an end
 * that sent its FIN and does not read are dropped.
 */
export class MemoryConnection implements NetConnection {
  readonly local: NetAddress
  readonly remote: NetAddress
  readonly #deliver: Deliver
  #peer: MemoryConnection | undefined
  #events: NetEvents | undefined
  #outgoing: Outgoing[] = []
  #bufferedBytes = 0
  #isPaused = false
  #isBlocked = false
  #isEnding = false
  #hasSentEnd = false
  #hasReceivedEnd = false
  #isClosed = false
  #isReported = false
  #isDeliveryDue = false

  constructor(local: NetAddress, remote: NetAddress, deliver: Deliver) {
    this.local = local
    this.remote = remote
    this.#deliver = deliver
  }

  /** Joins two ends. */
  static join(one: MemoryConnection, other: MemoryConnection): void {
    one.#peer = other
    other.#peer = one
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  start(events: NetEvents): void {
    assert(this.#events === undefined, 'start a connection once', this.remote)
    this.#events = events
    if (this.#isClosed) this.#deliver(() => this.#reportClose())
    else if (this.#peer) this.#peer.#deliverLater()
  }

  write(bytes: Uint8Array, onSent?: () => void): boolean {
    if (this.#isClosed || this.#isEnding) {
      if (onSent) this.#deliver(onSent)
      return false
    }
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#outgoing.push({ bytes: buffer, onSent, position: 0 })
    this.#bufferedBytes += buffer.length
    this.#deliverLater()
    if (this.#bufferedBytes < WRITE_BYTES_HIGH) return true
    this.#isBlocked = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#peer) this.#peer.#deliverLater()
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return
    this.#isEnding = true
    this.#deliverLater()
  }

  destroy(): void {
    if (this.#isClosed) return
    const peer = this.#peer
    this.#close()
    if (peer) this.#deliver(() => peer.#close())
  }

  #deliverLater(): void {
    if (this.#isDeliveryDue || this.#isClosed) return
    this.#isDeliveryDue = true
    this.#deliver(() => {
      this.#isDeliveryDue = false
      this.#deliverNow()
    })
  }

  /** Hands over what was written before this delivery; what the receiver provokes waits for the next one. */
  #deliverNow(): void {
    const peer = this.#peer
    if (!peer) return
    let due = this.#outgoing.length
    while (due > 0 && peer.#canReceive && !this.#isClosed) {
      const first = this.#outgoing[0]!
      const end = Math.min(first.position + CHUNK_BYTES_MAX, first.bytes.length)
      const chunk = first.bytes.subarray(first.position, end)
      first.position = end
      if (chunk.length > 0) peer.#events!.data(chunk)
      if (this.#isClosed) return
      this.#bufferedBytes -= chunk.length
      if (end < first.bytes.length) continue
      due--
      this.#outgoing.shift()
      first.onSent?.()
    }
    if (this.#isClosed) return
    if (this.#isEnding && peer.#hasSentEnd && !peer.#canReceive) this.#closeBoth(peer)
    else if (this.#outgoing.length === 0) this.#drained(peer)
    else if (peer.#canReceive) this.#deliverLater()
  }

  get #canReceive(): boolean {
    return this.#events !== undefined && !this.#isPaused && !this.#isClosed
  }

  #drained(peer: MemoryConnection): void {
    if (this.#isBlocked) {
      this.#isBlocked = false
      this.#events?.drain()
    }
    if (!this.#isEnding || this.#hasSentEnd || !peer.#canReceive || this.#outgoing.length > 0) return
    this.#hasSentEnd = true
    peer.#hasReceivedEnd = true
    peer.end()
    if (this.#hasReceivedEnd) this.#closeBoth(peer)
  }

  #closeBoth(peer: MemoryConnection): void {
    this.#close()
    peer.#close()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const unsent = this.#outgoing
    this.#outgoing = []
    this.#bufferedBytes = 0
    this.#deliver(() => {
      for (const write of unsent) write.onSent?.()
      this.#reportClose()
    })
  }

  #reportClose(): void {
    if (!this.#events || this.#isReported) return
    this.#isReported = true
    this.#events.close()
  }
}
