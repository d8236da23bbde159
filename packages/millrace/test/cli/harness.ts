import { Readable } from 'node:stream'
import type { CommandIo } from '../../src/cli/io.js'
import { runCommandLine } from '../../src/cli/run.js'

export interface Ran {
  readonly exitCode: number
  readonly out: string
  readonly talk: string
}

export interface RunOptions {
  readonly input?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly isTerminal?: boolean
  readonly stopSignal?: AbortSignal
  /** Hears results as they come. */
  readonly onOut?: (text: string) => void
}

/** Runs a command line in this process, as `millrace …args` would. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input, environment = {}, isTerminal = false, stopSignal = new AbortController().signal } = options
  let out = ''
  let talk = ''
  const io: CommandIo = {
    out: text => {
      out += text
      options.onOut?.(text)
    },
    talk: text => {
      talk += text
    },
    input: Object.assign(Readable.from(input === undefined ? [] : [input]), { isTTY: input === undefined }),
    environment,
    isOutTerminal: isTerminal,
    isTalkTerminal: isTerminal,
    stopSignal,
  }
  const exitCode = await runCommandLine(args, io, '1.2.3')
  return { exitCode, out, talk }
}
