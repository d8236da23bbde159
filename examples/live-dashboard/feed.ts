import { createServer, type Server, type ServerResponse } from 'node:http'
import type { Windowed } from 'millrace'
import type { Load } from './pipeline.js'

/** Bytes that a browser may have unread before it is dropped: it connects again and misses what is old anyway. */
const UNREAD_BYTES_MAX = 64 * 1024

const PAGE = `<!doctype html><title>Load</title><pre id="load"></pre><script>
const rows = new Map()
new EventSource('/events').onmessage = ({ data }) => {
  const { key, window, value } = JSON.parse(data)
  rows.set(key, key.padEnd(12) + value.requests + ' requests, ' + value.meanMs.toFixed(1) + ' ms')
  document.getElementById('load').textContent = [...rows.values()].sort().join('\\n')
}
</script>`

/** Server-sent events of what the pipeline says. */
export class Feed {
  readonly #browsers = new Set<ServerResponse>()
  readonly server: Server = createServer((request, response) => {
    if (request.url !== '/events') {
      response.setHeader('content-type', 'text/html; charset=utf-8').end(PAGE)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }).write(': hello\n\n')
    this.#browsers.add(response)
    response.on('close', () => this.#browsers.delete(response))
  })

  send(update: Windowed<string, Load>): void {
    for (const browser of this.#browsers) {
      if (browser.writableLength > UNREAD_BYTES_MAX) browser.destroy()
      else browser.write(`data: ${JSON.stringify(update)}\n\n`)
    }
  }

  close(): void {
    for (const browser of this.#browsers) browser.destroy()
    this.server.close()
  }
}
