import type { EmitPlan } from '../emit.js'
import type { ErrorPolicy } from '../error-policy.js'
import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { Windowed } from '../window.js'
import type { Aggregation } from './aggregation.js'
import type { OperatorFactory, OperatorHost, Push, TimedOperator } from './operator.js'
import { Timers } from './timers.js'

/** An open session: its first and last event time, the aggregators' states, 1 once its result on time was given. */
type Session = [first: number, last: number, states: unknown[], isGiven: 0 | 1]

interface SessionWindows {
  readonly gapMs: number
  readonly graceMs: number
}

/** Aggregates per key and session. Sessions that an event brings together become one. */
export function sessionOperator(
  windows: SessionWindows,
  aggregation: Aggregation,
  emit: EmitPlan,
  policy?: ErrorPolicy,
): OperatorFactory {
  return (host, next, port) => {
    const aggregate = new SessionAggregate(windows, aggregation, emit, policy, host, next, port('late'))
    return { inputs: [value => aggregate.push(value)], timed: aggregate }
  }
}

/** Each open session has a timer at or before its due time; one that comes too early is set again. */
class SessionAggregate implements TimedOperator {
  readonly #gapMs: number
  readonly #graceMs: number
  readonly #aggregation: Aggregation
  readonly #emit: EmitPlan
  readonly #policy: ErrorPolicy | undefined
  readonly #host: OperatorHost
  readonly #next: Push
  readonly #late: Push
  readonly #sessions: KeyStore<Session[]>
  readonly #timers: Timers
  #watermark: number

  constructor(
    windows: SessionWindows,
    aggregation: Aggregation,
    emit: EmitPlan,
    policy: ErrorPolicy | undefined,
    host: OperatorHost,
    next: Push,
    late: Push,
  ) {
    this.#gapMs = windows.gapMs
    this.#graceMs = windows.graceMs
    this.#aggregation = aggregation
    this.#emit = emit
    this.#policy = policy
    this.#host = host
    this.#next = next
    this.#late = late
    this.#sessions = host.keyStore<Session[]>()
    this.#timers = new Timers(host.windowStore<1>('timers'))
    this.#watermark = host.watermark
    host.publish({ get: () => undefined, range: () => [], fetch: (key, from, to) => this.#fetch(key, from, to) })
  }

  get watermark(): number {
    return this.#watermark - this.#gapMs - this.#graceMs
  }

  get done(): number {
    return this.#watermark
  }

  push(value: unknown): void {
    const { timestamp, key } = this.#host.context
    const entry = this.#sessions.entry(key!)
    const sessions = (entry.state ??= [])
    let begin = 0
    while (begin < sessions.length && sessions[begin]![1] + this.#gapMs < timestamp) begin++
    let end = begin
    while (end < sessions.length && sessions[end]![0] - this.#gapMs <= timestamp) end++
    const last = end > begin ? Math.max(timestamp, sessions[end - 1]![1]) : timestamp
    if (this.#dueAt(last) <= this.#watermark) {
      // No entry without sessions stays behind.
      if (sessions.length === 0) {
        entry.state = undefined
        this.#sessions.touch(entry)
      }
      this.#host.late()
      this.#late(value)
      return
    }
    const merged: Session =
      end > begin ? this.#merge(sessions.slice(begin, end)) : [timestamp, timestamp, this.#aggregation.init(), 0]
    merged[0] = Math.min(merged[0], timestamp)
    merged[1] = last
    sessions.splice(begin, end - begin, merged)
    this.#sessions.touch(entry)
    if (end === begin) this.#timers.set(this.#fireAt(last), key!)
    try {
      this.#aggregation.add(merged[2], value)
    } catch (cause) {
      this.#host.failed(cause, value, this.#policy)
      return
    }
    const isLate = this.#emit.kind === 'on-time' && last + this.#gapMs < this.#watermark
    if (this.#emit.kind === 'updates' || isLate) this.#next(this.#result(key!, merged))
  }

  fireNext(watermark: number): boolean {
    const timer = this.#timers.take(watermark)
    if (timer === undefined) {
      if (watermark > this.#watermark) this.#watermark = watermark
      return false
    }
    this.#fire(timer.key, watermark)
    return true
  }

  #fire(key: Key, watermark: number): void {
    const entry = this.#sessions.entry(key)
    const sessions = entry.state ?? []
    const open: Session[] = []
    const given: Session[] = []
    for (const session of sessions) {
      const isDue = this.#dueAt(session[1]) <= watermark
      if (isDue && this.#emit.kind === 'final') given.push(session)
      if (!isDue && this.#emit.kind === 'on-time' && session[3] === 0 && session[1] + this.#gapMs < watermark) {
        session[3] = 1
        given.push(session)
      } else if (isDue && this.#emit.kind === 'on-time' && session[3] === 0) given.push(session)
      if (isDue) continue
      open.push(session)
      this.#timers.set(session[3] === 1 ? this.#dueAt(session[1]) : this.#fireAt(session[1]), key)
    }
    entry.state = open.length > 0 ? open : undefined
    this.#sessions.touch(entry)
    const { context } = this.#host
    for (const session of given) {
      context.timestamp = session[1]
      context.key = key
      this.#next(this.#result(key, session))
    }
  }

  /** When nothing can join a session any more: events at exactly `gap` after the last one still belong to it. */
  #dueAt(last: number): number {
    return last + this.#gapMs + this.#graceMs + 1
  }

  #fireAt(last: number): number {
    return this.#emit.kind === 'on-time' ? last + this.#gapMs + 1 : this.#dueAt(last)
  }

  #merge(sessions: readonly Session[]): Session {
    const [first, ...rest] = sessions as [Session, ...Session[]]
    let states = first[2]
    for (const session of rest) states = this.#aggregation.merge(states, session[2])
    return [first[0], sessions.at(-1)![1], states, first[3]]
  }

  #result(key: Key, [first, last, states]: Session): Windowed<Key, unknown> {
    return { key, window: { start: first, end: last + this.#gapMs }, value: this.#aggregation.result(states) }
  }

  *#fetch(key: Key, from: number, to: number): Generator<{ readonly start: number; readonly value: unknown }> {
    for (const [start, , states] of this.#sessions.get(key) ?? [])
      if (start >= from && start <= to) yield { start, value: this.#aggregation.result(states) }
  }
}
