import { PropertyName } from '@millrace/core'

/** How a topic tells repeats. */
export interface DedupRule {
  /** Undefined: by count alone. */
  readonly windowMs: number | undefined
  readonly countMax: number
  /** Message property that repeats share. */
  readonly property: string
}

/** Topic attributes of ours; without either of the first two a topic stores whatever comes. */
export const DEDUP_ATTRIBUTE = {
  windowMs: 'dedup.window.ms',
  count: 'dedup.count',
  property: 'dedup.property',
} as const

const WINDOW_MS_MAX = 7 * 24 * 3_600_000
const COUNT_MAX = 1_000_000

export function isDedupWindow(value: string): boolean {
  return /^\d{1,9}$/.test(value) && Number(value) >= 1 && Number(value) <= WINDOW_MS_MAX
}

export function isDedupCount(value: string): boolean {
  return /^\d{1,7}$/.test(value) && Number(value) >= 1 && Number(value) <= COUNT_MAX
}

/** ASCII without separators: what a property name may be. */
export function isDedupProperty(value: string): boolean {
  return /^[A-Za-z0-9_.$-]{1,100}$/.test(value)
}

/** Undefined: the topic does not deduplicate. */
export function dedupRuleOf(attributes: Readonly<Record<string, string>>): DedupRule | undefined {
  const windowMs = attributes[DEDUP_ATTRIBUTE.windowMs]
  const count = attributes[DEDUP_ATTRIBUTE.count]
  if (windowMs === undefined && count === undefined) return undefined
  return {
    windowMs: windowMs === undefined ? undefined : Number(windowMs),
    countMax: count === undefined ? COUNT_MAX : Number(count),
    property: attributes[DEDUP_ATTRIBUTE.property] ?? PropertyName.UNIQ_KEY,
  }
}
