import {
  decodeQueueOffsets,
  isSystemGroup,
  type MessageQueue,
  MillraceError,
  RequestCode,
  ResponseCode,
  validateGroup,
} from '@millrace/core'
import { type ClientContext, requestAddress } from '../client-context.js'
import { RequestError } from '../errors.js'
import { asList, asMembers, asNumber, asText, membersOf, queueEntries } from './admin-bodies.js'
import { allMasters, askEach, mastersOf } from './cluster.js'

export interface GroupOptions {
  /** Deliveries of a message before it goes to the dead-letter topic, default 16. */
  readonly retryTimesMax?: number | undefined
  /** Which cluster, when there are several. */
  readonly cluster?: string | undefined
}

export interface GroupMember {
  readonly clientId: string
  /** `ip:port` from which it is connected. */
  readonly address: string
  readonly language: string
}

export interface GroupQueue {
  readonly queue: MessageQueue
  /** Next offset that the group consumes. */
  readonly committedOffset: number
  /** Offset that the next message will get. */
  readonly maxOffset: number
  /** Messages not consumed yet. */
  readonly lag: number
}

export interface GroupDescription {
  readonly group: string
  /** Empty when nobody is connected. */
  readonly members: readonly GroupMember[]
  /** Topic → filter, as the members say. */
  readonly subscriptions: Readonly<Record<string, string>>
  /** Queues of the topics for which the group has stored offsets. */
  readonly queues: readonly GroupQueue[]
  /** Of all queues together. */
  readonly lag: number
}

export async function createGroup(context: ClientContext, group: string, options: GroupOptions): Promise<void> {
  const valid = validateGroup(group)
  if (!valid.ok) throw new MillraceError('INVALID_ARGUMENT', valid.reason)
  const body = Buffer.from(JSON.stringify({ groupName: group, retryMaxTimes: options.retryTimesMax ?? 16 }))
  const masters = await mastersOf(context, options.cluster)
  const request = { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body }
  await askEach(context, masters, `create group "${group}"`, request)
}

export async function deleteGroup(context: ClientContext, group: string, cluster: string | undefined): Promise<void> {
  const masters = await mastersOf(context, cluster)
  const request = { code: RequestCode.DELETE_SUBSCRIPTIONGROUP, fields: { groupName: group, cleanOffset: 'true' } }
  await askEach(context, masters, `delete group "${group}"`, request)
}

export async function groupList(context: ClientContext): Promise<string[]> {
  const groups = new Set<string>()
  const request = { code: RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG }
  for (const { answer } of await askEach(context, await allMasters(context), 'group list', request)) {
    const table = asMembers(membersOf(answer.body)['subscriptionGroupTable'])
    for (const group in table) if (!isSystemGroup(group)) groups.add(group)
  }
  return [...groups].sort()
}

export async function describeGroup(context: ClientContext, group: string): Promise<GroupDescription> {
  const members = new Map<string, GroupMember>()
  const subscriptions: Record<string, string> = {}
  const queues: GroupQueue[] = []
  for (const { address } of await allMasters(context)) {
    const connections = await ask(context, address, group, RequestCode.GET_CONSUMER_CONNECTION_LIST)
    for (const connection of asList(connections['connectionSet'])) {
      const clientId = asText(connection['clientId'])
      members.set(clientId, {
        clientId,
        address: asText(connection['clientAddr']),
        language: asText(connection['language']),
      })
    }
    for (const [topic, data] of Object.entries(asMembers(connections['subscriptionTable'])))
      subscriptions[topic] = asText(asMembers(data)['subString'])
    const stats = await ask(context, address, group, RequestCode.GET_CONSUME_STATS)
    for (const [queue, entry] of queueEntries(stats['offsetTable'])) {
      const committedOffset = Math.max(0, asNumber(entry['consumerOffset']))
      const maxOffset = asNumber(entry['brokerOffset'])
      queues.push({ queue, committedOffset, maxOffset, lag: Math.max(0, maxOffset - committedOffset) })
    }
  }
  queues.sort((a, b) => a.queue.topic.localeCompare(b.queue.topic) || a.queue.queueId - b.queue.queueId)
  const lag = queues.reduce((sum, queue) => sum + queue.lag, 0)
  return { group, members: [...members.values()], subscriptions, queues, lag }
}

/** Answers that say "nobody is connected" or "no offsets yet" read as empty. */
const EMPTY_CODES: ReadonlySet<number> = new Set([ResponseCode.CONSUMER_NOT_ONLINE, ResponseCode.QUERY_NOT_FOUND])

async function ask(context: ClientContext, address: string, group: string, code: number) {
  try {
    const what = `description of group "${group}"`
    const answer = await requestAddress(context, address, what, { code, fields: { consumerGroup: group } })
    return membersOf(answer.body)
  } catch (error) {
    if (error instanceof RequestError && EMPTY_CODES.has(error.responseCode)) return {}
    throw error
  }
}

/** Where `resetOffsets` sets a group: an end of each queue, or the messages stored at a time (ms since the epoch) and later. */
export type ResetPosition = 'first' | 'last' | number

export async function resetOffsets(
  context: ClientContext,
  group: string,
  topic: string,
  position: ResetPosition,
): Promise<ReadonlyMap<MessageQueue, number>> {
  const timestamp = position === 'first' ? 0 : position === 'last' ? -1 : position
  const route = await context.routes.load(topic)
  const offsets = new Map<MessageQueue, number>()
  const fields = { group, topic, timestamp: String(timestamp), isForce: 'true' }
  const request = { code: RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, fields }
  for (const brokerName of route.brokers.keys()) {
    const address = context.routes.addressOf(brokerName)
    if (address === undefined) continue
    const answer = await requestAddress(context, address, `reset of group "${group}" on topic "${topic}"`, request)
    const decoded = decodeQueueOffsets(answer.body, 'offsetTable')
    if (decoded.ok) for (const [queue, offset] of decoded.value) offsets.set(queue, offset)
  }
  return offsets
}
