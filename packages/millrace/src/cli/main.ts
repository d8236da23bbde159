import { createRequire } from 'node:module'
import { runCommandLine } from './run.js'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
    stop.abort()
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
