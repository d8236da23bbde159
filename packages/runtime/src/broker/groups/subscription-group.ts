import { type JsonInput, type LenientJson, parseLenientJson, ResponseCode } from '@millrace/core'
import { Refusal } from '../../requests/answer.js'
import { bodyOf } from '../../requests/body.js'

/** Settings of one consumer group. behaviour.md §4 */
export interface SubscriptionGroup {
  readonly groupName: string
  readonly consumeEnable: boolean
  readonly consumeFromMinEnable: boolean
  readonly consumeBroadcastEnable: boolean
  readonly consumeMessageOrderly: boolean
  readonly retryQueueNums: number
  /** Tries before a message goes to the dead letters. */
  readonly retryMaxTimes: number
  /** Delays before retries; the default is the delay levels. See `retryDelayMs`. */
  readonly groupRetryPolicy: JsonInput
  readonly brokerId: number
  readonly whichBrokerWhenConsumeSlowly: number
  readonly notifyConsumerIdsChangedEnable: boolean
  readonly groupSysFlag: number
  readonly consumeTimeoutMinute: number
  readonly attributes: Readonly<Record<string, string>>
}

const DEFAULTS: Omit<SubscriptionGroup, 'groupName'> = {
  consumeEnable: true,
  consumeFromMinEnable: true,
  consumeBroadcastEnable: true,
  consumeMessageOrderly: false,
  retryQueueNums: 1,
  retryMaxTimes: 16,
  groupRetryPolicy: Object.freeze({ type: 'CUSTOMIZED' }),
  brokerId: 0,
  whichBrokerWhenConsumeSlowly: 1,
  notifyConsumerIdsChangedEnable: true,
  groupSysFlag: 0,
  consumeTimeoutMinute: 15,
  attributes: Object.freeze({}),
}

const RETRY_QUEUES_MAX = 1024

export function defaultSubscriptionGroup(groupName: string): SubscriptionGroup {
  return { groupName, ...DEFAULTS }
}

/** The JSON object, members in the order that official brokers write them. */
export function subscriptionGroupJson(group: SubscriptionGroup): JsonInput {
  return Object.fromEntries(Object.entries(group).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Body of [200]. Members left out take their defaults. @throws Refusal 1 (no JSON object) | 29 (a bad value) */
export function parseSubscriptionGroup(body: Buffer | undefined): SubscriptionGroup {
  return readGroup(bodyOf(parseLenientJson(body ?? '')))
}

/** Body of [225]. @throws as `parseSubscriptionGroup` */
export function parseSubscriptionGroupList(body: Buffer | undefined): SubscriptionGroup[] {
  const value = membersOf(bodyOf(parseLenientJson(body ?? '')))['groupConfigList']
  return Array.isArray(value) ? (value as readonly LenientJson[]).map(readGroup) : []
}

function readGroup(value: LenientJson): SubscriptionGroup {
  const members = membersOf(value)
  const name = members['groupName']
  const group: Record<string, unknown> = { groupName: typeof name === 'string' ? name : '' }
  for (const [member, otherwise] of Object.entries(DEFAULTS)) {
    const given = members[member] ?? otherwise
    if (typeof given !== typeof otherwise)
      throw invalid(`${member} of group ${name} is ${JSON.stringify(given)}; send a ${typeof otherwise}`)
    group[member] = given
  }
  const read = group as unknown as SubscriptionGroup
  if (!Number.isInteger(read.retryQueueNums) || read.retryQueueNums < 0 || read.retryQueueNums > RETRY_QUEUES_MAX)
    throw invalid(`retryQueueNums of group ${name} is ${read.retryQueueNums}; send 0 to ${RETRY_QUEUES_MAX}`)
  return read
}

function membersOf(value: LenientJson): Readonly<Record<string, LenientJson>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map))
    return value as Readonly<Record<string, LenientJson>>
  throw new Refusal(ResponseCode.SYSTEM_ERROR, 'the body is not a JSON object with the settings of a group')
}

function invalid(remark: string): Refusal {
  return new Refusal(ResponseCode.INVALID_PARAMETER, remark)
}
