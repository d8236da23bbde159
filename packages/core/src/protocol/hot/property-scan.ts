import { isUtf8 } from 'node:buffer'
import { tagHash } from '../message/tag.js'
import { equalsBytes } from './bytes.js'

const NAME_END = 1
const PAIR_END = 2

const TAGS = Buffer.from('TAGS')
const KEYS = Buffer.from('KEYS')
const WAIT = Buffer.from('WAIT')
const DELAY = Buffer.from('DELAY')
const PGROUP = Buffer.from('PGROUP')
const POP_CK = Buffer.from('POP_CK')
const SEQUENCE = Buffer.from('mr.seq')
const CLUSTER = Buffer.from('CLUSTER')
const UNIQ_KEY = Buffer.from('UNIQ_KEY')
const TRAN_MSG = Buffer.from('TRAN_MSG')
const TRACE_ON = Buffer.from('TRACE_ON')
const MSG_REGION = Buffer.from('MSG_REGION')
const INNER_MULTI_DISPATCH = Buffer.from('INNER_MULTI_DISPATCH')
const TIMER_PREFIX = Buffer.from('TIMER_')
const TIMER_DELAY_SEC = Buffer.from('TIMER_DELAY_SEC')
const TIMER_DELAY_MS = Buffer.from('TIMER_DELAY_MS')
const TIMER_DELIVER_MS = Buffer.from('TIMER_DELIVER_MS')
/** Prefix of the names that are Millrace's own: time to live, repetition. */
const MILLRACE_PREFIX = Buffer.from('MILLRACE_')
const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')

/** Which property says when a message is due, in the order they are looked at. behaviour.md §11 */
export const TIMER_KIND = { none: 0, delaySeconds: 1, delayMs: 2, deliverMs: 3 } as const

/** What the broker needs to know of a message's properties. An absent value has start = end. Reused for every message. */
export class PropertyScan {
  tagsStart = 0
  tagsEnd = 0
  /** 0 without a tag. */
  tagHash = 0
  uniqueKeyStart = 0
  uniqueKeyEnd = 0
  keysStart = 0
  keysEnd = 0
  /** WAIT=false: the producer does not wait for flush and replication. */
  waitFalse = false
  hasCluster = false
  hasRegion = false
  hasTraceOn = false
  /** Value of DELAY. */
  delayStart = 0
  delayEnd = 0
  /** One of TIMER_KIND, and its value. */
  timerKind: number = TIMER_KIND.none
  timerStart = 0
  timerEnd = 0
  /** Delayed or timed, and nothing else is unusual. */
  isDelayed = false
  /** A half message with its key and its producer group, and nothing else is unusual. */
  isHalf = false
  hasProducerGroup = false
  /** Numbered by a pipeline task (`StreamProperty.SEQUENCE`): it may have been stored before. */
  hasSequence = false
  /**
   * Leave this message to the general path: it is delayed, timed, half, popped, multi-dispatched, or its property
   * string is not pairs that each end with U+0002, in valid UTF-8.
   */
  isUnusual = false
}

/** Reads the property string [start, end), without escapes. messages.md §5 */
export function scanProperties(bytes: Uint8Array, start: number, end: number, out: PropertyScan): void {
  out.tagsStart = out.tagsEnd = out.tagHash = 0
  out.uniqueKeyStart = out.uniqueKeyEnd = 0
  out.keysStart = out.keysEnd = 0
  out.delayStart = out.delayEnd = 0
  out.timerKind = TIMER_KIND.none
  out.isDelayed = out.isHalf = out.hasProducerGroup = false
  out.waitFalse = out.hasCluster = out.hasRegion = out.hasTraceOn = out.hasSequence = false
  out.isUnusual = end > start && bytes[end - 1] !== PAIR_END
  let all = 0
  let at = start
  while (at < end) {
    const nameStart = at
    for (; at < end && bytes[at] > NAME_END; at++) {
      if (bytes[at] === PAIR_END) break
      all |= bytes[at]
    }
    const nameEnd = at
    // A pair without name, separator or value is dropped by readers; what is stored should then not have it either.
    if (at >= end || bytes[at] !== NAME_END || nameEnd === nameStart) {
      out.isUnusual = true
      out.isHalf = false
      return
    }
    const valueStart = ++at
    for (; at < end && bytes[at] !== PAIR_END; at++) all |= bytes[at]
    if (at === valueStart) {
      out.isUnusual = true
      out.isHalf = false
      return
    }
    takeProperty(bytes, nameStart, nameEnd, valueStart, at, out)
    at++
  }
  if (all > 0x7f && !isUtf8(bytes.subarray(start, end))) out.isUnusual = true
  if (out.isHalf) {
    const isPlain = !out.isUnusual && out.delayEnd === 0 && out.timerKind === TIMER_KIND.none
    out.isHalf = isPlain && out.hasProducerGroup && out.uniqueKeyEnd > 0
    out.isUnusual = true
  }
  if (out.delayEnd > 0 || out.timerKind !== TIMER_KIND.none) {
    out.isDelayed = !out.isUnusual
    out.isUnusual = true
  }
  if (out.tagsEnd > out.tagsStart) out.tagHash = hashOf(bytes, out.tagsStart, out.tagsEnd)
}

function takeProperty(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  start: number,
  end: number,
  out: PropertyScan,
): void {
  const length = nameEnd - nameStart
  if (length > 6 && bytes[nameStart] === 0x54 && equalsBytes(bytes, nameStart, nameStart + 6, TIMER_PREFIX)) {
    takeTimer(bytes, nameStart, nameEnd, start, end, out)
    return
  }
  if (length > 9 && bytes[nameStart] === 0x4d && equalsBytes(bytes, nameStart, nameStart + 9, MILLRACE_PREFIX)) {
    out.isUnusual = true
    return
  }
  switch (length) {
    case 4:
      if (equalsBytes(bytes, nameStart, nameEnd, TAGS)) {
        out.tagsStart = start
        out.tagsEnd = end
      } else if (equalsBytes(bytes, nameStart, nameEnd, KEYS)) {
        out.keysStart = start
        out.keysEnd = end
      } else if (equalsBytes(bytes, nameStart, nameEnd, WAIT)) out.waitFalse = equalsBytes(bytes, start, end, FALSE)
      return
    case 5:
      if (equalsBytes(bytes, nameStart, nameEnd, DELAY)) {
        out.delayStart = start
        out.delayEnd = end
      }
      return
    case 6:
      if (equalsBytes(bytes, nameStart, nameEnd, POP_CK)) out.isUnusual = true
      else if (equalsBytes(bytes, nameStart, nameEnd, PGROUP)) out.hasProducerGroup = true
      else if (equalsBytes(bytes, nameStart, nameEnd, SEQUENCE)) out.hasSequence = true
      return
    case 7:
      if (equalsBytes(bytes, nameStart, nameEnd, CLUSTER)) out.hasCluster = true
      return
    case 8:
      if (equalsBytes(bytes, nameStart, nameEnd, UNIQ_KEY)) {
        out.uniqueKeyStart = start
        out.uniqueKeyEnd = end
      } else if (equalsBytes(bytes, nameStart, nameEnd, TRACE_ON)) out.hasTraceOn = true
      else if (equalsBytes(bytes, nameStart, nameEnd, TRAN_MSG)) takeHalfMark(bytes, start, end, out)
      return
    default:
      if (length === 10 && equalsBytes(bytes, nameStart, nameEnd, MSG_REGION)) out.hasRegion = true
      else if (equalsBytes(bytes, nameStart, nameEnd, INNER_MULTI_DISPATCH)) out.isUnusual = true
  }
}

/** Other spellings of true and false are left to the general path. */
function takeHalfMark(bytes: Uint8Array, start: number, end: number, out: PropertyScan): void {
  if (equalsBytes(bytes, start, end, TRUE)) out.isHalf = true
  else if (!equalsBytes(bytes, start, end, FALSE)) out.isUnusual = true
}

function takeTimer(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  start: number,
  end: number,
  out: PropertyScan,
): void {
  let kind: number = TIMER_KIND.none
  if (equalsBytes(bytes, nameStart, nameEnd, TIMER_DELAY_SEC)) kind = TIMER_KIND.delaySeconds
  else if (equalsBytes(bytes, nameStart, nameEnd, TIMER_DELAY_MS)) kind = TIMER_KIND.delayMs
  else if (equalsBytes(bytes, nameStart, nameEnd, TIMER_DELIVER_MS)) kind = TIMER_KIND.deliverMs
  else out.isUnusual = true
  if (kind === TIMER_KIND.none || (out.timerKind !== TIMER_KIND.none && out.timerKind < kind)) return
  out.timerKind = kind
  out.timerStart = start
  out.timerEnd = end
}

/** Java's hash of a tag, over UTF-16 units. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte > 0x7f) return tagHash(Buffer.from(bytes.subarray(start, end)).toString('utf8'))
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  return hash
}
