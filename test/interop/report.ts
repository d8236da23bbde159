import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { it } from 'vitest'

const here = fileURLToPath(new URL('.', import.meta.url))
const resultsFile = join(here, 'target/results.json')
const page = join(here, '../../docs/interop.md')

/** target → feature → client → did it work. A cell that is absent was not tried. */
type Results = Record<string, Record<string, Record<string, boolean>>>

function load(): Results {
  return existsSync(resultsFile) ? (JSON.parse(readFileSync(resultsFile, 'utf8')) as Results) : {}
}

function record(target: string, feature: string, client: string, worked: boolean): void {
  const results = load()
  const row = ((results[target] ??= {})[feature] ??= {})
  row[client] = worked
  mkdirSync(join(here, 'target'), { recursive: true })
  writeFileSync(resultsFile, JSON.stringify(results, null, 1))
}

/** A case of the suite that is also a cell of docs/interop.md: `feature` × `client`. */
export function feature(target: string, client: string, name: string, body: () => Promise<void>, timeoutMs?: number) {
  it(
    name,
    async () => {
      record(target, name, client, false)
      await body()
      record(target, name, client, true)
    },
    timeoutMs,
  )
}

/** Writes docs/interop.md from all results there are. Called when a test file ends. */
export function writePage(): void {
  const results = load()
  const clients = [...new Set(Object.values(results).flatMap(rows => Object.values(rows).flatMap(Object.keys)))]
  const sections = Object.entries(results).map(([target, rows]) => {
    const lines = Object.entries(rows).map(([name, cells]) => {
      const marks = clients.map(client => (cells[client] === undefined ? '–' : cells[client] ? 'yes' : '**no**'))
      return `| ${[name, ...marks].join(' | ')} |`
    })
    const head = `| | ${clients.join(' | ')} |\n|---|${clients.map(() => ':-:|').join('')}`
    return `## ${target}\n\n${head}\n${lines.join('\n')}\n`
  })
  const intro = `# Clients that nobody here wrote

Written by \`npm run test:interop\`: official, unmodified clients against a running name server and broker. The same
cases run against Apache RocketMQ, so a "no" is Millrace's and not the suite's. "–": the client has no such feature, or
the case does not use it. What each client sends and expects back is in \`test/interop/README.md\`.

Last run: ${new Date().toISOString().slice(0, 10)}, Node ${process.version}.
`
  writeFileSync(page, `${intro}\n${sections.join('\n')}`)
}
