import { type Clock, RequestCode, ResponseCode } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, jsonReply, Refusal } from '../../requests/answer.js'
import { textField } from '../../requests/fields.js'
import { BROKER, type BrokerCounters, GROUP, TOPIC } from '../counters.js'
import type { Meter } from '../stats/meter.js'
import type { TopicTable } from '../topics/topic-table.js'

export interface ViewStatsOptions {
  readonly clock: Clock
  readonly config: BrokerConfig
  readonly counters: BrokerCounters
  readonly topics: TopicTable
}

/** A counter, and that of the requests that made it grow. */
interface Series {
  readonly counter: number
  readonly requests: number
}

const TOPIC_SERIES: Readonly<Record<string, Series>> = {
  TOPIC_PUT_NUMS: { counter: TOPIC.messages, requests: TOPIC.requests },
  TOPIC_PUT_SIZE: { counter: TOPIC.bytes, requests: TOPIC.requests },
}
const GROUP_SERIES: Readonly<Record<string, Series>> = {
  GROUP_GET_NUMS: { counter: GROUP.messages, requests: GROUP.requests },
  GROUP_GET_SIZE: { counter: GROUP.bytes, requests: GROUP.requests },
  GROUP_GET_LATENCY: { counter: GROUP.readMs, requests: GROUP.requests },
  SNDBCK_PUT_NUMS: { counter: GROUP.sentBack, requests: GROUP.sentBack },
  DLQ_PUT_NUMS: { counter: GROUP.deadLetters, requests: GROUP.deadLetters },
}
const BROKER_SERIES: Readonly<Record<string, Series>> = {
  BROKER_PUT_NUMS: { counter: BROKER.messagesIn, requests: BROKER.sends },
  BROKER_GET_NUMS: { counter: BROKER.messagesOut, requests: BROKER.pullsFound },
  BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC: { counter: BROKER.userMessagesIn, requests: BROKER.sends },
  BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC: { counter: BROKER.userMessagesOut, requests: BROKER.pullsFound },
}

/**
 * [315]: growth of a counter over the last minute, hour and day. The key is a topic, `topic@group` (also with a queue id in
 * front of it, as RocketMQ keeps latencies: the answer is that of all queues) or the cluster. behaviour.md §18
 */
export function viewStatsAnswers(options: ViewStatsOptions): [number, Answer][] {
  return [[RequestCode.VIEW_BROKER_STATS_DATA, request => viewReply(options, request)]]
}

function viewReply(options: ViewStatsOptions, { command }: RemotingRequest): Reply {
  const name = textField(command, 'statsName')
  const key = textField(command, 'statsKey')
  const found = find(options, name, key)
  if (!found) throw new Refusal(ResponseCode.SYSTEM_ERROR, `The stats <${name}> <${key}> not exist`)
  const { meter, series } = found
  const { counters, clock } = options
  const now = clock.monotonic()
  const growth = (window: 'minute' | 'hour' | 'day') => ({
    ...meter.growth(counters.times, window, now, series.counter, series.requests),
  })
  return jsonReply({ statsDay: growth('day'), statsHour: growth('hour'), statsMinute: growth('minute') })
}

function find(
  { config, counters, topics }: ViewStatsOptions,
  name: string,
  key: string,
): { readonly meter: Meter; readonly series: Series } | undefined {
  const ofBroker = own(BROKER_SERIES, name)
  if (ofBroker) return key === config.brokerClusterName ? { meter: counters.broker, series: ofBroker } : undefined
  const [group, topicName] = key.split('@').reverse()
  const ofTopic = own(TOPIC_SERIES, name)
  const topic = topics.find((ofTopic ? key : topicName) ?? '')
  const topicMeter = topic && counters.topic(topic)
  // A topic that was only read has a meter too: nothing was put there.
  if (ofTopic)
    return topicMeter && topicMeter.now[TOPIC.requests] > 0 ? { meter: topicMeter, series: ofTopic } : undefined
  const ofGroup = own(GROUP_SERIES, name)
  const groupMeter = topicMeter?.groups.get(group)
  return ofGroup && groupMeter && groupMeter.now[ofGroup.requests] > 0
    ? { meter: groupMeter, series: ofGroup }
    : undefined
}

function own(series: Readonly<Record<string, Series>>, name: string): Series | undefined {
  return Object.hasOwn(series, name) ? series[name] : undefined
}
