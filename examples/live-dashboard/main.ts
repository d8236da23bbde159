import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Millrace } from 'millrace'
import { Feed } from './feed.js'
import { liveDashboard, load, requests } from './pipeline.js'

const ROUTES = ['/', '/books', '/cart', '/help']
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
process.once('SIGTERM', () => stop.abort())

await using millrace = await Millrace.start()
await millrace.run(liveDashboard)
const feed = new Feed()
feed.server.listen(Number(process.argv[2] ?? 8090), '127.0.0.1')
await once(feed.server, 'listening')
console.log(`http://127.0.0.1:${(feed.server.address() as AddressInfo).port} shows the load; Ctrl-C ends it`)

const updates = millrace.consumer({ group: 'live-dashboard-feed', topics: [load.name], model: 'broadcasting' })
await updates.run(message => feed.send(load.value.deserialize(message.body)))

while (!stop.signal.aborted) {
  const route = ROUTES[Math.floor(Math.random() ** 2 * ROUTES.length)]!
  await millrace.send(requests, { route, durationMs: 5 + Math.random() * 50, at: Date.now() })
  await pause(20, undefined, { signal: stop.signal }).catch(() => undefined)
}
feed.close()
await updates.close()
