import type { Disk } from '../ports/disk.js'
import type { Environment } from '../ports/environment.js'
import type { Cancel, Scheduler } from '../ports/scheduler.js'
import { type CrashKind, SimulatedDisk } from './simulated-disk.js'
import type { SimulatedHost, SimulatedNetwork } from './simulated-network.js'

/** A process that runs on a machine. */
interface Process {
  isAlive: boolean
  readonly host: SimulatedHost
}

/** The environment of a process, and a way to hear of its end. */
export interface SimulatedProcess extends Environment {
  /** `work` runs when the machine crashes, after the process can do nothing any more. */
  onCrash(work: (kind: CrashKind) => void): void
}

/**
 * A machine of a simulated cluster: its disk outlives the processes that run on it, one at a time. A process that is gone
 * runs nothing any more: its timers and continuations are dropped, its disk calls fail.
 */
export class SimulatedMachine {
  readonly disk: SimulatedDisk
  #process: Process | undefined
  #crashWork: ((kind: CrashKind) => void)[] = []

  constructor(
    readonly name: string,
    private readonly world: Environment,
    private readonly network: SimulatedNetwork,
  ) {
    this.disk = new SimulatedDisk(world.random)
  }

  get isUp(): boolean {
    return this.#process !== undefined
  }

  /** Starts a process. */
  boot(): SimulatedProcess {
    if (this.#process) this.crash('process')
    const process: Process = { isAlive: true, host: this.network.host(this.name) }
    this.#process = process
    this.#crashWork = []
    const { clock, random } = this.world
    return {
      clock,
      random,
      scheduler: schedulerOf(process, this.world.scheduler),
      net: process.host.net,
      disk: diskOf(process, this.disk),
      onCrash: work => this.#crashWork.push(work),
    }
  }

  /** Ends the process at this very moment. */
  crash(kind: CrashKind): void {
    const process = this.#process
    if (!process) return
    this.#process = undefined
    process.isAlive = false
    process.host.kill()
    this.disk.crash(kind)
    for (const work of this.#crashWork.splice(0)) work(kind)
  }
}

const NOTHING: Cancel = () => undefined

function schedulerOf(process: Process, scheduler: Scheduler): Scheduler {
  const alive = (work: () => void) => () => {
    if (process.isAlive) work()
  }
  return {
    after: (delayMs, work, options) => (process.isAlive ? scheduler.after(delayMs, alive(work), options) : NOTHING),
    microtask: work => scheduler.microtask(alive(work)),
    turn: work => {
      if (process.isAlive) scheduler.turn(alive(work))
    },
    ...(scheduler.choose && { choose: count => scheduler.choose!(count) }),
  }
}

/** A process that is gone but still has a continuation under way must not touch the disk of its successor. */
function diskOf(process: Process, disk: SimulatedDisk): Disk {
  const checked = <A extends unknown[], R>(call: (...args: A) => R) => {
    return (...args: A): R => {
      if (!process.isAlive) throw Object.assign(new Error('EIO: this process has crashed'), { code: 'EIO' })
      return call(...args)
    }
  }
  return {
    makeDirectory: checked(path => disk.makeDirectory(path)),
    list: checked(path => disk.list(path)),
    size: checked(path => disk.size(path)),
    open: checked((path, mode) => disk.open(path, mode)),
    close: checked(file => disk.close(file)),
    write: checked((file, bytes, offset, length, position) => disk.write(file, bytes, offset, length, position)),
    read: checked((file, bytes, offset, length, position) => disk.read(file, bytes, offset, length, position)),
    syncData: checked(file => disk.syncData(file)),
    syncDirectory: checked(path => disk.syncDirectory(path)),
    truncate: checked((file, size) => disk.truncate(file, size)),
    rename: checked((from, to) => disk.rename(from, to)),
    remove: checked(path => disk.remove(path)),
    space: checked(path => disk.space(path)),
  }
}
