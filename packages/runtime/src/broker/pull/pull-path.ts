import {
  type Environment,
  encodeResponse,
  PullScan,
  ResponseCode,
  scanPull,
  writePullReplyHeader,
} from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingConnection, Taken } from '../../listener/connection.js'
import type { BrokerCounters } from '../counters.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'
import { type HeldPull, HeldPulls } from './held-pulls.js'
import { HEAD_BYTES_MAX, MessageRead, type ReadStatus } from './message-read.js'
import { type TagFilter, TagFilters } from './tag-filter.js'

/** Bits of a pull's sysFlag. behaviour.md §6 */
const PULL = { commitOffset: 1, suspend: 2, subscription: 4 } as const
const READABLE = 4

/** What the pull path asks about consumer groups; reads that never wait. */
export interface PullGroups {
  /** Undefined: no such group, and none may be made. */
  find(name: string): { readonly consumeEnable: boolean; readonly groupSysFlag: number } | undefined
  /** What the group's members subscribed to; undefined: the group is offline or not subscribed to the topic. */
  subscription(
    group: string,
    topic: string,
  ): { readonly subString: string; readonly expressionType: string; readonly subVersion: number } | undefined
  commitOffset(group: string, topic: string, queueId: number, offset: number): void
  /** Where an operator wants the group to go on in this queue; undefined in the usual case. */
  takeReset(group: string, topic: string, queueId: number): number | undefined
}

/** A pull that was checked and may be read. */
interface Allowed {
  readonly queue: QueueTail
  readonly topic: Topic
  readonly filter: TagFilter
  readonly groupSysFlag: number
}

interface Refused {
  readonly code: number
  readonly remark: string
  readonly forbiddenType?: string
}

/**
 * Consumers' pulls: checks, one read into a reused buffer, one write. A pull that finds nothing and may wait is held
 * until a message arrives (see HeldPulls).
 */
export class PullPath {
  private readonly scan = new PullScan()
  private readonly filters = new TagFilters()
  private readonly messages: MessageRead
  private readonly held: HeldPulls
  private readonly head = Buffer.alloc(HEAD_BYTES_MAX)

  constructor(
    private readonly config: BrokerConfig,
    private readonly store: LogStore,
    private readonly topics: Topics,
    private readonly groups: PullGroups,
    private readonly environment: Environment,
    private readonly counters: BrokerCounters,
  ) {
    this.messages = new MessageRead(store)
    this.held = new HeldPulls(environment, store, (pull, isLast) => this.retry(pull, isLast))
  }

  get heldCount(): number {
    return this.held.heldCount
  }

  /** Serves a pull request if the scanner can read it. */
  take(connection: RemotingConnection, bytes: Buffer, start: number, end: number): Taken {
    const { scan } = this
    if (!scanPull(bytes, start, end, scan)) return 'unusual'
    const group = bytes.toString('utf8', scan.groupStart, scan.groupEnd)
    const topicName = bytes.toString('utf8', scan.topicStart, scan.topicEnd)
    const allowed = this.check(bytes, group, topicName)
    if ('code' in allowed) {
      const { code, remark, forbiddenType } = allowed
      const extFields = {
        suggestWhichBrokerId: '0',
        nextBeginOffset: '0',
        minOffset: '0',
        maxOffset: '0',
        ...(forbiddenType && { forbiddenType }),
      }
      connection.send(
        encodeResponse(
          { opaque: scan.opaque, serialization: scan.isBinary ? 'ROCKETMQ' : 'JSON' },
          { code, remark, extFields },
        ),
      )
      return 'taken'
    }
    const reset = this.groups.takeReset(group, topicName, scan.queueId)
    if (reset !== undefined) {
      this.answerReset(connection, allowed, reset)
      return 'taken'
    }
    if (scan.sysFlag & PULL.commitOffset && scan.commitOffset >= 0)
      this.groups.commitOffset(group, topicName, scan.queueId, scan.commitOffset)
    this.serve(connection, allowed)
    return 'taken'
  }

  /** The client goes on at `offset`, whatever it asked for. behaviour.md §9 */
  private answerReset(connection: RemotingConnection, { queue }: Allowed, offset: number): void {
    const { scan, store } = this
    const extFields = {
      suggestWhichBrokerId: '0',
      nextBeginOffset: String(offset),
      minOffset: String(store.firstOffset(queue)),
      maxOffset: String(store.visibleOffset(queue)),
    }
    const answer = { code: ResponseCode.PULL_OFFSET_MOVED, remark: 'OFFSET_RESET', extFields }
    connection.send(encodeResponse({ opaque: scan.opaque, serialization: scan.isBinary ? 'ROCKETMQ' : 'JSON' }, answer))
  }

  private check(bytes: Buffer, group: string, topicName: string): Allowed | Refused {
    const { scan, config } = this
    if ((config.brokerPermission & READABLE) === 0) {
      return refused(ResponseCode.NO_PERMISSION, `the broker[${config.brokerName}] pulling message is forbidden`, '1')
    }
    const groupConfig = this.groups.find(group)
    if (groupConfig === undefined)
      return refused(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group [${group}] does not exist`)
    if (!groupConfig.consumeEnable)
      return refused(ResponseCode.NO_PERMISSION, `subscription group no permission, ${group}`, '2')
    const topic = this.topics.find(topicName)
    if (topic === undefined)
      return refused(ResponseCode.TOPIC_NOT_EXIST, `topic[${topicName}] not exist, apply first please!`)
    if ((topic.perm & READABLE) === 0)
      return refused(ResponseCode.NO_PERMISSION, `the topic[${topicName}] pulling message is forbidden`, '3')
    if (scan.queueId < 0 || scan.queueId >= topic.readQueueNums) {
      return refused(
        ResponseCode.INVALID_PARAMETER,
        `queueId[${scan.queueId}] is illegal, topic:[${topicName}] topicConfig.readQueueNums:[${topic.readQueueNums}]`,
      )
    }
    const filter = this.filter(bytes, group, topicName)
    if (filter !== undefined && 'code' in filter) return filter
    return {
      queue: this.store.queue(this.store.topic(topicName), scan.queueId),
      topic,
      filter,
      groupSysFlag: groupConfig.groupSysFlag,
    }
  }

  private filter(bytes: Buffer, group: string, topic: string): TagFilter | Refused {
    const { scan } = this
    let expression: string
    let expressionType: string
    if (scan.sysFlag & PULL.subscription) {
      expression = bytes.toString('utf8', scan.subscriptionStart, scan.subscriptionEnd)
      if (scan.subscriptionEscaped) expression = JSON.parse(`"${expression}"`) as string
      expressionType = bytes.toString('latin1', scan.expressionTypeStart, scan.expressionTypeEnd)
    } else {
      const subscription = this.groups.subscription(group, topic)
      if (subscription === undefined) {
        return refused(
          ResponseCode.SUBSCRIPTION_NOT_EXIST,
          `the consumer's group info not exist, or group ${group} does not subscribe to ${topic}`,
        )
      }
      if (subscription.subVersion < scan.subVersion) {
        return refused(
          ResponseCode.SUBSCRIPTION_NOT_LATEST,
          `the subscription of group ${group} to ${topic} is older than the consumer's; it is taken with the next heartbeat`,
        )
      }
      expression = subscription.subString
      expressionType = subscription.expressionType
    }
    if (expressionType !== '' && expressionType !== 'TAG') {
      return refused(
        ResponseCode.SYSTEM_ERROR,
        `The broker does not support consumer to filter message by ${expressionType}`,
      )
    }
    return this.filters.of(expression)
  }

  private serve(connection: RemotingConnection, allowed: Allowed): void {
    const { scan, config } = this
    const messagesMax = Math.max(1, Math.min(scan.maxMsgNums, config.maxTransferCountOnMessageInMemory))
    const bytesMax = Math.min(
      scan.maxMsgBytes > 0 ? scan.maxMsgBytes : Number.MAX_SAFE_INTEGER,
      config.maxTransferBytesOnMessageInMemory,
    )
    const { messages } = this
    messages.read(allowed.queue, scan.queueOffset, allowed.filter, { messagesMax, bytesMax })
    const mayWait =
      (scan.sysFlag & PULL.suspend) !== 0 &&
      scan.suspendTimeoutMillis > 0 &&
      codeOf(messages.status, scan.queueOffset) === ResponseCode.PULL_NOT_FOUND
    const pull = {
      connection,
      opaque: scan.opaque,
      isBinary: scan.isBinary,
      queue: allowed.queue,
      offset: scan.queueOffset,
      filter: allowed.filter,
      messagesMax,
      bytesMax,
      topicSysFlag: allowed.topic.topicSysFlag,
      groupSysFlag: allowed.groupSysFlag,
      deadlineMs: 0,
    }
    if (mayWait) {
      const waitMs = config.longPollingEnable ? scan.suspendTimeoutMillis : config.shortPollingTimeMills
      if (this.held.hold({ ...pull, deadlineMs: this.environment.clock.monotonic() + waitMs })) return
    }
    this.answer(pull)
  }

  /** Runs a held pull again. True: it has been answered. */
  private retry(pull: HeldPull, isLast: boolean): boolean {
    this.messages.read(pull.queue, pull.offset, pull.filter, pull)
    if (
      !isLast &&
      this.messages.status !== 'found' &&
      codeOf(this.messages.status, pull.offset) !== ResponseCode.PULL_OFFSET_MOVED
    )
      return false
    this.answer(pull)
    return true
  }

  /** Sends what `messages` holds: header and messages in one write. */
  private answer(pull: HeldPull): void {
    const { messages, head } = this
    const bodyLength = messages.end - HEAD_BYTES_MAX
    const headLength = writePullReplyHeader(head, 0, {
      opaque: pull.opaque,
      isBinary: pull.isBinary,
      code: codeOf(messages.status, pull.offset),
      remark: REMARK[messages.status],
      suggestWhichBrokerId: 0,
      nextBeginOffset: messages.nextOffset,
      minOffset: messages.minOffset,
      maxOffset: messages.maxOffset,
      topicSysFlag: pull.topicSysFlag,
      groupSysFlag: pull.groupSysFlag,
      bodyLength,
    })
    const from = HEAD_BYTES_MAX - headLength
    head.copy(messages.buffer, from, 0, headLength)
    if (bodyLength === 0) this.counters.pullsEmpty++
    else this.counters.got(messages.messageCount, bodyLength)
    pull.connection.send(messages.buffer.subarray(from, messages.end))
    // Whatever the socket has not taken yet still belongs to it.
    if (pull.connection.net.bufferedBytes > 0) messages.giveAway()
  }

  /** A message of a watched queue may be read. */
  arrived(queue: QueueTail): void {
    this.held.arrived(queue)
  }

  stop(): void {
    this.held.clear()
  }
}

function refused(code: number, remark: string, forbiddenType?: string): Refused {
  return forbiddenType === undefined ? { code, remark } : { code, remark, forbiddenType }
}

/** behaviour.md §6, table of statuses */
function codeOf(status: ReadStatus, offset: number): number {
  switch (status) {
    case 'found':
      return ResponseCode.SUCCESS
    case 'nothing matched':
      return ResponseCode.PULL_RETRY_IMMEDIATELY
    case 'nothing new':
      return ResponseCode.PULL_NOT_FOUND
    case 'empty queue':
      return offset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED
    case 'offset too small':
    case 'offset too large':
      return ResponseCode.PULL_OFFSET_MOVED
    case 'unreadable':
      return ResponseCode.SYSTEM_ERROR
  }
}

const REMARK: Readonly<Record<ReadStatus, string>> = {
  found: 'FOUND',
  'nothing matched': 'NO_MATCHED_MESSAGE',
  'nothing new': 'OFFSET_OVERFLOW_ONE',
  'empty queue': 'NO_MESSAGE_IN_QUEUE',
  'offset too small': 'OFFSET_TOO_SMALL',
  'offset too large': 'OFFSET_OVERFLOW_BADLY',
  unreadable: 'the stored message could not be read; look at the log files of the broker',
}
