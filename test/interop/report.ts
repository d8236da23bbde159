import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { killChildren } from './children.js'
import { apacheName } from './targets.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const resultsDir = join(here, 'target/results')
const page = join(here, '../../docs/interop.md')

/** Apache is the reference, not under test: what fails there for once is tried again. */
const TRIES_ON_APACHE = 3

/** target → feature → client → did it work. A cell that is absent was not tried. */
type Results = Record<string, Record<string, Record<string, boolean>>>

/** A client program that did not come up: not a finding about the broker until it happens twice. */
export class ClientStartError extends Error {}

/** Test files run at the same time, so each keeps its own results; the page is made of all. */
function fileOfThisTest(): string {
  return join(resultsDir, `${basename(expect.getState().testPath ?? 'unknown', '.test.ts')}.json`)
}

function read(file: string): Results {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : {}
}

function load(): Results {
  const all: Results = {}
  const files = existsSync(resultsDir) ? readdirSync(resultsDir).filter(name => name.endsWith('.json')) : []
  for (const name of files.sort()) {
    for (const [target, rows] of Object.entries(read(join(resultsDir, name)))) {
      for (const [feature, cells] of Object.entries(rows)) {
        const known = (all[target] ??= {})
        known[feature] = { ...known[feature], ...cells }
      }
    }
  }
  return all
}

function record(target: string, feature: string, client: string, worked: boolean): void {
  const file = fileOfThisTest()
  const results = read(file)
  const row = ((results[target] ??= {})[feature] ??= {})
  row[client] = worked
  mkdirSync(resultsDir, { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(results, null, 1))
  renameSync(`${file}.new`, file) // another test file may be reading it
}

/**
 * A case of the suite that is also a cell of docs/interop.md: `feature` × `client`. On Apache it is tried again when
 * it fails; on Millrace only when a client program did not start, so that nothing the broker does is hidden.
 * @param body gets the number of the try; from the second on it must not rely on what the try before left.
 * @param tryMs how long one try may take.
 */
export function feature(
  target: string,
  client: string,
  name: string,
  body: (attempt: number) => Promise<void>,
  tryMs: number,
): void {
  const tries = target === apacheName ? TRIES_ON_APACHE : 2
  it(
    name,
    async () => {
      record(target, name, client, false)
      for (let attempt = 1; ; attempt++) {
        try {
          await within(tryMs, body(attempt))
          if (attempt > 1) console.warn(`interop: "${name}" (${client}) needed ${attempt} tries on ${target}`)
          break
        } catch (error) {
          if (attempt === tries || !(target === apacheName || error instanceof ClientStartError)) throw error
          console.warn(`interop: "${name}" (${client}) failed on ${target}, again: ${String(error).slice(0, 500)}`)
          await killChildren()
        }
      }
      record(target, name, client, true)
    },
    tries * (tryMs + 10_000),
  )
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${limitMs} ms`)), limitMs)
  })
  work.catch(() => {}) // when it fails after its time
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
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
the case does not use it. What each client sends and expects back is in \`test/interop/README.md\`; where Millrace differs from
Apache on purpose, and why, in [differences.md](differences.md).

Last run: ${new Date().toISOString().slice(0, 10)}, Node ${process.version}.
`
  writeFileSync(page, `${intro}\n${sections.join('\n')}`)
}
