import { CommanderError } from 'commander'
import { EXIT, reportFailure } from './failure.js'
import type { CommandIo, CommonOptions } from './io.js'
import { createProgram } from './program.js'

/** Runs one command line (without `node millrace`) and gives the exit code. Never throws. */
export async function runCommandLine(args: readonly string[], io: CommandIo, version: string): Promise<number> {
  let options: CommonOptions = { json: args.includes('--json'), debug: args.includes('--debug') }
  let work: (() => Promise<void>) | undefined
  const run = (chosen: CommonOptions, chosenWork: () => Promise<void>): void => {
    options = chosen
    work = chosenWork
  }
  try {
    const program = createProgram({ io, run }, version, options.json === true)
    if (args.length === 0) {
      io.talk(program.helpInformation())
      return EXIT.usage
    }
    program.parse(args, { from: 'user' })
    await work?.()
    return EXIT.done
  } catch (error) {
    // Commander has said what is wrong; its code 0 is help or version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    return reportFailure(error, io, options)
  }
}
