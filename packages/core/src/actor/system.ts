import type { Observable } from 'rxjs'
import type { Environment } from '../ports/environment.js'
import { receive } from './behavior.js'
import { ActorCell, type AnyCell } from './cell.js'
import { RUNNING, STOPPED, SUSPENDED } from './mailbox.js'
import { SystemCore } from './system-core.js'
import type {
  ActorFailure,
  ActorInspection,
  ActorRef,
  ActorSystem,
  Behavior,
  DeadLetter,
  SpawnOptions,
  VirtualActors,
} from './types.js'
import { VirtualFamily } from './virtual.js'

const GUARD = receive<unknown>(() => {})

/** Makes a system of actors whose only outside is `environment`. Its name begins their paths. */
export function createActorSystem(name: string, environment: Environment): ActorSystem {
  return new LocalActorSystem(name, environment)
}

class LocalActorSystem implements ActorSystem {
  readonly name: string
  readonly environment: Environment
  readonly deadLetters: Observable<DeadLetter>
  readonly failures: Observable<ActorFailure>
  readonly #core: SystemCore
  readonly #root: AnyCell
  #inspectedAtMs: number
  #inspectedCounts = new WeakMap<AnyCell, number>()

  constructor(name: string, environment: Environment) {
    this.name = name
    this.environment = environment
    this.#core = new SystemCore(environment)
    this.#core.system = this
    this.deadLetters = this.#core.deadLetters.asObservable()
    this.failures = this.#core.failures.asObservable()
    this.#root = new ActorCell(this.#core, undefined, name, this.#core.guardianSettings, GUARD)
    this.#inspectedAtMs = environment.clock.monotonic()
  }

  spawn<M>(name: string, behavior: Behavior<M>, options?: SpawnOptions): ActorRef<M> {
    return this.#root.spawn(name, behavior, options)
  }

  virtual<M>(
    kind: string,
    make: (key: string) => Behavior<M>,
    options: { readonly idleMs: number } & SpawnOptions,
  ): VirtualActors<M> {
    const guardian = new ActorCell(this.#core, this.#root, kind, this.#core.guardianSettings, GUARD)
    const family = new VirtualFamily(this.#core, guardian, { ...this.#core.settingsFor(options) }, options.idleMs, make)
    this.#root.adopt(kind, guardian)
    return family
  }

  inspect(): ActorInspection[] {
    const nowMs = this.environment.clock.monotonic()
    const seconds = Math.max(nowMs - this.#inspectedAtMs, 1) / 1_000
    this.#inspectedAtMs = nowMs
    const inspections: ActorInspection[] = []
    const visit = (cell: AnyCell): void => {
      if (!cell.settings.isGuardian) inspections.push(this.#inspectCell(cell, seconds))
      for (const child of cell.life?.children?.values() ?? []) visit(child)
    }
    visit(this.#root)
    return inspections
  }

  stop(): Promise<void> {
    const stopped = this.#root.whenStopped()
    if (this.#root.state !== STOPPED) this.#root.close('stop')
    return stopped
  }

  #inspectCell(cell: AnyCell, seconds: number): ActorInspection {
    const counted = this.#inspectedCounts.get(cell) ?? 0
    this.#inspectedCounts.set(cell, cell.handledCount)
    return {
      path: cell.path,
      state: stateOf(cell),
      depth: cell.depth,
      capacity: cell.settings.capacity,
      ageMs: cell.ageMs,
      handledCount: cell.handledCount,
      // A virtual actor counts from its activation.
      ratePerSecond: Math.max(0, cell.handledCount - counted) / seconds,
      overflowCount: cell.overflowCount,
      restartCount: cell.life?.restartCount ?? 0,
      childCount: cell.life?.children?.size ?? 0,
    }
  }
}

function stateOf(cell: AnyCell): ActorInspection['state'] {
  if (cell.state <= RUNNING) return 'running'
  if (cell.state > SUSPENDED) return 'stopping'
  return cell.life?.goal === 'restart' ? 'restarting' : 'passivating'
}
