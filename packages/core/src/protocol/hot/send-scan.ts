import { RequestCode } from '../remoting/request-code.js'
import { Field } from './field-name.js'
import {
  booleanOf,
  endOf,
  int32Of,
  integerOf,
  isEscaped,
  isName,
  isTextOrAbsent,
  scanHeader,
  scanned,
  startOf,
} from './header-scan.js'

/** A send request (codes 10, 310, 320) as numbers and byte ranges of the scanned buffer. Reused for every request. */
export class SendScan {
  code = 0
  opaque = 0
  flag = 0
  isBinary = false
  version = 0
  groupStart = 0
  groupEnd = 0
  topicStart = 0
  topicEnd = 0
  defaultTopicStart = 0
  defaultTopicEnd = 0
  defaultTopicQueueNums = 0
  queueId = 0
  sysFlag = 0
  bornTimestamp = 0
  userFlag = 0
  propertiesStart = 0
  propertiesEnd = 0
  /** The properties hold JSON escapes: `unescapeInto` resolves them. */
  propertiesEscaped = false
  reconsumeTimes = 0
  unitMode = false
  isBatch = false
  /** -1 when the client leaves it to the group. */
  maxReconsumeTimes = -1
  bodyStart = 0
  bodyEnd = 0
}

const REQUIRED =
  (1 << Field.PRODUCER_GROUP) |
  (1 << Field.TOPIC) |
  (1 << Field.DEFAULT_TOPIC) |
  (1 << Field.DEFAULT_TOPIC_QUEUE_NUMS) |
  (1 << Field.QUEUE_ID) |
  (1 << Field.SYS_FLAG) |
  (1 << Field.BORN_TIMESTAMP) |
  (1 << Field.FLAG)

/**
 * Reads the send request in [start, end), from the header word to the end of the frame. False: another request, or
 * anything unusual; `out` is then undefined and the general codec decides.
 */
export function scanSend(bytes: Buffer, start: number, end: number, out: SendScan): boolean {
  if (!scanHeader(bytes, start, end)) return false
  const code = scanned.code()
  if (code === RequestCode.SEND_MESSAGE) {
    if (!scanned.areNames()) return false
  } else if ((code !== RequestCode.SEND_MESSAGE_V2 && code !== RequestCode.SEND_BATCH_MESSAGE) || !scanned.areLetters())
    return false
  if ((scanned.fields() & REQUIRED) !== REQUIRED) return false
  out.code = code
  out.opaque = scanned.opaque()
  out.flag = scanned.flag()
  out.version = scanned.version()
  out.isBinary = scanned.isBinary()
  out.bodyStart = scanned.bodyStart()
  out.bodyEnd = end
  takeNumbers(bytes, out)
  return takeTexts(bytes, out) && !scanned.isMalformed()
}

function takeTexts(bytes: Buffer, out: SendScan): boolean {
  if (!isName(bytes, Field.PRODUCER_GROUP) || !isName(bytes, Field.TOPIC) || !isName(bytes, Field.DEFAULT_TOPIC))
    return false
  if (!isTextOrAbsent(bytes, Field.PROPERTIES)) return false
  out.groupStart = startOf(Field.PRODUCER_GROUP)
  out.groupEnd = endOf(Field.PRODUCER_GROUP)
  out.topicStart = startOf(Field.TOPIC)
  out.topicEnd = endOf(Field.TOPIC)
  out.defaultTopicStart = startOf(Field.DEFAULT_TOPIC)
  out.defaultTopicEnd = endOf(Field.DEFAULT_TOPIC)
  out.propertiesStart = startOf(Field.PROPERTIES)
  out.propertiesEnd = endOf(Field.PROPERTIES)
  out.propertiesEscaped = isEscaped(Field.PROPERTIES)
  return true
}

function takeNumbers(bytes: Buffer, out: SendScan): void {
  out.defaultTopicQueueNums = int32Of(bytes, Field.DEFAULT_TOPIC_QUEUE_NUMS, 0)
  out.queueId = int32Of(bytes, Field.QUEUE_ID, 0)
  out.sysFlag = int32Of(bytes, Field.SYS_FLAG, 0)
  out.bornTimestamp = integerOf(bytes, Field.BORN_TIMESTAMP)
  out.userFlag = int32Of(bytes, Field.FLAG, 0)
  out.reconsumeTimes = int32Of(bytes, Field.RECONSUME_TIMES, 0)
  out.maxReconsumeTimes = int32Of(bytes, Field.MAX_RECONSUME_TIMES, -1)
  out.unitMode = booleanOf(bytes, Field.UNIT_MODE)
  const isBatch = booleanOf(bytes, Field.BATCH)
  out.isBatch = isBatch || out.code === RequestCode.SEND_BATCH_MESSAGE
}
