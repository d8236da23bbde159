import type { Environment } from '../ports/environment.js'
import { nodeClock } from './node-clock.js'
import { nodeDisk } from './node-disk.js'
import { nodeNet } from './node-net.js'
import { nodeRandom } from './node-random.js'
import { nodeScheduler } from './node-scheduler.js'

/** The real outside world: the event loop, TCP and the file system. Replace single ports with a spread. */
export function nodeEnvironment(): Environment {
  return { clock: nodeClock, random: nodeRandom, scheduler: nodeScheduler, net: nodeNet, disk: nodeDisk }
}
