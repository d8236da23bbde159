import { MillraceError, PropertyName, ResponseCode } from '@millrace/core'
import { Refusal } from '../../requests/answer.js'
import { firstOccurrence, parseRepetition } from './repetition.js'

/** What limits timers. Names of RocketMQ's configuration. */
export interface TimerLimits {
  readonly timerWheelEnable: boolean
  readonly timerMaxDelaySec: number
}

/** Properties that ask for a time, in the order they are looked at. behaviour.md §11 */
export const TIMER_PROPERTIES = [
  PropertyName.TIMER_DELAY_SEC,
  PropertyName.TIMER_DELAY_MS,
  PropertyName.TIMER_DELIVER_MS,
] as const

/** Properties that ask for more than one delivery. docs/messages.md */
export const REPETITION_PROPERTIES = [PropertyName.MILLRACE_CRON, PropertyName.MILLRACE_REPEAT_MS] as const

type Properties = Readonly<Record<string, string>>

/**
 * When a message with timer or repetition properties is due (ms); undefined when it is to be stored at once: it asks for nothing, or
 * for a time that has passed, or a timer has it behind it.
 * @throws Refusal 13 (no number, too far ahead, a bad repetition) | 1 (timers are switched off)
 */
export function dueTime(properties: Properties, now: number, limits: TimerLimits): number | undefined {
  if (properties[PropertyName.TIMER_OUT_MS] !== undefined) return undefined
  const name = TIMER_PROPERTIES.find(timer => properties[timer] !== undefined)
  const isRepeated = REPETITION_PROPERTIES.some(repeat => properties[repeat] !== undefined)
  if (name === undefined && !isRepeated) return undefined
  if (!limits.timerWheelEnable)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      'accurate timer message is not enabled, timerWheelEnable is false; set it, or use a delay level (property DELAY)',
    )
  const asked = name === undefined ? undefined : askedTime(name, properties[name] ?? '', now)
  const due = isRepeated ? firstRepeat(properties, asked, now) : asked
  if (due === undefined || due <= now) {
    if (properties[PropertyName.TIMER_DEL_UNIQKEY] === undefined) return undefined
    throw illegal('a message that takes back another must be due at the same time, and that has passed')
  }
  const limitMs = limits.timerMaxDelaySec * 1000
  if (due - now > limitMs)
    throw illegal(
      `the delay time should not be bigger than the max delay ${limitMs}ms (timerMaxDelaySec=${limits.timerMaxDelaySec}); this message is due in ${due - now}ms`,
    )
  return due
}

/** The refusal of a timer whose value cannot be read or served. */
export function illegal(reason: string): Refusal {
  return new Refusal(ResponseCode.MESSAGE_ILLEGAL, `timer message illegal, ${reason}`)
}

function askedTime(name: (typeof TIMER_PROPERTIES)[number], text: string, now: number): number {
  if (!/^[+-]?\d{1,15}$/.test(text)) throw illegal(`${name} is "${text.slice(0, 40)}"; send a whole number`)
  const value = Number(text)
  if (name === PropertyName.TIMER_DELIVER_MS) return value
  return now + (name === PropertyName.TIMER_DELAY_SEC ? value * 1000 : value)
}

function firstRepeat(properties: Properties, asked: number | undefined, now: number): number {
  try {
    const first = firstOccurrence(parseRepetition(properties), asked, now)
    if (first !== undefined) return first
  } catch (error) {
    if (error instanceof MillraceError) throw illegal(error.message)
    throw error
  }
  throw illegal('the repetition has no time left to come; look at MILLRACE_CRON and MILLRACE_REPEAT_UNTIL_MS')
}
