import type { Readable } from 'node:stream'

/** What a command may touch of the process; tests give their own. */
export interface CommandIo {
  /** Results only: what a script would read. */
  readonly out: (text: string) => void
  /** Everything said to a person: progress, hints, warnings, errors. */
  readonly talk: (text: string) => void
  readonly input: Readable & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Are results read by a person at a terminal? */
  readonly isOutTerminal: boolean
  /** May progress be redrawn in place? */
  readonly isTalkTerminal: boolean
  /** Aborted by Ctrl-C or SIGTERM: end cleanly. A second signal ends the process at once. */
  readonly stopSignal: AbortSignal
}

/** Options every command has. */
export interface CommonOptions {
  readonly json?: boolean
  readonly debug?: boolean
  /** False after `--no-color`. */
  readonly color?: boolean
}

/** Colours are for terminals whose user did not ask for none. @see no-color.org */
export function wantsColor(io: CommandIo, options: CommonOptions, isTerminal: boolean): boolean {
  return isTerminal && options.color !== false && !io.environment['NO_COLOR'] && io.environment['TERM'] !== 'dumb'
}
