import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Millrace } from 'millrace'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { flightsTopic, readFlights } from '../flights.js'

const MAIN = join(import.meta.dirname, '../../dist/flight-delays/main.js')
const FLIGHTS = 1500

let data: string
let running: ChildProcess | undefined
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'millrace-flights-'))
})
afterEach(async () => {
  if (running?.exitCode === null && running.signalCode === null) {
    running.kill('SIGKILL')
    await once(running, 'exit')
  }
  await rm(data, { recursive: true, force: true })
})

function start(...args: string[]): ChildProcess {
  const fixed = ['--data', data, '--limit', String(FLIGHTS), '--nameserver-port', '0', '--broker-port', '0']
  running = spawn(process.execPath, [MAIN, ...fixed, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  return running
}

/** What the demo prints until a status line says that at least `count` flights were sent. */
async function untilSent(demo: ChildProcess, count: number): Promise<string> {
  let output = ''
  for await (const chunk of demo.stdout!.iterator({ destroyOnReturn: false })) {
    output += String(chunk)
    const sent = [...output.matchAll(/flights sent ([\d,]+) of/g)].map(([, figure]) => Number(figure.replace(',', '')))
    if (sent.some(figure => figure >= count)) return output
  }
  throw new Error(`the demo ended early: ${output}`)
}

async function ended(demo: ChildProcess, signal?: NodeJS.Signals): Promise<number | null> {
  demo.stdout!.resume()
  const exit = once(demo, 'exit')
  if (signal) demo.kill(signal)
  const [code] = (await exit) as [number | null]
  return code
}

it('shows delays, and after a crash and a Ctrl-C goes on without losing or repeating a flight', async () => {
  const first = start('--rate', '400')
  expect(await untilSent(first, 200)).toMatch(/npx millrace tail delays-by-airport --nameserver 127\.0\.0\.1:\d+/)
  await ended(first, 'SIGKILL')

  const second = start('--rate', '400')
  expect(await untilSent(second, 600)).toMatch(/resuming: [\d,]+ of 1,500 flights/)
  expect(await ended(second, 'SIGINT')).toBe(0)

  const third = start('--once')
  const [output, code] = await Promise.all([text(third.stdout!), ended(third)])
  expect(code).toBe(0)
  expect(output).toContain('flights sent 1,500 of 1,500 (all')
  expect(output).toMatch(/^AIRPORT +FLIGHTS +MEAN DELAY/m)
  expect(output).toMatch(/^ATL +\d+ +-?\d+\.\d min/m)

  await using millrace = await Millrace.start({ dataDir: data })
  const bodies: string[] = []
  for await (const { body } of millrace.consumer({ group: 'check', topics: [flightsTopic.name], from: 'first' }))
    if (bodies.push(body.toString()) === FLIGHTS) break
  const expected = (await readFlights()).slice(0, FLIGHTS).map(flight => JSON.stringify(flight))
  expect(bodies.toSorted()).toEqual(expected.toSorted())
  const stored = await millrace.admin.describeTopic(flightsTopic.name)
  expect(stored.reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(FLIGHTS)
}, 180_000)
