import { delayLevelMs, formatProperties, PropertyName, parseProperties, SystemTopic } from '@millrace/core'
import type { MessageToAppend } from '@millrace/storage'

/**
 * Turns messages with a delay level into messages of the schedule topic: queue = level − 1, the real destination in
 * properties. behaviour.md §10
 */
export class DelaySchedule {
  /** A level with waiting messages is watched; the hint is given once, when the first one comes. */
  readonly #isWatched: boolean[]
  #onFilled: (level: number) => void = () => undefined

  constructor(
    /** Delay of level n at n − 1, milliseconds. */
    readonly levels: readonly number[],
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

  /**
   * The message to store in place of `message`: the same one when it has no delay level. Store it at once: the level's
   * clock runs. A level above the last counts as the last.
   */
  schedule(message: MessageToAppend): MessageToAppend {
    const properties = parseProperties(message.properties)
    const level = levelOf(properties, this.levels.length)
    if (level === 0) return message
    properties[PropertyName.DELAY] = String(level)
    properties[PropertyName.REAL_TOPIC] = message.topic
    properties[PropertyName.REAL_QID] = String(message.queueId)
    if (!this.isWatched(level)) {
      this.setWatched(level, true)
      this.#onFilled(level)
    }
    return {
      ...message,
      topic: SystemTopic.SCHEDULE,
      queueId: level - 1,
      properties: Buffer.from(formatProperties(properties)),
    }
  }
}

/** 0: no delay. */
function levelOf(properties: Readonly<Record<string, string>>, levelMax: number): number {
  const level = Number(properties[PropertyName.DELAY])
  return Number.isInteger(level) && level > 0 ? Math.min(level, levelMax) : 0
}
