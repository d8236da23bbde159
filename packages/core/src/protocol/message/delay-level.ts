/** The official `messageDelayLevel`: level 1 is the first. behaviour.md §10 */
export const DEFAULT_DELAY_LEVELS = '1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h'

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of each delay level, level 1 first; undefined when the text is not a list of `<count><s|m|h|d>`. */
export function parseDelayLevels(text: string): readonly number[] | undefined {
  const levels: number[] = []
  for (const part of text.trim().split(/\s+/)) {
    const match = /^(\d{1,9})([smhd])$/.exec(part)
    if (match === null) return undefined
    levels.push(Number(match[1]) * UNIT_MS[match[2]])
  }
  return levels
}

/** Delay of a level of 1 or more; a level above the last counts as the last. */
export function delayLevelMs(levels: readonly number[], level: number): number {
  return levels[Math.min(level, levels.length) - 1]
}
