import type { JsonInput } from '@millrace/core'

/** Milliseconds; a group's own policy cannot hold a message back for longer. */
const DELAY_MS_MAX = 30 * 86_400_000
const EXPONENT_MAX = 32
/** A list of delays begins with the two levels that retries skip. behaviour.md §4 */
const FIRST_RETRY_AT = 2
const EXPONENTIAL = { initial: 5_000, max: 7_200_000, multiplier: 2 }

type Members = Readonly<Record<string, JsonInput | undefined>>

/**
 * Delay before a message comes again that was consumed `reconsumeTimes` times before this one, by the group's `groupRetryPolicy`:
 * EXPONENTIAL `initial · multiplier^n` up to `max`, or CUSTOMIZED with a list of its own. Undefined: the policy is the
 * default one, which is the delay levels, or cannot be read. behaviour.md §4 @see RocketMQ `GroupRetryPolicy`
 */
export function retryDelayMs(policy: JsonInput, reconsumeTimes: number): number | undefined {
  const members = membersOf(policy)
  if (members['type'] === 'EXPONENTIAL') {
    const given = membersOf(members['exponentialRetryPolicy'])
    const initial = positive(given['initial'], EXPONENTIAL.initial)
    const multiplier = positive(given['multiplier'], EXPONENTIAL.multiplier)
    const delay = initial * multiplier ** Math.min(Math.max(reconsumeTimes, 0), EXPONENT_MAX)
    return Math.floor(Math.min(delay, positive(given['max'], EXPONENTIAL.max), DELAY_MS_MAX))
  }
  const next = membersOf(members['customizedRetryPolicy'])['next']
  if (!Array.isArray(next) || next.length === 0) return undefined
  const delays = next as readonly unknown[]
  const delay = delays[Math.min(Math.max(reconsumeTimes, 0) + FIRST_RETRY_AT, delays.length - 1)]
  return typeof delay === 'number' && delay >= 0 ? Math.floor(Math.min(delay, DELAY_MS_MAX)) : undefined
}

function membersOf(value: JsonInput | undefined): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {}
}

function positive(value: JsonInput | undefined, otherwise: number): number {
  return typeof value === 'number' && value > 0 ? value : otherwise
}
