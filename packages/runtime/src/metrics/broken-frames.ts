import type { Clock, NetAddress } from '@millrace/core'
import { addressText } from '../requests/address.js'

/** Between two notices: whoever sends rubbish must not fill a log with it. */
const NOTICE_EVERY_MS = 10_000

/** Counts connections that sent what cannot be read, and tells of them now and then. */
export class BrokenFrames {
  count = 0
  #untold = 0
  #lastNoticeMs = Number.NEGATIVE_INFINITY

  constructor(
    private readonly clock: Clock,
    private readonly notice: ((sentence: string) => void) | undefined,
  ) {}

  note(remote: NetAddress, reason: string): void {
    this.count++
    this.#untold++
    const now = this.clock.monotonic()
    if (now - this.#lastNoticeMs < NOTICE_EVERY_MS) return
    const others = this.#untold > 1 ? ` (and ${this.#untold - 1} more since the last notice)` : ''
    this.notice?.(`a connection from ${addressText(remote)} was closed: ${reason}${others}`)
    this.#untold = 0
    this.#lastNoticeMs = now
  }
}
