// Run as a child with --expose-gc: prints the heap and resident bytes per idle actor of one subject as JSON.
import { effectIdle } from './subjects/effect.mjs'
import { emitterIdle } from './subjects/emitter.mjs'
import { millraceIdle } from './subjects/millrace.mjs'
import { nactIdle } from './subjects/nact.mjs'
import { xstateIdle } from './subjects/xstate.mjs'

const MAKERS = {
  millrace: millraceIdle,
  nact: nactIdle,
  xstate: xstateIdle,
  effect: effectIdle,
  EventEmitter: emitterIdle,
}

const [name, countText] = process.argv.slice(2)
const count = Number(countText)
// Code and library state are in place before the count begins.
await MAKERS[name](10)
const before = measured()
const { activeCount, keep } = await MAKERS[name](count)
const after = measured()
if (activeCount !== count) throw new Error(`${name} keeps ${activeCount} of ${count} actors`)
const perActor = {
  heapBytes: Math.round((after.heapUsed - before.heapUsed) / count),
  residentBytes: Math.round((after.rss - before.rss) / count),
}
process.stdout.write(JSON.stringify(perActor), () => process.exit(keep === undefined ? 1 : 0))

function measured() {
  for (let i = 0; i < 4; i++) globalThis.gc()
  return process.memoryUsage()
}
