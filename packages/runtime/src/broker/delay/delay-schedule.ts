import {
  type Clock,
  delayLevelMs,
  formatProperties,
  formatRecallHandle,
  isRetryTopic,
  PropertyName,
  parseProperties,
  SystemTopic,
} from '@millrace/core'
import type { MessageToAppend } from '@millrace/storage'
import { Refusal } from '../../requests/answer.js'
import { dueTime, REPETITION_PROPERTIES, TIMER_PROPERTIES, type TimerLimits } from '../timer/due-time.js'

/**
 * Turns messages that are due later into messages of the schedule topic (delay levels: queue = level − 1) or of the timer topic
 * (any time), with the real destination in properties. behaviour.md §10, §11
 */
export class DelaySchedule {
  /** A level with waiting messages is watched; the hint is given once, when the first one comes. */
  readonly #isWatched: boolean[]
  #onFilled: (level: number) => void = () => undefined
  #onTimer: (due: number) => void = () => undefined

  constructor(
    /** Delay of level n at n − 1, milliseconds. */
    readonly levels: readonly number[],
    readonly limits: TimerLimits,
    private readonly clock: Clock,
  ) {
    this.#isWatched = levels.map(() => false)
  }

  delayMs(level: number): number {
    return delayLevelMs(this.levels, level)
  }

  /** For the delivery: calls back when a message is scheduled at a level that is not watched; it is from then on. */
  watch(onFilled: (level: number) => void): void {
    this.#onFilled = onFilled
  }

  isWatched(level: number): boolean {
    return this.#isWatched[level - 1] ?? false
  }

  setWatched(level: number, isWatched: boolean): void {
    this.#isWatched[level - 1] = isWatched
  }

  /** A message of this level is about to be stored. */
  noteLevel(level: number): void {
    if (this.isWatched(level)) return
    this.setWatched(level, true)
    this.#onFilled(level)
  }

  /** For the timers: calls back whenever a message for the timer topic is about to be stored. */
  watchTimers(onTimer: (due: number) => void): void {
    this.#onTimer = onTimer
  }

  noteTimer(due: number): void {
    this.#onTimer(due)
  }

  /**
   * The message to store in place of `message`: the same one when it is due at once. Store it at once: the level's
   * clock runs. A level above the last counts as the last; with a level, timer properties are dropped.
   * @throws Refusal 13 | 1, see `dueTime`
   */
  schedule(message: MessageToAppend): MessageToAppend {
    const properties = parseProperties(message.properties)
    const level = levelOf(properties, this.levels.length)
    if (level > 0) {
      this.noteLevel(level)
      for (const name of TIMER_PROPERTIES) delete properties[name]
      properties[PropertyName.DELAY] = String(level)
      return rerouted(message, properties, SystemTopic.SCHEDULE, level - 1)
    }
    const due = dueTime(properties, this.clock.now(), this.limits)
    if (due === undefined) return message
    return this.at(due, message, properties)
  }

  /** `schedule` for messages that were taken before: what has become impossible meanwhile (an ended repetition) is due now. */
  scheduleOrNow(message: MessageToAppend): MessageToAppend {
    try {
      return this.schedule(message)
    } catch (error) {
      if (error instanceof Refusal) return message
      throw error
    }
  }

  /** The message to store so that `message` comes `delayMs` from now, whatever it asks for itself. */
  in(delayMs: number, message: MessageToAppend): MessageToAppend {
    if (delayMs <= 0 || !this.limits.timerWheelEnable) return message
    return this.at(this.clock.now() + delayMs, message, parseProperties(message.properties))
  }

  private at(due: number, message: MessageToAppend, properties: Record<string, string>): MessageToAppend {
    this.noteTimer(due)
    delete properties[PropertyName.TIMER_ROLL_TIMES]
    delete properties[PropertyName.MILLRACE_ROLLED_FROM]
    // One below, as Apache's brokers do with a step of 1 ms.
    properties[PropertyName.TIMER_OUT_MS] = String(due - 1)
    return rerouted(message, properties, SystemTopic.TIMER, 0)
  }
}

function rerouted(
  message: MessageToAppend,
  properties: Record<string, string>,
  topic: string,
  queueId: number,
): MessageToAppend {
  properties[PropertyName.REAL_TOPIC] = message.topic
  properties[PropertyName.REAL_QID] = String(message.queueId)
  return { ...message, topic, queueId, properties: Buffer.from(formatProperties(properties)) }
}

/** Does the message ask to be delivered later, or again and again? Batches may not. */
export function asksForLater(properties: Readonly<Record<string, string>>): boolean {
  return (
    Number(properties[PropertyName.DELAY] ?? 0) > 0 ||
    [...TIMER_PROPERTIES, ...REPETITION_PROPERTIES].some(name => properties[name] !== undefined)
  )
}

/** Takes every wish for a later delivery away: dead letters have none. */
export function dropDelay(properties: Record<string, string>): void {
  delete properties[PropertyName.DELAY]
  for (const name of [...TIMER_PROPERTIES, ...REPETITION_PROPERTIES]) delete properties[name]
}

/** 0: no delay. */
function levelOf(properties: Readonly<Record<string, string>>, levelMax: number): number {
  const level = Number(properties[PropertyName.DELAY])
  return Number.isInteger(level) && level > 0 ? Math.min(level, levelMax) : 0
}

/** What its producer may take a scheduled message back with; undefined for all but timer messages. behaviour.md §11 */
export function recallHandleOf(scheduled: MessageToAppend, brokerName: string): string | undefined {
  if (scheduled.topic !== SystemTopic.TIMER) return undefined
  const properties = parseProperties(scheduled.properties)
  const topic = properties[PropertyName.REAL_TOPIC] ?? ''
  if (isRetryTopic(topic)) return undefined
  const deliverTime = Number(properties[PropertyName.TIMER_OUT_MS]) + 1
  return formatRecallHandle({ topic, brokerName, deliverTime, uniqueKey: properties[PropertyName.UNIQ_KEY] ?? '' })
}
