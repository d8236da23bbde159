import { RequestCode } from '../remoting/request-code.js'
import { Field } from './field-name.js'
import {
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

/** A pull request (codes 11, 361) as numbers and byte ranges of the scanned buffer. Reused for every request. */
export class PullScan {
  code = 0
  opaque = 0
  flag = 0
  isBinary = false
  version = 0
  groupStart = 0
  groupEnd = 0
  topicStart = 0
  topicEnd = 0
  queueId = 0
  queueOffset = 0
  maxMsgNums = 0
  sysFlag = 0
  commitOffset = 0
  suspendTimeoutMillis = 0
  subscriptionStart = 0
  subscriptionEnd = 0
  /** The subscription holds JSON escapes: `unescapeInto` resolves them. */
  subscriptionEscaped = false
  /** The nearest double, as in a decoded heartbeat, when it is beyond 2^53. */
  subVersion = 0
  /** Empty when absent, which means TAG. */
  expressionTypeStart = 0
  expressionTypeEnd = 0
  /** -1 when the client sets no limit. */
  maxMsgBytes = -1
}

const SAFE_DIGITS = 15
const REQUIRED =
  (1 << Field.CONSUMER_GROUP) |
  (1 << Field.TOPIC) |
  (1 << Field.QUEUE_ID) |
  (1 << Field.QUEUE_OFFSET) |
  (1 << Field.MAX_MSG_NUMS) |
  (1 << Field.SYS_FLAG) |
  (1 << Field.COMMIT_OFFSET) |
  (1 << Field.SUSPEND_TIMEOUT_MILLIS) |
  (1 << Field.SUB_VERSION)

/**
 * Reads the pull request in [start, end), from the header word to the end of the frame. False: another request, or
 * anything unusual; `out` is then undefined and the general codec decides.
 */
export function scanPull(bytes: Buffer, start: number, end: number, out: PullScan): boolean {
  if (!scanHeader(bytes, start, end)) return false
  const code = scanned.code()
  if (code !== RequestCode.PULL_MESSAGE && code !== RequestCode.LITE_PULL_MESSAGE) return false
  if (!scanned.areNames() || (scanned.fields() & REQUIRED) !== REQUIRED) return false
  out.code = code
  out.opaque = scanned.opaque()
  out.flag = scanned.flag()
  out.version = scanned.version()
  out.isBinary = scanned.isBinary()
  if (!takeTexts(bytes, out)) return false
  out.queueId = int32Of(bytes, Field.QUEUE_ID, 0)
  out.queueOffset = integerOf(bytes, Field.QUEUE_OFFSET)
  out.maxMsgNums = int32Of(bytes, Field.MAX_MSG_NUMS, 0)
  out.sysFlag = int32Of(bytes, Field.SYS_FLAG, 0)
  out.commitOffset = integerOf(bytes, Field.COMMIT_OFFSET)
  out.suspendTimeoutMillis = integerOf(bytes, Field.SUSPEND_TIMEOUT_MILLIS)
  out.maxMsgBytes = int32Of(bytes, Field.MAX_MSG_BYTES, -1)
  return takeSubVersion(bytes, out) && !scanned.isMalformed()
}

function takeTexts(bytes: Buffer, out: PullScan): boolean {
  const { CONSUMER_GROUP, TOPIC, SUBSCRIPTION, EXPRESSION_TYPE } = Field
  if (!isName(bytes, CONSUMER_GROUP) || !isName(bytes, TOPIC)) return false
  if (!isTextOrAbsent(bytes, SUBSCRIPTION) || !isTextOrAbsent(bytes, EXPRESSION_TYPE)) return false
  if (endOf(EXPRESSION_TYPE) > startOf(EXPRESSION_TYPE) && !isName(bytes, EXPRESSION_TYPE)) return false
  out.groupStart = startOf(CONSUMER_GROUP)
  out.groupEnd = endOf(CONSUMER_GROUP)
  out.topicStart = startOf(TOPIC)
  out.topicEnd = endOf(TOPIC)
  out.subscriptionStart = startOf(SUBSCRIPTION)
  out.subscriptionEnd = endOf(SUBSCRIPTION)
  out.subscriptionEscaped = isEscaped(SUBSCRIPTION)
  out.expressionTypeStart = startOf(EXPRESSION_TYPE)
  out.expressionTypeEnd = endOf(EXPRESSION_TYPE)
  return true
}

/** Go clients send nanoseconds, which are beyond 2^53; both sides of the comparison are rounded the same way. */
function takeSubVersion(bytes: Buffer, out: PullScan): boolean {
  const start = startOf(Field.SUB_VERSION)
  const end = endOf(Field.SUB_VERSION)
  if (end - start <= SAFE_DIGITS) {
    out.subVersion = integerOf(bytes, Field.SUB_VERSION)
    return true
  }
  if (end - start > 19 || bytes[start] === 0x30) return false
  for (let at = start; at < end; at++) if (bytes[at] < 0x30 || bytes[at] > 0x39) return false
  out.subVersion = Number(bytes.toString('latin1', start, end))
  return true
}
