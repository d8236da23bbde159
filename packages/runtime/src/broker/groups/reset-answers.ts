import { encodeQueueOffsets, type MessageQueue, RequestCode, ResponseCode } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, Refusal } from '../../requests/answer.js'
import { booleanField, integerField, optionalIntegerField, textField } from '../../requests/fields.js'
import { tellOffsets } from '../calls/client-calls.js'
import type { GroupRegistry } from './group-registry.js'
import type { OffsetOptions } from './offset-answers.js'
import type { PendingResets } from './pending-resets.js'

export interface ResetOptions extends OffsetOptions {
  readonly config: BrokerConfig
  readonly registry: GroupRegistry
  readonly resets: PendingResets
  readonly store: Pick<MessageStore, 'entry' | 'logEnd' | 'maxOffset' | 'minOffset' | 'offsetByTime'>
}

/** [222]: an operator moves a group to another place. behaviour.md §9 */
export function resetAnswers(options: ResetOptions): [number, Answer][] {
  return [[RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, request => reset(options, request)]]
}

/** Offsets are durable before the answer; running consumers follow with their next pull. */
async function reset(options: ResetOptions, request: RemotingRequest): Promise<Reply> {
  const { command } = request
  if (!options.config.useServerSideResetOffset) return tellReset(options, request)
  const { config, offsets, registry, resets, subscriptionGroups, topics } = options
  const group = textField(command, 'group')
  const name = textField(command, 'topic')
  const topic = topics.find(name)
  if (!topic) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `Topic ${name} does not exist`)
  if (!subscriptionGroups.find(group))
    throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`)
  const only = optionalIntegerField(command, 'queueId') ?? -1
  const count = Math.max(topic.readQueueNums, topic.writeQueueNums)
  if (only >= count) throw new Refusal(ResponseCode.INVALID_PARAMETER, `topic ${name} has no queue ${only}`)
  const queueIds = only >= 0 ? [only] : Array.from({ length: count }, (_, queueId) => queueId)
  const wanted = readReset(command)
  const targets = queueIds.map(queueId => [queueId, targetOf(options, wanted, name, queueId, only >= 0)] as const)
  const moved = new Map<MessageQueue, number>()
  const isOnline = registry.find(group) !== undefined
  for (const [queueId, offset] of targets) {
    offsets.set(group, name, queueId, offset)
    if (isOnline) resets.set(group, name, queueId, offset)
    moved.set({ brokerName: config.brokerName, queueId, topic: name }, offset)
  }
  await offsets.flush()
  return { ...DONE, body: encodeQueueOffsets('offsetTable', moved) }
}

/**
 * The way before 5.0: the members are told, and store the offsets themselves. Without `isForce` no queue goes forward.
 * @see RocketMQ `Broker2Client#resetOffset`
 */
function tellReset(options: ResetOptions, { command }: RemotingRequest): Reply {
  const { config, offsets, registry, topics } = options
  const group = textField(command, 'group')
  const name = textField(command, 'topic')
  const topic = topics.find(name)
  if (!topic)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `[reset-offset] reset offset failed, no topic in this broker. topic=${name}`,
    )
  const wanted = { ...readReset(command), offset: undefined }
  const isForced = booleanField(command, 'isForce', false)
  const moved = new Map<MessageQueue, number>()
  for (let queueId = 0; queueId < topic.writeQueueNums; queueId++) {
    const committed = offsets.get(group, name, queueId)
    if (committed === undefined) throw new Refusal(ResponseCode.SYSTEM_ERROR, `THe consumer group <${group}> not exist`)
    const target = targetOf(options, wanted, name, queueId, false)
    const queue = { brokerName: config.brokerName, queueId, topic: name }
    moved.set(queue, isForced || target < committed ? target : committed)
  }
  const body = encodeQueueOffsets('offsetTable', moved)
  const fields = { group, topic: name, timestamp: String(wanted.timestamp), isForce: String(isForced) }
  tellOffsets(registry, group, fields, language => (language === 'CPP' ? listBody(moved) : body))
  return { ...DONE, body }
}

/** C++ clients read a list. remoting.md, code 220 */
function listBody(offsets: ReadonlyMap<MessageQueue, number>): Buffer {
  return Buffer.from(JSON.stringify({ offsetTable: [...offsets].map(([queue, offset]) => ({ ...queue, offset })) }))
}

interface ResetRequest {
  readonly timestamp: number
  readonly offset: number | undefined
}

function readReset(command: RemotingRequest['command']): ResetRequest {
  const offset = optionalIntegerField(command, 'offset')
  return { timestamp: integerField(command, 'timestamp'), offset: offset === -1 ? undefined : offset }
}

/** An offset is taken for a single queue only; a time of −1 means the end. */
function targetOf(
  { store }: ResetOptions,
  { offset, timestamp }: ResetRequest,
  topic: string,
  queueId: number,
  isSingle: boolean,
): number {
  const min = store.minOffset(topic, queueId)
  const max = store.maxOffset(topic, queueId)
  if (isSingle && offset !== undefined) {
    if (offset < min || offset > max)
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `Target offset ${offset} not in consume queue range [${min}-${max}]`)
    return offset
  }
  return timestamp === -1 ? max : store.offsetByTime(topic, queueId, timestamp, 'lower')
}
