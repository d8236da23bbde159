import { MillraceError } from '../errors.js'

type Unit = 'ms' | 's' | 'min' | 'h' | 'd'

/** A length of time: milliseconds as a number, or a number and a unit such as `'100 ms'`, `'5 min'`, `'1 h'`, `'2 d'`. */
export type Duration = number | `${number} ${Unit}` | `${number}${Unit}`

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds, whole and not negative. @throws MillraceError INVALID_ARGUMENT */
export function durationMs(duration: Duration): number {
  const parsed = typeof duration === 'number' ? duration : parseText(duration)
  if (!Number.isSafeInteger(parsed) || parsed < 0)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"${duration}" is not a duration; write a whole number of milliseconds, or "100 ms", "10 s", "5 min", "1 h", "2 d"`,
    )
  return parsed
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|min|h|d)$/.exec(text)
  return match ? Number(match[1]) * UNIT_MS[match[2]!]! : Number.NaN
}

/** The shortest exact way to write `ms`: `3600000` is `1 h`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'min', 's'])
    if (ms > 0 && ms % UNIT_MS[unit]! === 0) return `${ms / UNIT_MS[unit]!} ${unit}`
  return `${ms} ms`
}
