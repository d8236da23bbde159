import { Subject } from 'rxjs'
import { assert } from '../assert.js'
import type { Environment } from '../ports/environment.js'
import { Asks } from './ask.js'
import { Dispatcher } from './dispatcher.js'
import type { Settings } from './mailbox.js'
import { DEFAULT_SUPERVISION } from './supervision.js'
import type { ActorFailure, ActorSystem, DeadLetter, SpawnOptions } from './types.js'

const MAILBOX_CAPACITY_DEFAULT = 65_536

/** Emptied queues kept for the next actor that gets a message, and the largest one worth keeping. */
const QUEUES_KEPT_MAX = 64
const QUEUE_KEPT_LENGTH_MAX = 4_096

/** What the actors of one system share. */
export class SystemCore {
  readonly environment: Environment
  readonly asks: Asks
  readonly microtasks: Dispatcher
  readonly turns: Dispatcher
  readonly deadLetters = new Subject<DeadLetter>()
  readonly failures = new Subject<ActorFailure>()
  readonly guardianSettings: Settings
  readonly #defaultSettings: Settings
  readonly #queues: unknown[][] = []
  /** Set once, right after construction: the two need each other. */
  system!: ActorSystem

  constructor(environment: Environment) {
    this.environment = environment
    this.asks = new Asks(environment)
    this.microtasks = new Dispatcher(environment.scheduler, environment.clock, false)
    this.turns = new Dispatcher(environment.scheduler, environment.clock, true)
    this.#defaultSettings = this.#makeSettings({})
    this.guardianSettings = { ...this.#defaultSettings, isGuardian: true }
  }

  /** Actors without options share one object. */
  settingsFor(options: SpawnOptions | undefined): Settings {
    return options === undefined ? this.#defaultSettings : this.#makeSettings(options)
  }

  deadLetter(recipient: string, message: unknown, reason: DeadLetter['reason']): void {
    if (this.deadLetters.observed) this.deadLetters.next({ recipient, message, reason })
  }

  /** An array whose places all hold undefined. */
  takeQueue(): unknown[] {
    return this.#queues.pop() ?? []
  }

  giveQueue(queue: unknown[]): void {
    if (this.#queues.length < QUEUES_KEPT_MAX && queue.length <= QUEUE_KEPT_LENGTH_MAX) this.#queues.push(queue)
  }

  #makeSettings(options: SpawnOptions): Settings {
    const { capacity, overflow } = options.mailbox ?? { capacity: MAILBOX_CAPACITY_DEFAULT, overflow: 'reject' }
    assert(Number.isInteger(capacity) && capacity > 0, 'a mailbox holds at least one message', { capacity })
    return {
      capacity,
      overflow,
      dispatcher: options.dispatch === 'turn' ? this.turns : this.microtasks,
      supervision: options.supervision ?? DEFAULT_SUPERVISION,
      isGuardian: false,
      epoch: 0,
    }
  }
}
