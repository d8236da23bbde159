import { type MessageQueue, MillraceError, RequestCode, ResponseCode, validateTopic } from '@millrace/core'
import { type ClientContext, requestAddress } from '../client-context.js'
import { QueueOffsets } from '../consumer/queue-offsets.js'
import { RequestError } from '../errors.js'
import { pause } from '../pause.js'
import { MASTER_ID, type TopicRoute } from '../route/topic-route.js'
import { asNumber, asTexts, membersOf, queueEntries } from './admin-bodies.js'
import { askEach, askNameserver, type Master, mastersOf } from './cluster.js'

const ROUTE_POLL_MS = 50
const ROUTE_VISIBLE_MS = 5_000
const READ_AND_WRITE = 6

export interface TopicOptions {
  /** Queues on each broker, default 8. */
  readonly queues?: number | undefined
  /** Permission bits: 4 read, 2 write; default 6, both. */
  readonly permission?: number | undefined
  /** Attributes, such as `{ 'message.type': 'FIFO' }`. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
  /** Which cluster, when there are several. */
  readonly cluster?: string | undefined
}

export interface QueueDescription {
  readonly queue: MessageQueue
  /** First offset that the queue still holds. */
  readonly minOffset: number
  /** Offset that the next message will get. */
  readonly maxOffset: number
  /** When the last message was stored, in milliseconds since the epoch; undefined when the queue is empty or the broker does not say. */
  readonly lastStoredAt: number | undefined
}

export async function createTopic(context: ClientContext, topic: string, options: TopicOptions): Promise<void> {
  const valid = validateTopic(topic)
  if (!valid.ok) throw new MillraceError('INVALID_ARGUMENT', valid.reason)
  const queues = String(options.queues ?? 8)
  const attributes = Object.entries(options.attributes ?? {}).map(([key, value]) => `+${key}=${value}`)
  const fields = {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: queues,
    writeQueueNums: queues,
    perm: String(options.permission ?? READ_AND_WRITE),
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
    ...(attributes.length === 0 ? {} : { attributes: attributes.join(',') }),
  }
  const masters = await mastersOf(context, options.cluster)
  await askEach(context, masters, `create topic "${topic}"`, { code: RequestCode.UPDATE_AND_CREATE_TOPIC, fields })
  await untilRouted(context, topic, masters)
}

/** Brokers tell the name servers on their own time: the caller may use the topic when this resolves. */
async function untilRouted(context: ClientContext, topic: string, masters: readonly Master[]): Promise<void> {
  const { clock } = context.environment
  const deadline = clock.monotonic() + ROUTE_VISIBLE_MS
  for (;;) {
    const route = await context.routes.load(topic).catch(error => {
      if (error instanceof RequestError && clock.monotonic() < deadline) return undefined
      throw error
    })
    if (route && masters.every(({ brokerName }) => route.brokers.has(brokerName))) return
    if (clock.monotonic() > deadline)
      throw new MillraceError(
        'TIMEOUT',
        `topic "${topic}" was created, but its route did not appear within ${ROUTE_VISIBLE_MS} ms; check that the brokers reach the name servers`,
      )
    await pause(context.environment, ROUTE_POLL_MS)
  }
}

export async function deleteTopic(context: ClientContext, topic: string, cluster: string | undefined): Promise<void> {
  const masters = await mastersOf(context, cluster)
  const fields = { topic }
  const what = `delete topic "${topic}"`
  await askEach(context, masters, what, { code: RequestCode.DELETE_TOPIC_IN_BROKER, fields })
  for (const answer of await context.nameservers.requestAll({ code: RequestCode.DELETE_TOPIC_IN_NAMESRV, fields }))
    if (answer.code !== ResponseCode.SUCCESS) throw new RequestError(what, answer.code, answer.remark)
  context.routes.forget(topic)
}

export async function topicList(context: ClientContext): Promise<string[]> {
  const answer = await askNameserver(context, 'topic list', { code: RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER })
  return asTexts(membersOf(answer.body)['topicList']).sort()
}

export async function describeTopic(context: ClientContext, topic: string): Promise<QueueDescription[]> {
  const route = await context.routes.load(topic)
  const masters = [...route.brokers.values()].filter(({ brokerAddrs }) => brokerAddrs[MASTER_ID] !== undefined)
  const perBroker = masters.map(({ brokerName, brokerAddrs }) =>
    describeOnBroker(context, route, { brokerName, address: brokerAddrs[MASTER_ID] }),
  )
  return (await Promise.all(perBroker)).flat()
}

async function describeOnBroker(
  context: ClientContext,
  route: TopicRoute,
  master: Master,
): Promise<QueueDescription[]> {
  const request = { code: RequestCode.GET_TOPIC_STATS_INFO, fields: { topic: route.topic } }
  try {
    const answer = await requestAddress(context, master.address, `description of topic "${route.topic}"`, request)
    const entries = queueEntries(membersOf(answer.body)['offsetTable'])
    return entries
      .map(([queue, entry]) => {
        const lastStoredAt = asNumber(entry['lastUpdateTimestamp'])
        return {
          queue,
          minOffset: asNumber(entry['minOffset']),
          maxOffset: asNumber(entry['maxOffset']),
          lastStoredAt: lastStoredAt > 0 ? lastStoredAt : undefined,
        }
      })
      .sort((a, b) => a.queue.queueId - b.queue.queueId)
  } catch (error) {
    if (!(error instanceof RequestError && error.responseCode === ResponseCode.REQUEST_CODE_NOT_SUPPORTED)) throw error
    const offsets = new QueueOffsets(context)
    const queues = route.readQueues.filter(queue => queue.brokerName === master.brokerName)
    return Promise.all(
      queues.map(async queue => {
        const [minOffset, maxOffset] = await Promise.all([offsets.min(queue), offsets.max(queue)])
        return { queue, minOffset, maxOffset, lastStoredAt: undefined }
      }),
    )
  }
}
