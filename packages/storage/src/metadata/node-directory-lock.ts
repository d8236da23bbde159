import { linkSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '@millrace/core'

const LOCK_FILE = 'millrace.lock'

/** Directories this process holds: the lock file alone cannot tell us from an earlier process with our pid. */
const held = new Set<string>()

export interface DirectoryLock {
  /** Removes the lock file. Idempotent. */
  readonly release: () => void
}

/**
 * Takes a directory for this process, creating it. Guards against a second broker on the same machine; processes in
 * other containers or on other hosts that share the directory are not seen.
 *
 * The file `millrace.lock` names pid, the pid's start time and the boot: a lock whose process is gone, also when its
 * pid has been given to another one, is taken over.
 * @throws MillraceError STORE_LOCKED, naming the pid
 */
export function lockDirectory(directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true })
  const path = realpathSync(directory)
  const file = join(path, LOCK_FILE)
  if (held.has(path)) throw lockedBy(path, process.pid)
  const owner = describe(process.pid)
  while (!create(file, owner)) takeAway(path, file)
  held.add(path)
  return {
    release: () => {
      if (held.delete(path)) rmSync(file, { force: true })
    },
  }
}

function create(file: string, owner: string): boolean {
  try {
    writeFileSync(file, owner, { flag: 'wx' })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Removes a dead owner's lock. Two starting processes may both try: the loser must not remove the winner's lock. */
function takeAway(path: string, file: string): void {
  const seen = readIfThere(file)
  if (seen === undefined) return
  const pid = Number.parseInt(seen, 10)
  if (pid !== process.pid && isAlive(pid) && describe(pid) === seen) throw lockedBy(path, pid)
  const aside = `${file}.${process.pid}`
  try {
    renameSync(file, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  const taken = readFileSync(aside, 'utf8')
  if (taken !== seen) linkSync(aside, file)
  rmSync(aside, { force: true })
  if (taken !== seen) throw lockedBy(path, Number.parseInt(taken, 10))
}

function lockedBy(path: string, pid: number): MillraceError {
  return new MillraceError(
    'STORE_LOCKED',
    `data directory "${path}" is in use by process ${pid}; stop that process or choose another directory`,
    { detail: { pid } },
  )
}

/** Who a pid is: `pid start-time boot`; the last two are blank where there is no /proc. */
function describe(pid: number): string {
  const status = readIfThere(`/proc/${pid}/stat`) ?? ''
  // Field 22, counted behind the command name in parentheses, which may hold blanks.
  const startTicks = status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  const boot = (readIfThere('/proc/sys/kernel/random/boot_id') ?? '').trim()
  return `${pid} ${startTicks} ${boot}\n`
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
