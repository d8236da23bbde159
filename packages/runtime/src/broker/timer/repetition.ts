import { MillraceError, PropertyName } from '@millrace/core'
import { Cron } from 'croner'

/** When a message is stored again and again: by a cron expression, or at a fixed distance. docs/messages.md */
export interface Repetition {
  readonly cron: Cron | undefined
  /** Milliseconds between two; 0 with a cron expression. */
  readonly everyMs: number
  /** Nothing comes after this time (ms). */
  readonly untilMs: number
}

/** A repetition costs the broker a message each time: not more often than this. */
const EVERY_MS_MIN = 1000
const EVERY_MS_MAX = 366 * 86_400_000
const CRON_LENGTH_MAX = 200

/** @throws MillraceError INVALID_ARGUMENT for an expression, zone or number that cannot be read */
export function parseRepetition(properties: Readonly<Record<string, string>>): Repetition {
  const expression = properties[PropertyName.MILLRACE_CRON]
  const every = properties[PropertyName.MILLRACE_REPEAT_MS]
  const until = properties[PropertyName.MILLRACE_REPEAT_UNTIL_MS]
  if (expression !== undefined && every !== undefined)
    throw invalid('MILLRACE_CRON and MILLRACE_REPEAT_MS exclude each other; send one of them')
  return {
    cron: expression === undefined ? undefined : cronOf(expression, properties[PropertyName.MILLRACE_CRON_ZONE]),
    everyMs: every === undefined ? 0 : numberOf(PropertyName.MILLRACE_REPEAT_MS, every, EVERY_MS_MIN, EVERY_MS_MAX),
    untilMs:
      until === undefined
        ? Number.POSITIVE_INFINITY
        : numberOf(PropertyName.MILLRACE_REPEAT_UNTIL_MS, until, 0, Number.MAX_SAFE_INTEGER),
  }
}

/** The first time: not before `asked` when a timer property names a time, else one step from now. Undefined: none is left. */
export function firstOccurrence(repetition: Repetition, asked: number | undefined, now: number): number | undefined {
  const { cron, everyMs } = repetition
  const first = cron ? nextMatch(cron, Math.max(asked ?? 0, now + 1)) : (asked ?? now + everyMs)
  return within(repetition, first)
}

/** The first time after `now` in the series that `due` belongs to; what was missed meanwhile is left out. */
export function nextOccurrence(repetition: Repetition, due: number, now: number): number | undefined {
  const { cron, everyMs } = repetition
  if (cron) return within(repetition, nextMatch(cron, Math.max(due, now) + 1))
  const steps = Math.max(1, Math.floor((now - due) / everyMs) + 1)
  return within(repetition, due + steps * everyMs)
}

function within({ untilMs }: Repetition, time: number | undefined): number | undefined {
  return time !== undefined && time <= untilMs ? time : undefined
}

/** First match at or after `time`. */
function nextMatch(cron: Cron, time: number): number | undefined {
  return cron.nextRun(new Date(time - 1))?.getTime()
}

function cronOf(expression: string, zone: string | undefined): Cron {
  if (expression.length > CRON_LENGTH_MAX)
    throw invalid(`MILLRACE_CRON has ${expression.length} characters; ${CRON_LENGTH_MAX} is the limit`)
  try {
    const cron = new Cron(expression, { timezone: zone ?? 'UTC', paused: true })
    // The zone is looked at when a time is computed.
    cron.nextRun(new Date(0))
    return cron
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalid(`MILLRACE_CRON "${expression}" in zone ${zone ?? 'UTC'} cannot be read: ${reason}`)
  }
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max))
    throw invalid(`${name} is "${text.slice(0, 40)}"; send a whole number from ${min} to ${max}`)
  return value
}

function invalid(message: string): MillraceError {
  return new MillraceError('INVALID_ARGUMENT', message)
}
