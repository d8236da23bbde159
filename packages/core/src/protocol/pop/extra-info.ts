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
  const info: ExtraInfo = {
    checkpointOffset: integer(parts[0]),
    popTime: integer(parts[1]),
    invisibleTime: integer(parts[2]),
    reviveQueueId: integer(parts[3]),
    retryFlag: parts[4],
    brokerName: parts[5],
    queueId: integer(parts[6]),
    queueOffset: parts.length === 8 ? integer(parts[7]) : undefined,
  }
  const { checkpointOffset, invisibleTime, popTime, queueId, queueOffset, reviveQueueId } = info
  // One that is no number makes the sum none.
  const sum = checkpointOffset + popTime + invisibleTime + reviveQueueId + queueId + (queueOffset ?? 0)
  return Number.isNaN(sum) ? undefined : info
}

/** Digits, perhaps after a minus: NaN for anything else. Written out because every acknowledgement asks six times. */
function integer(text: string): number {
  const begin = text.charCodeAt(0) === MINUS ? 1 : 0
  if (text.length === begin) return Number.NaN
  let value = 0
  for (let i = begin; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  if (!Number.isSafeInteger(value)) return Number.NaN
  return begin === 0 ? value : -value
}

const MINUS = 0x2d
const ZERO = 0x30
