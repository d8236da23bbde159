import {
  type ActorRef,
  type Clock,
  formatProperties,
  isWriteable,
  PropertyName,
  parseRecallHandle,
  RequestCode,
  ResponseCode,
  SystemTopic,
} from '@millrace/core'
import type { MessageToAppend } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, jsonReply, Refusal } from '../../requests/answer.js'
import { optionalTextField, textField } from '../../requests/fields.js'
import type { Topics } from '../topics/topics.js'
import type { TimerIndex } from './timer-index.js'
import type { RecallOutcome, TimerMessage } from './timer-messages.js'

export interface RecallOptions {
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly topics: Topics
  readonly index: TimerIndex
  /** Undefined while the broker does not deliver. */
  readonly timers: () => ActorRef<TimerMessage> | undefined
}

const RECALL_DEADLINE_MS = 10_000
const RECALL_TAG = '_RECALL_TAG_'
const TIME_MAX = 2 ** 48

/** [370], with which a producer takes back a timer message, and [61]. behaviour.md §11 @see RocketMQ `RecallMessageProcessor` */
export function timerAnswers(options: RecallOptions): [number, Answer][] {
  return [
    [RequestCode.RECALL_MESSAGE, request => recall(options, request)],
    [RequestCode.GET_TIMER_METRICS, () => metrics(options)],
  ]
}

async function recall(options: RecallOptions, { command, peer }: RemotingRequest): Promise<Reply> {
  const { clock, config, timers, topics } = options
  const topic = textField(command, 'topic')
  const handleText = textField(command, 'recallHandle')
  if (!config.recallMessageEnable)
    throw new Refusal(ResponseCode.NO_PERMISSION, 'recall failed, operation is forbidden: recallMessageEnable is false')
  const actor = timers()
  if (!isWriteable(config.brokerPermission) || !actor)
    throw new Refusal(ResponseCode.SERVICE_NOT_AVAILABLE, 'recall failed, broker service not available')
  if (!topics.find(topic))
    throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `recall failed, the topic[${topic}] not exist`)
  const handle = parseRecallHandle(handleText)
  if (!handle) throw illegal('recall handle is invalid')
  if (handle.topic !== topic) throw illegal('recall failed, topic not match')
  if (handle.brokerName !== config.brokerName) throw illegal('recall failed, broker service not available')
  const { deliverTime: due, uniqueKey } = handle
  if (due >= TIME_MAX || due - clock.now() >= config.timerMaxDelaySec * 1000)
    throw illegal('recall failed, timestamp invalid')
  const properties = {
    TAGS: RECALL_TAG,
    [PropertyName.TIMER_DEL_UNIQKEY]: uniqueKey,
    [PropertyName.UNIQ_KEY]: uniqueKey,
    [PropertyName.TIMER_DELIVER_MS]: String(due),
    [PropertyName.TIMER_OUT_MS]: String(due - 1),
    [PropertyName.REAL_TOPIC]: topic,
    [PropertyName.REAL_QID]: '0',
    [PropertyName.PGROUP]: optionalTextField(command, 'producerGroup'),
  }
  const marker: MessageToAppend = {
    topic: SystemTopic.TIMER,
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: clock.now(),
    bornHost: peer.remote,
    storeHost: { host: config.brokerIP1 || peer.local.host, port: peer.local.port },
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from('0'),
    properties: Buffer.from(formatProperties(properties)),
  }
  const outcome = await actor.ask<RecallOutcome>(
    reply => ({ kind: 'recall', recall: { due, topic, uniqueKey, marker }, reply }),
    RECALL_DEADLINE_MS,
  )
  if (outcome === 'too late') throw illegal('recall failed, timestamp invalid')
  return { code: ResponseCode.SUCCESS, extFields: { msgId: uniqueKey, MSG_REGION: config.regionId } }
}

function illegal(remark: string): Refusal {
  return new Refusal(ResponseCode.ILLEGAL_OPERATION, remark)
}

/** Pending messages by topic. remoting.md §10, code 61 */
function metrics({ clock, index }: RecallOptions): Reply {
  const timeStamp = clock.now()
  const timingCount = Object.fromEntries([...index.counts()].map(([topic, count]) => [topic, { count, timeStamp }]))
  return jsonReply({ dataVersion: { counter: 0, stateVersion: 0, timestamp: timeStamp }, timingCount })
}
