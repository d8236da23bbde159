import { createRequire } from 'node:module'
import { runCommandLine } from './run.js'

/** npm and `timeout` pass signals on that the terminal has sent already: two in so short a time are one. */
const SAME_SIGNAL_MS = 500

const stop = new AbortController()
let stoppedAt = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (!stop.signal.aborted) {
      stoppedAt = performance.now()
      stop.abort()
    } else if (performance.now() - stoppedAt > SAME_SIGNAL_MS) process.exit(signal === 'SIGINT' ? 130 : 143)
  })

// A reader that went away (`millrace tail x | head`) ends the command, quietly.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

process.exitCode = await runCommandLine(
  process.argv.slice(2),
  {
    out: text => void process.stdout.write(text),
    talk: text => void process.stderr.write(text),
    input: process.stdin,
    environment: process.env,
    isOutTerminal: process.stdout.isTTY === true,
    isTalkTerminal: process.stderr.isTTY === true,
    stopSignal: stop.signal,
  },
  version,
)
