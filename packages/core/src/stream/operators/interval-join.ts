import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'
import type { JoinKind } from './table-joins.js'
import { Timers } from './timers.js'

/** A value that waits for partners, and whether it had one. */
type Waiting = [timestamp: number, value: unknown, isMatched: 0 | 1]
/** `armed` is the time of the key's timer. */
type Sides = [left: Waiting[], right: Waiting[], armed: number]

/** Right values join that are at most `beforeMs` before and `afterMs` after the left one. Infinite: for ever. */
export interface JoinSpan {
  readonly beforeMs: number
  readonly afterMs: number
  readonly graceMs: number
}

/**
 * Joins two streams of the same key by event time. Both sides are kept until nothing can join them any more; a left or outer join gives
 * what had no partner then.
 * @see Kafka Streams `JoinWindows`, with the results of left and outer joins when the window closes
 */
export function intervalJoin(
  kind: JoinKind,
  span: JoinSpan,
  joiner: (left: unknown, right: unknown) => unknown,
): OperatorFactory {
  return (host, next, port) => {
    const join = new IntervalJoin(kind, span, joiner, host, next, port('late'))
    return { inputs: [value => join.push(0, value), value => join.push(1, value)], timed: join }
  }
}

class IntervalJoin implements TimedOperator {
  readonly #kind: JoinKind
  readonly #span: JoinSpan
  readonly #joiner: (left: unknown, right: unknown) => unknown
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #late: Push
  readonly #store: KeyStore<Sides>
  /** Each key with waiting values has one, for the time at which the first of them ends. */
  readonly #timers: Timers
  /** How far behind the watermark results may come. */
  readonly #holdbackMs: number
  #watermark: number

  constructor(
    kind: JoinKind,
    span: JoinSpan,
    joiner: (left: unknown, right: unknown) => unknown,
    host: OperatorHost,
    next: Push,
    late: Push,
  ) {
    this.#kind = kind
    this.#span = span
    this.#joiner = joiner
    this.#host = host
    this.#next = next
    this.#late = late
    this.#store = host.keyStore<Sides>()
    this.#timers = new Timers(host.windowStore<1>('timers'))
    const lag = Math.max(span.beforeMs, span.afterMs) + span.graceMs
    this.#holdbackMs = kind === 'inner' || !Number.isFinite(lag) ? 0 : lag
    this.#watermark = host.watermark
  }

  get watermark(): number {
    return this.#watermark - this.#holdbackMs
  }

  get done(): number {
    return this.#watermark
  }

  push(side: 0 | 1, value: unknown): void {
    const { context } = this.#host
    const { timestamp, key } = context
    const due = this.#dueAt(side, timestamp)
    if (due <= this.#watermark) {
      this.#host.late()
      this.#late(value)
      return
    }
    const entry = this.#store.entry(key!)
    const sides = (entry.state ??= [[], [], Number.POSITIVE_INFINITY])
    const { beforeMs, afterMs } = this.#span
    const from = timestamp - (side === 0 ? beforeMs : afterMs)
    const to = timestamp + (side === 0 ? afterMs : beforeMs)
    const waiting: Waiting = [timestamp, value, 0]
    const partners: Waiting[] = []
    for (const partner of side === 0 ? sides[1] : sides[0]) {
      if (partner[0] < from || partner[0] > to) continue
      waiting[2] = partner[2] = 1
      partners.push(partner)
    }
    sides[side].push(waiting)
    this.#store.touch(entry)
    if (due < sides[2]) {
      sides[2] = due
      this.#timers.set(due, key!)
    }
    for (const partner of partners) {
      context.timestamp = Math.max(timestamp, partner[0])
      this.#next(side === 0 ? this.#joiner(value, partner[1]) : this.#joiner(partner[1], value))
    }
    context.timestamp = timestamp
  }

  fireNext(watermark: number): boolean {
    const timer = this.#timers.take(watermark)
    if (timer === undefined) {
      if (watermark > this.#watermark) this.#watermark = watermark
      return false
    }
    this.#expire(timer.start, timer.key)
    return true
  }

  /** What ends at `time`. */
  #expire(time: number, key: Key): void {
    const entry = this.#store.entry(key)
    if (entry.state === undefined) return
    const [lefts, rights] = entry.state
    const isOpen = (side: 0 | 1) => (waiting: Waiting) => this.#dueAt(side, waiting[0]) > time
    const openLefts = lefts.filter(isOpen(0))
    const openRights = rights.filter(isOpen(1))
    let armed = Number.POSITIVE_INFINITY
    for (const waiting of openLefts) armed = Math.min(armed, this.#dueAt(0, waiting[0]))
    for (const waiting of openRights) armed = Math.min(armed, this.#dueAt(1, waiting[0]))
    entry.state = armed < Number.POSITIVE_INFINITY ? [openLefts, openRights, armed] : undefined
    this.#store.touch(entry)
    if (entry.state !== undefined) this.#timers.set(armed, key)
    if (this.#kind === 'inner') return
    for (const waiting of lefts) if (waiting[2] === 0 && !isOpen(0)(waiting)) this.#giveAlone(0, key, waiting)
    if (this.#kind === 'outer')
      for (const waiting of rights) if (waiting[2] === 0 && !isOpen(1)(waiting)) this.#giveAlone(1, key, waiting)
  }

  #giveAlone(side: 0 | 1, key: Key, [timestamp, value]: Waiting): void {
    const { context } = this.#host
    context.timestamp = timestamp
    context.key = key
    this.#next(side === 0 ? this.#joiner(value, undefined) : this.#joiner(undefined, value))
  }

  /** When nothing can join a value any more. */
  #dueAt(side: 0 | 1, timestamp: number): number {
    const { beforeMs, afterMs, graceMs } = this.#span
    return timestamp + (side === 0 ? afterMs : beforeMs) + graceMs + 1
  }
}
