import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type FileCall = 'write' | 'writev' | 'pwrite' | 'pwrite64' | 'pwritev' | 'pwritev64' | 'fsync' | 'fdatasync'

export const WRITE_CALLS: readonly FileCall[] = ['write', 'writev', 'pwrite', 'pwrite64', 'pwritev', 'pwritev64']
export const SYNC_CALLS: readonly FileCall[] = ['fsync', 'fdatasync']

const ERRNO = { EIO: 5, ENOSPC: 28 } as const

export interface FaultPlan {
  readonly calls: readonly FileCall[]
  /** Part of the path of the files concerned. */
  readonly path: string
  readonly error: keyof typeof ERRNO
  /** Which of the calls since arming fail, 1-based, both inclusive; by default all of them. */
  readonly first?: number
  readonly last?: number
}

export interface Faults {
  /** Environment for the process under test. Nothing fails before `arm`. */
  readonly environment: Readonly<Record<string, string>>
  arm(): void
  disarm(): void
}

/** Why faults cannot be injected on this machine; undefined when they can. */
export function faultsUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'fault injection needs Linux (LD_PRELOAD)'
  return spawnSync('gcc', ['--version']).status === 0 ? undefined : 'fault injection needs gcc on the PATH'
}

/** Builds the shim in `directory` and plans one kind of fault for one process. */
export function planFaults(directory: string, plan: FaultPlan): Faults {
  const source = fileURLToPath(new URL('fault-shim.c', import.meta.url))
  const library = join(directory, 'fault-shim.so')
  const built = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`the fault shim does not compile: ${built.stderr}`)
  const arm = join(directory, 'fault-armed')
  return {
    environment: {
      LD_PRELOAD: library,
      FAULT_CALLS: `,${plan.calls.join(',')},`,
      FAULT_PATH: plan.path,
      FAULT_ERRNO: String(ERRNO[plan.error]),
      FAULT_ARM: arm,
      ...(plan.first === undefined ? {} : { FAULT_FIRST: String(plan.first) }),
      ...(plan.last === undefined ? {} : { FAULT_LAST: String(plan.last) }),
    },
    arm: () => writeFileSync(arm, ''),
    disarm: () => rmSync(arm, { force: true }),
  }
}
