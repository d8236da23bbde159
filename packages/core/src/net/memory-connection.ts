import { assert } from '../assert.js'
import type { NetAddress, NetConnection, NetEvents } from '../ports/net.js'

/** Bytes on their way to one peer before `write` says that it is slow. */
export const WRITE_BYTES_HIGH = 256 * 1024
/** One `data` event carries no more, as a read from a socket does. */
const CHUNK_BYTES_MAX = 256 * 1024

/** What is between the two ends. */
export interface Link {
  /** Runs `work` at the end of the event-loop turn. */
  readonly soon: (work: () => void) => void
  /** Runs `work` when something sent now arrives; `undefined` for a link without delay. */
  readonly travel: ((work: () => void) => void) | undefined
}

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
  readonly #link: Link
  #peer: MemoryConnection | undefined
  #events: NetEvents | undefined
  #outgoing: Outgoing[] = []
  #bufferedBytes = 0
  /** Writes and the FIN that have travelled and wait for the receiver. Without a delay nothing has to travel. */
  #arrivedCount = 0
  #isPaused = false
  #isBlocked = false
  #isEnding = false
  #hasSentEnd = false
  #hasReceivedEnd = false
  #isClosed = false
  #isReported = false
  #isDeliveryDue = false

  constructor(local: NetAddress, remote: NetAddress, link: Link) {
    this.local = local
    this.remote = remote
    this.#link = link
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
    if (this.#isClosed) this.#link.soon(() => this.#reportClose())
    else if (this.#peer) this.#peer.#deliverLater()
  }

  write(bytes: Uint8Array, onSent?: () => void): boolean {
    if (this.#isClosed || this.#isEnding) {
      if (onSent) this.#link.soon(onSent)
      return false
    }
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#outgoing.push({ bytes: buffer, onSent, position: 0 })
    this.#bufferedBytes += buffer.length
    this.#send()
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
    this.#send()
  }

  destroy(): void {
    if (this.#isClosed) return
    const peer = this.#peer
    this.#close()
    if (peer) (this.#link.travel ?? this.#link.soon)(() => peer.#close())
  }

  #send(): void {
    const { travel } = this.#link
    if (!travel) this.#deliverLater()
    else
      travel(() => {
        this.#arrivedCount++
        this.#deliverNow()
      })
  }

  #deliverLater(): void {
    if (this.#isDeliveryDue || this.#isClosed) return
    this.#isDeliveryDue = true
    this.#link.soon(() => {
      this.#isDeliveryDue = false
      this.#deliverNow()
    })
  }

  /** Hands over what was written before this delivery; what the receiver provokes waits for the next one. */
  #deliverNow(): void {
    const peer = this.#peer
    if (!peer) return
    let due = Math.min(this.#outgoing.length, this.#link.travel ? this.#arrivedCount : Number.POSITIVE_INFINITY)
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
      this.#arrivedCount--
      this.#outgoing.shift()
      first.onSent?.()
    }
    if (this.#isClosed) return
    if (this.#isEnding && peer.#hasSentEnd && !peer.#canReceive) this.#closeBoth(peer)
    else if (this.#outgoing.length === 0) this.#drained(peer)
    else if (peer.#canReceive && !this.#link.travel) this.#deliverLater()
  }

  get #canReceive(): boolean {
    return this.#events !== undefined && !this.#isPaused && !this.#isClosed
  }

  #drained(peer: MemoryConnection): void {
    if (this.#isBlocked) {
      this.#isBlocked = false
      this.#events?.drain()
    }
    if (this.#link.travel && this.#arrivedCount < 1) return
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
    this.#link.soon(() => {
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
