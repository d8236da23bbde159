import { MillraceError } from '../errors.js'
import { memoryNet } from '../net/memory-net.js'
import type { Clock } from '../ports/clock.js'
import type { Disk } from '../ports/disk.js'
import type { Environment } from '../ports/environment.js'
import type { Net } from '../ports/net.js'
import type { Random } from '../ports/random.js'
import type { Scheduler } from '../ports/scheduler.js'
import { EventQueue } from './event-queue.js'
import { memoryDisk } from './memory-disk.js'
import { amongContinuations, flushContinuations } from './node-flush.js'
import { SeededRandom } from './seeded-random.js'
import { TraceHash } from './trace-hash.js'

const START_MS_DEFAULT = Date.UTC(2026, 0, 1)
/** A turn of the event loop takes a little, so that work which never waits cannot hold up the clock. */
const TURN_MS = 0.01
const IDLE_LIMIT_MS_DEFAULT = 24 * 60 * 60 * 1_000

export interface SimulationOptions {
  /** An integer; it alone decides the run. Print it when a test fails. */
  readonly seed: number
  /** Wall clock at the start, milliseconds since the Unix epoch. Default: the first of January 2026, UTC. */
  readonly startMs?: number
  /** One-way delay of the network in milliseconds. Default 0. */
  readonly latencyMs?: number
}

/**
 * A world in one thread whose time passes only while a `run` method is awaited. Work of one moment whose order nobody
 * promised runs in an order that the seed decides.
 */
export interface Simulation extends Environment {
  readonly seed: number
  /** Events run so far: timers and ends of turns. */
  readonly eventCount: number
  /** Fingerprint of all that happened so far: equal for equal programs and seeds. */
  readonly traceHash: string
  /** Adds something to the fingerprint that the events alone do not show. */
  note(text: string): void
  /** Runs everything due up to `untilMs` (wall clock), then sets the clock there. */
  run(untilMs: number): Promise<void>
  /**
   * Runs until nothing is left to happen but unref timers.
   * @throws MillraceError TIMEOUT when `limitMs` of virtual time (default: a day) pass before.
   */
  runUntilIdle(limitMs?: number): Promise<void>
  /**
   * Runs until `promise` has settled and gives its outcome.
   * @throws MillraceError TIMEOUT when nothing is left that could settle it, or `limitMs` of virtual time pass before.
   */
  runUntilSettled<T>(promise: Promise<T>, limitMs?: number): Promise<T>
}

/** Makes a simulated environment. */
export function simulate(options: SimulationOptions): Simulation {
  return new SeededSimulation(options)
}

class SeededSimulation implements Simulation {
  readonly seed: number
  readonly clock: Clock
  readonly random: Random
  readonly scheduler: Scheduler
  readonly net: Net
  readonly disk: Disk
  readonly #events: EventQueue
  readonly #trace = new TraceHash()
  readonly #startMs: number
  #elapsedMs = 0
  #eventCount = 0

  constructor({ seed, startMs = START_MS_DEFAULT, latencyMs = 0 }: SimulationOptions) {
    this.seed = seed
    this.#startMs = startMs
    this.random = new SeededRandom(seed)
    // Its own generator: how often the program draws must not change the order of events, and the other way round.
    const order = new SeededRandom(~seed)
    const events = new EventQueue(order)
    this.#events = events
    this.clock = { now: () => startMs + Math.floor(this.#elapsedMs), monotonic: () => this.#elapsedMs }
    this.scheduler = {
      after: (delayMs, work, timer) => {
        const event = events.add(this.#elapsedMs + Math.max(delayMs, 0), work, timer?.unref === true)
        return () => events.cancel(event)
      },
      microtask: amongContinuations,
      turn: work => {
        events.add(this.#elapsedMs + TURN_MS, work, false)
      },
      choose: count => {
        if (count < 2) return 0
        const chosen = order.int(count)
        this.#trace.add(chosen)
        return chosen
      },
    }
    this.net = memoryNet(this.scheduler, { latencyMs })
    this.disk = memoryDisk()
  }

  get eventCount(): number {
    return this.#eventCount
  }

  get traceHash(): string {
    return this.#trace.toString()
  }

  note(text: string): void {
    this.#trace.addText(text)
  }

  async run(untilMs: number): Promise<void> {
    const endMs = untilMs - this.#startMs
    await flushContinuations()
    while (await this.#step(endMs));
    this.#elapsedMs = Math.max(this.#elapsedMs, endMs)
  }

  async runUntilIdle(limitMs: number = IDLE_LIMIT_MS_DEFAULT): Promise<void> {
    const endMs = this.#elapsedMs + limitMs
    await flushContinuations()
    while (this.#events.pendingCount > 0) {
      if (!(await this.#step(endMs))) throw this.#stuck(`the simulation was not idle after ${limitMs} ms`)
    }
  }

  async runUntilSettled<T>(promise: Promise<T>, limitMs: number = IDLE_LIMIT_MS_DEFAULT): Promise<T> {
    const endMs = this.#elapsedMs + limitMs
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    await flushContinuations()
    while (!isSettled) {
      if (!(await this.#step(endMs))) throw this.#stuck(`a promise did not settle within ${limitMs} ms`)
    }
    return promise
  }

  /** Runs one event and the promise continuations it leads to. */
  async #step(endMs: number): Promise<boolean> {
    const event = this.#events.take(endMs)
    if (!event) return false
    this.#elapsedMs = Math.max(this.#elapsedMs, event.atMs)
    this.#eventCount++
    this.#trace.add(event.id)
    this.#trace.add(event.atMs * 1_000)
    event.work()
    await flushContinuations()
    return true
  }

  #stuck(what: string): MillraceError {
    const message = `${what} of virtual time (seed ${this.seed}); look for a timer that repeats or an answer that never comes`
    return new MillraceError('TIMEOUT', message)
  }
}
