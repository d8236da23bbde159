/** Receipt of a popped message: property POP_CK, ext field `extraInfo`. behaviour.md §15 */
export interface ExtraInfo {
  /** First offset of the pop that gave the message. */
  readonly checkpointOffset: number
  /** Milliseconds. */
  readonly popTime: number
  /** Milliseconds. */
  readonly invisibleTime: number
  /** Queue of the revive topic; 999 for messages popped in order. */
  readonly reviveQueueId: number
  /** '0' the topic itself, '1' and '2' its retry topic, by version. */
  readonly retryFlag: string
  readonly brokerName: string
  readonly queueId: number
  /** Old clients leave it out. */
  readonly queueOffset: number | undefined
}

/** Revive queue id that marks an ordered pop. */
export const ORDERED_REVIVE_QUEUE = 999

export function formatExtraInfo(info: ExtraInfo): string {
  const { checkpointOffset, popTime, invisibleTime, reviveQueueId, retryFlag, brokerName, queueId, queueOffset } = info
  return `${checkpointOffset} ${popTime} ${invisibleTime} ${reviveQueueId} ${retryFlag} ${brokerName} ${queueId}${queueOffset === undefined ? '' : ` ${queueOffset}`}`
}

/** Undefined when the text is no receipt. */
export function parseExtraInfo(text: string): ExtraInfo | undefined {
  const parts = text.split(' ')
  if ((parts.length !== 8 && parts.length !== 7) || parts[4] === '' || parts[5] === '') return undefined
  const [checkpointOffset, popTime, invisibleTime, reviveQueueId] = parts.slice(0, 4).map(integer)
  const queueId = integer(parts[6])
  const queueOffset = parts.length === 8 ? integer(parts[7]) : undefined
  if ([checkpointOffset, popTime, invisibleTime, reviveQueueId, queueId, queueOffset ?? 0].some(Number.isNaN))
    return undefined
  return {
    checkpointOffset,
    popTime,
    invisibleTime,
    reviveQueueId,
    retryFlag: parts[4],
    brokerName: parts[5],
    queueId,
    queueOffset,
  }
}

function integer(text: string): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : Number.NaN
}
