import type { Random } from '../ports/random.js'
import type { RestartSupervision, Supervision } from './types.js'

/** Ten restarts within a minute, the first after 100 ms, the last after 10 s. Then the actor stops. */
export const DEFAULT_SUPERVISION: Required<RestartSupervision> = {
  kind: 'restart',
  backoffMsMin: 100,
  backoffMsMax: 10_000,
  restartsMax: 10,
  windowMs: 60_000,
}

const JITTER = 0.2

export type Verdict =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: Exclude<Supervision['kind'], 'restart'> }

/**
 * What to do about a failure now.
 * @param failuresMs  times of earlier failures that led to a restart, oldest first; kept up to date here.
 */
export function judge(supervision: Supervision, failuresMs: number[], nowMs: number, random: Random): Verdict {
  if (supervision.kind !== 'restart') return { kind: supervision.kind }
  const { backoffMsMin, backoffMsMax, restartsMax, windowMs } = { ...DEFAULT_SUPERVISION, ...supervision }
  while (failuresMs.length > 0 && failuresMs[0]! <= nowMs - windowMs) failuresMs.shift()
  if (failuresMs.length >= restartsMax) return { kind: 'stop' }
  const backoffMs = Math.min(backoffMsMax, backoffMsMin * 2 ** failuresMs.length)
  failuresMs.push(nowMs)
  return { kind: 'restart', delayMs: backoffMs * (1 + JITTER * random.next()) }
}
