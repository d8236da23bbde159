import type { Environment } from '@millrace/core'

/** Resolves after `ms` milliseconds, or at once when `signal` is aborted. */
export function pause(environment: Environment, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const finish = (): void => {
      cancel()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = environment.scheduler.after(ms, finish)
    signal?.addEventListener('abort', finish, { once: true })
  })
}
