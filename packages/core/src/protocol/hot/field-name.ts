import { assert } from '../../assert.js'
import { equalsBytes } from './bytes.js'

/**
 * Numbers of the header fields that the hot path reads. 1 to 13 are those of send requests in the order of their
 * one-letter names, a to m (remoting.md §6); their long names, and those that pulls share with sends, have the same
 * numbers. All fit the bits of one word.
 */
export const Field = {
  PRODUCER_GROUP: 1,
  TOPIC: 2,
  DEFAULT_TOPIC: 3,
  DEFAULT_TOPIC_QUEUE_NUMS: 4,
  QUEUE_ID: 5,
  SYS_FLAG: 6,
  BORN_TIMESTAMP: 7,
  FLAG: 8,
  PROPERTIES: 9,
  RECONSUME_TIMES: 10,
  UNIT_MODE: 11,
  MAX_RECONSUME_TIMES: 12,
  BATCH: 13,
  CONSUMER_GROUP: 14,
  QUEUE_OFFSET: 15,
  MAX_MSG_NUMS: 16,
  COMMIT_OFFSET: 17,
  SUSPEND_TIMEOUT_MILLIS: 18,
  SUBSCRIPTION: 19,
  SUB_VERSION: 20,
  EXPRESSION_TYPE: 21,
  MAX_MSG_BYTES: 22,
} as const

export const FIELD_COUNT = 23

const LONG_NAMES: readonly (readonly [string, number])[] = [
  ['producerGroup', Field.PRODUCER_GROUP],
  ['topic', Field.TOPIC],
  ['defaultTopic', Field.DEFAULT_TOPIC],
  ['defaultTopicQueueNums', Field.DEFAULT_TOPIC_QUEUE_NUMS],
  ['queueId', Field.QUEUE_ID],
  ['sysFlag', Field.SYS_FLAG],
  ['bornTimestamp', Field.BORN_TIMESTAMP],
  ['flag', Field.FLAG],
  ['properties', Field.PROPERTIES],
  ['reconsumeTimes', Field.RECONSUME_TIMES],
  ['unitMode', Field.UNIT_MODE],
  ['maxReconsumeTimes', Field.MAX_RECONSUME_TIMES],
  ['batch', Field.BATCH],
  ['consumerGroup', Field.CONSUMER_GROUP],
  ['queueOffset', Field.QUEUE_OFFSET],
  ['maxMsgNums', Field.MAX_MSG_NUMS],
  ['commitOffset', Field.COMMIT_OFFSET],
  ['suspendTimeoutMillis', Field.SUSPEND_TIMEOUT_MILLIS],
  ['subscription', Field.SUBSCRIPTION],
  ['subVersion', Field.SUB_VERSION],
  ['expressionType', Field.EXPRESSION_TYPE],
  ['maxMsgBytes', Field.MAX_MSG_BYTES],
]

const SLOTS = 64
const SLOT_FIELDS = new Uint8Array(SLOTS)
const NAMES: Uint8Array[] = Array.from({ length: FIELD_COUNT }, () => new Uint8Array(0))

/** Length, first and fourth letter give each long name a slot of its own; the bytes are compared afterwards. */
function slot(length: number, first: number, fourth: number): number {
  return (length + first * 9 + fourth * 3) & (SLOTS - 1)
}

for (const [name, field] of LONG_NAMES) {
  const bytes = Buffer.from(name)
  const at = slot(bytes.length, bytes[0], bytes[3])
  assert(SLOT_FIELDS[at] === 0, 'field names have slots of their own', { name })
  SLOT_FIELDS[at] = field
  NAMES[field] = bytes
}

/** Number of the field with this one-letter name; 0 when the hot path does not read it. */
export function fieldOfLetter(letter: number): number {
  const field = letter - 0x60
  return field >= Field.PRODUCER_GROUP && field <= Field.BATCH ? field : 0
}

/** Number of the field whose name, of more than one letter, is [start, end); 0 when the hot path does not read it. */
export function fieldOfName(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length < 4) return 0
  const field = SLOT_FIELDS[slot(length, bytes[start], bytes[start + 3])]
  return field !== 0 && equalsBytes(bytes, start, end, NAMES[field]) ? field : 0
}
