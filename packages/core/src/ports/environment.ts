import type { Clock } from './clock.js'
import type { Disk } from './disk.js'
import type { Net } from './net.js'
import type { Random } from './random.js'
import type { Scheduler } from './scheduler.js'

/** Everything an actor can know of the outside world. */
export interface Environment {
  readonly clock: Clock
  readonly random: Random
  readonly scheduler: Scheduler
  readonly net: Net
  readonly disk: Disk
}
