import { assert } from '../assert.js'
import { ActorCell, type AnyCell, type Family } from './cell.js'
import { RUNNING, type Settings, STARTING } from './mailbox.js'
import type { SystemCore } from './system-core.js'
import type { ActorRef, Behavior, VirtualActors } from './types.js'

/** A family looks for idle actors this often in an idle time; they are passivated one step later at most. */
const STEPS_PER_IDLE_TIME = 2
/** Actors looked at before the event loop gets its turn. */
const SWEEP_SLICE = 4_096

/**
 * The virtual actors of one kind. The active ones are children of the guardian cell; the others are known to nobody but the
 * holders of their addresses. Idle time is counted in steps, so that a message costs no look at the clock.
 */
export class VirtualFamily<M> implements VirtualActors<M>, Family<M> {
  readonly #core: SystemCore
  readonly #guardian: AnyCell
  readonly #settings: Settings
  readonly #make: (key: string) => Behavior<M>
  readonly #stepMs: number
  #isSweeping = false

  constructor(
    core: SystemCore,
    guardian: AnyCell,
    settings: Settings,
    idleMs: number,
    make: (key: string) => Behavior<M>,
  ) {
    assert(idleMs > 0, 'a virtual actor is idle for some time before it is passivated', { idleMs })
    this.#core = core
    this.#guardian = guardian
    this.#settings = settings
    this.#make = make
    this.#stepMs = idleMs / STEPS_PER_IDLE_TIME
  }

  get activeCount(): number {
    return this.#active.size
  }

  get(key: string): ActorRef<M> {
    const active = this.#active.get(key)
    return active ?? new ActorCell<M>(this.#core, this.#guardian, key, this.#settings, this)
  }

  make(key: string): Behavior<M> {
    return this.#make(key)
  }

  activate(cell: ActorCell<M>): ActorCell<M> | undefined {
    const active = this.#active.get(cell.name)
    if (active) return active
    if (this.#guardian.state > RUNNING) return undefined
    this.#active.set(cell.name, cell)
    cell.state = STARTING
    cell.lastEpoch = this.#settings.epoch
    if (!this.#isSweeping) this.#sweepLater()
    return cell
  }

  get #active(): Map<string, ActorCell<M>> {
    return this.#guardian.ensureChildren() as unknown as Map<string, ActorCell<M>>
  }

  #sweepLater(): void {
    this.#isSweeping = true
    const sweep = (): void => {
      this.#settings.epoch++
      this.#sweepSlice(this.#active.values())
    }
    this.#core.environment.scheduler.after(this.#stepMs, sweep, { unref: true })
  }

  #sweepSlice(cells: IterableIterator<ActorCell<M>>): void {
    const idleSince = this.#settings.epoch - STEPS_PER_IDLE_TIME
    for (let looked = 0; looked < SWEEP_SLICE; looked++) {
      const { value: cell, done } = cells.next()
      if (done) {
        this.#isSweeping = false
        if (this.#active.size > 0) this.#sweepLater()
        return
      }
      if (cell.lastEpoch < idleSince && cell.isIdle) cell.close('passivate')
    }
    this.#core.environment.scheduler.turn(() => this.#sweepSlice(cells))
  }
}
