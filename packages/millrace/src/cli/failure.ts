import type { ErrorCode, MillraceError } from '@millrace/core'
import pc from 'picocolors'
import { type CommandIo, type CommonOptions, wantsColor } from './io.js'

/**
 * How the process ends. 0: done. 1: it failed, trying again may help. 2: the command line or the configuration is
 * wrong, trying again will not help. 130: stopped by Ctrl-C before it was done.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** What to do about an error, where the message itself cannot know. */
const FIXES: Partial<Record<ErrorCode, string>> = {
  ADDRESS_IN_USE:
    'stop the program that listens there, or choose ports with --nameserver-port and --broker-port (0 picks a free one)',
  CONNECT_FAILED: 'start a service with "millrace start", or name one with --nameserver HOST:PORT',
  CONNECTION_LOST: 'look whether the service still runs, then try again',
  TIMEOUT: 'look whether the service still runs; --timeout gives it more time',
  TOPIC_NOT_FOUND: 'see "millrace topic list", or create it with "millrace topic create NAME"',
  GROUP_NOT_FOUND: 'see "millrace group list"; a group exists once a consumer has joined it',
  INVALID_CONFIG: 'see "millrace config show" for all keys and their values',
  DISK_FULL: 'free disk space, or lower fileReservedTime or logBytesMax',
  STORE_LOCKED: 'stop the broker that uses this data directory, or choose another one with --data',
  STORE_CORRUPT: 'keep a copy of the data directory before trying anything else',
  INVARIANT: 'this is a bug in Millrace: please report it with the output of the same command with --debug',
}

/** A command was called wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The user stopped the command before it was done. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  constructor() {
    super('stopped before it was done')
  }
}

/** Tells what went wrong on stderr and returns the exit code. */
export function reportFailure(error: unknown, io: CommandIo, options: CommonOptions): number {
  if (error instanceof Interrupted) {
    io.talk(`${error.message}\n`)
    return EXIT.interrupted
  }
  const known = asMillraceError(error)
  const code = known?.code ?? (error instanceof UsageError ? 'USAGE' : 'UNEXPECTED')
  const message = error instanceof Error ? error.message : String(error)
  const fix = known ? FIXES[known.code] : code === 'UNEXPECTED' ? FIXES.INVARIANT : undefined
  if (options.json) io.talk(`${JSON.stringify({ error: { code, message, ...(fix ? { fix } : {}) } })}\n`)
  else {
    const color = pc.createColors(wantsColor(io, options, io.isTalkTerminal))
    io.talk(`${color.red('error')} ${color.bold(code)}: ${message}\n`)
    if (fix) io.talk(`${color.cyan('fix')}: ${fix}\n`)
  }
  if (options.debug && error instanceof Error) io.talk(`${stackOf(error)}\n`)
  return code === 'USAGE' || code === 'INVALID_CONFIG' || code === 'INVALID_ARGUMENT' ? EXIT.usage : EXIT.failed
}

/** By shape: the class would load the whole core package before `--help` can be answered. */
function asMillraceError(error: unknown): MillraceError | undefined {
  return error instanceof Error && 'code' in error && 'isRetryable' in error ? (error as MillraceError) : undefined
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
