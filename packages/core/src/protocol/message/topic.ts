/** Longest names, in characters. messages.md §9 */
export const TOPIC_LENGTH_MAX = 127
export const RETRY_OR_DLQ_TOPIC_LENGTH_MAX = 255
export const GROUP_LENGTH_MAX = 120

const NAME_PATTERN = '^[%|a-zA-Z0-9_-]+$'
const NAME = new RegExp(NAME_PATTERN)

export const RETRY_TOPIC_PREFIX = '%RETRY%'
export const DLQ_TOPIC_PREFIX = '%DLQ%'
const SYSTEM_TOPIC_PREFIX = 'rmq_sys_'

/** Names of the topics that brokers keep for themselves. */
export const SystemTopic = {
  AUTO_CREATE: 'TBW102',
  SCHEDULE: 'SCHEDULE_TOPIC_XXXX',
  BENCHMARK: 'BenchmarkTest',
  TRANS_HALF: 'RMQ_SYS_TRANS_HALF_TOPIC',
  TRANS_OP_HALF: 'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  TRACE: 'RMQ_SYS_TRACE_TOPIC',
  TRANS_CHECK_MAX_TIME: 'TRANS_CHECK_MAX_TIME_TOPIC',
  SELF_TEST: 'SELF_TEST_TOPIC',
  OFFSET_MOVED: 'OFFSET_MOVED_EVENT',
  CHECKPOINT: 'CHECKPOINT_TOPIC',
  TIMER: 'rmq_sys_wheel_timer',
} as const

const SYSTEM_TOPICS: ReadonlySet<string> = new Set(Object.values(SystemTopic))
const SEND_FORBIDDEN: ReadonlySet<string> = new Set([
  SystemTopic.SCHEDULE,
  SystemTopic.TRANS_HALF,
  SystemTopic.TRANS_OP_HALF,
  SystemTopic.TRANS_CHECK_MAX_TIME,
  SystemTopic.SELF_TEST,
  SystemTopic.OFFSET_MOVED,
])

/** Groups that every broker knows. messages.md §9 */
export const SYSTEM_GROUPS: readonly string[] = [
  'TOOLS_CONSUMER',
  'FILTERSRV_CONSUMER',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PULL',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  'CID_RMQ_SYS_TRANS',
]
const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_'

export type NameCheck = { readonly ok: true } | { readonly ok: false; readonly reason: string }
const VALID: NameCheck = { ok: true }

/** Checks a topic name; the reason is the remark that official brokers answer. */
export function validateTopic(topic: string): NameCheck {
  if (topic.trim() === '') return refuse('The specified topic is blank.')
  if (!NAME.test(topic))
    return refuse(`The specified topic: ${topic}, contains illegal characters, allowing only ${NAME_PATTERN}`)
  if (topic.startsWith(RETRY_TOPIC_PREFIX) || topic.startsWith(DLQ_TOPIC_PREFIX))
    return topic.length <= RETRY_OR_DLQ_TOPIC_LENGTH_MAX
      ? VALID
      : refuse(
          `The specified topic is DLQ or Retry topic: ${topic}, and it's longer than topic max length: ${RETRY_OR_DLQ_TOPIC_LENGTH_MAX}`,
        )
  return topic.length <= TOPIC_LENGTH_MAX
    ? VALID
    : refuse(`The specified topic: ${topic}, is longer than topic max length: ${TOPIC_LENGTH_MAX}`)
}

/** Checks a producer or consumer group name. */
export function validateGroup(group: string): NameCheck {
  if (group.trim() === '') return refuse('The specified group is blank.')
  if (!NAME.test(group))
    return refuse(`The specified group: ${group}, contains illegal characters, allowing only ${NAME_PATTERN}`)
  return group.length <= GROUP_LENGTH_MAX
    ? VALID
    : refuse(`The specified group: ${group}, is longer than group max length: ${GROUP_LENGTH_MAX}`)
}

function refuse(reason: string): NameCheck {
  return { ok: false, reason }
}

/** Is this one of the brokers' own topics? Clients may not create or delete them. */
export function isSystemTopic(topic: string): boolean {
  return SYSTEM_TOPICS.has(topic) || topic.startsWith(SYSTEM_TOPIC_PREFIX)
}

/** System topics that clients may not send to (code 16). */
export function isSendForbidden(topic: string): boolean {
  return SEND_FORBIDDEN.has(topic)
}

export function isSystemGroup(group: string): boolean {
  return SYSTEM_GROUPS.includes(group) || group.startsWith(SYSTEM_GROUP_PREFIX)
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_TOPIC_PREFIX)
}

/** Topic of a group's messages that wait for another try (pull consumers). */
export function retryTopic(group: string): string {
  return RETRY_TOPIC_PREFIX + group
}

/** Topic of the messages that a group gave up. */
export function dlqTopic(group: string): string {
  return DLQ_TOPIC_PREFIX + group
}

/** Topic of a group's messages of one topic that wait for another try (pop consumers); V1 is the official default. */
export function popRetryTopic(group: string, topic: string, version: 1 | 2 = 1): string {
  return `${RETRY_TOPIC_PREFIX}${group}${version === 1 ? '_' : '+'}${topic}`
}
