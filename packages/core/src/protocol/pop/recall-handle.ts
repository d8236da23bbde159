/** Names a timer message that its producer may take back: response field `recallHandle`. behaviour.md §11 */
export interface RecallHandle {
  readonly topic: string
  readonly brokerName: string
  /** Milliseconds: when the message is due. */
  readonly deliverTime: number
  readonly uniqueKey: string
}

const VERSION = 'v1'

/** URL-safe Base64, padded. */
export function formatRecallHandle({ topic, brokerName, deliverTime, uniqueKey }: RecallHandle): string {
  const text = Buffer.from(`${VERSION} ${topic} ${brokerName} ${deliverTime} ${uniqueKey}`).toString('base64')
  return text.replaceAll('+', '-').replaceAll('/', '_')
}

/** Undefined when the text is no handle of this version. */
export function parseRecallHandle(handle: string): RecallHandle | undefined {
  const parts = Buffer.from(handle, 'base64url').toString('utf8').split(' ')
  if (parts.length !== 5 || parts[0] !== VERSION || !/^\d{1,15}$/.test(parts[3])) return undefined
  return { topic: parts[1], brokerName: parts[2], deliverTime: Number(parts[3]), uniqueKey: parts[4] }
}
