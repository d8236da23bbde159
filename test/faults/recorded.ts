import type { Event } from './checkers.js'
import { bodyOf, keyOf, Refused, sumOf, type Target } from './target.js'

/** Sends and reads of one queue, written down for the checkers; survives the targets it is used with. */
export class Recorded {
  readonly history: Event[] = []
  #keys = 0
  #scans = 0
  #session = 0

  /** Sends one message. Returns its offset, or why it was refused. @throws Lost */
  async send(target: Target, sizeBytes = 500): Promise<number | Refused> {
    const key = `m${this.#keys++}`
    const body = bodyOf(key, sizeBytes)
    const session = this.#session++
    this.history.push({ kind: 'sent', key, queueId: 0, sum: sumOf(body), session, sequence: 0 })
    try {
      const offset = await target.append(0, body)
      this.history.push({ kind: 'acked', key, queueId: 0, offset, session, sequence: 0 })
      return offset
    } catch (error) {
      if (error instanceof Refused) return error
      throw error
    }
  }

  async readAll(target: Target): Promise<void> {
    const scan = ++this.#scans
    const { min, max, messages } = await target.scan(0, 0)
    this.history.push({ kind: 'scanned', scan, queueId: 0, min, max })
    for (const { offset, body } of messages)
      this.history.push({ kind: 'read', scan, queueId: 0, offset, key: keyOf(body), sum: sumOf(body) })
  }

  get ackedCount(): number {
    return this.history.filter(event => event.kind === 'acked').length
  }
}
