import { type Environment, popRetryTopic, RequestCode, ResponseCode } from '@millrace/core'
import type { ConsumerOffsets, LogStore, PopReceipts, QueueTail } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { failureReply, type Handler, Refusal } from '../../requests/answer.js'
import { integerField, textField } from '../../requests/fields.js'
import type { BrokerCounters } from '../counters.js'
import { type MessageFilter, MessageFilters } from '../filter/message-filter.js'
import type { PullGroups } from '../groups/pull-groups.js'
import { WATCHER } from '../pull/watcher.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'
import { CommitReplies, type ReplyPeer } from './commit-replies.js'
import { type HeldPoll, HeldPolls, type Retried } from './held-polls.js'
import { freeAt } from './order.js'
import { popAcks } from './pop-acks.js'
import { PopBatch, type PopSource } from './pop-batch.js'
import { checkRead } from './pop-checks.js'
import { PopOffsets } from './pop-offsets.js'
import { type PollRequest, type PopRequest, readPoll, readPop } from './pop-request.js'

export interface PopPathOptions {
  readonly config: BrokerConfig
  readonly store: LogStore
  readonly receipts: PopReceipts
  readonly offsets: ConsumerOffsets
  readonly topics: Topics
  readonly groups: PullGroups
  readonly environment: Environment
  readonly counters: BrokerCounters
}

const MESSAGES_MAX = 32
/** A request that was on its way for longer than it wanted to wait, and this much more, is answered at once. */
const LATE_MS = 500
/** A poll this close to its end is not held any more. */
const POLL_MS_MIN = 50

const FOUND: Reply = { code: ResponseCode.SUCCESS, remark: 'FOUND' }

/**
 * Pop consumption: messages are handed out with a receipt each and stay invisible to the rest of the group until they
 * are acknowledged, or their time is over. Answers leave when receipts and offsets are durable. behaviour.md §15
 * @see RocketMQ `PopMessageProcessor`
 */
export class PopPath {
  /** Request code → what serves it. */
  readonly handlers: ReadonlyMap<number, Handler>
  private readonly popOffsets: PopOffsets
  private readonly batch: PopBatch
  private readonly replies: CommitReplies
  private readonly filters = new MessageFilters()
  private readonly pops: HeldPolls<PopRequest>
  private readonly notifications: HeldPolls<PollRequest>

  constructor(private readonly options: PopPathOptions) {
    const { config, environment, groups, offsets, receipts, store, topics } = options
    this.popOffsets = new PopOffsets(store, offsets, receipts, groups)
    this.batch = new PopBatch(
      store,
      receipts,
      this.popOffsets,
      () => ({
        brokerName: config.brokerName,
        bytesMax: config.maxTransferBytesOnMessageInMemory,
        showsRetryTopic: config.popResponseReturnActualRetryTopic,
      }),
      environment.clock,
    )
    this.replies = new CommitReplies(receipts)
    const onIdle = (queue: QueueTail): void => this.unwatch(queue)
    this.pops = new HeldPolls(
      environment,
      store,
      () => config,
      (poll, isLast) => this.retryPop(poll, isLast),
      onIdle,
    )
    this.notifications = new HeldPolls(
      environment,
      store,
      () => config,
      (poll, isLast) => this.retryNotification(poll, isLast),
      onIdle,
    )
    const acks = popAcks({
      clock: environment.clock,
      offsets,
      receipts,
      replies: this.replies,
      store,
      topics,
      onFree: (topic, group, queueId) => this.pops.wake(topic, group, queueId),
    })
    this.handlers = new Map<number, Handler>([
      [RequestCode.POP_MESSAGE, refusing(request => this.pop(request))],
      [RequestCode.PEEK_MESSAGE, refusing(request => this.peek(request))],
      [RequestCode.NOTIFICATION, refusing(request => this.notification(request))],
      [RequestCode.POLLING_INFO, refusing(request => this.pollingInfo(request))],
      ...[...acks].map(([code, serve]) => [code, refusing(serve)] as const),
    ])
  }

  /** A message of a watched queue may be read. */
  arrived(queue: QueueTail): void {
    this.pops.arrived(queue)
    this.notifications.arrived(queue)
  }

  stop(): void {
    this.pops.stop()
    this.notifications.stop()
  }

  // ── Pop ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private pop({ command, peer }: RemotingRequest): void {
    const now = this.now()
    const request = readPop(command, now)
    if (now - request.bornTime - request.pollTimeMs > LATE_MS)
      throw new Refusal(
        ResponseCode.POLLING_TIMEOUT,
        `the broker[${this.options.config.brokerName}] pop message is timeout too much`,
      )
    if (request.messagesMax > MESSAGES_MAX)
      throw new Refusal(
        ResponseCode.INVALID_PARAMETER,
        `the broker[${this.options.config.brokerName}] pop message's num is greater than ${MESSAGES_MAX}`,
      )
    const topic = checkRead(this.options, request)
    const filter = this.filterOf(request)
    this.collect(request, topic, filter)
    const connection = peer as unknown as ReplyPeer
    if (this.batch.messageCount > 0) this.answerPop(connection, request, topic)
    else if (this.batch.hasUnreadable) throw new Refusal(ResponseCode.SYSTEM_ERROR, UNREADABLE)
    else if (!this.hold(this.pops, connection, request, topic)) this.answerEmpty(connection, request)
  }

  /** @throws Refusal 23 | 1 */
  private filterOf({ expression, expressionType }: PopRequest): MessageFilter | undefined {
    const result = this.filters.of(expressionType, expression)
    if (result.ok) return result.filter
    throw new Refusal(
      ResponseCode.SUBSCRIPTION_PARSE_FAILED,
      `parse the consumer's subscription failed: ${result.reason}`,
    )
  }

  /** Fills `batch` with what the group gets now. */
  private collect(request: PopRequest, topic: Topic, filter: MessageFilter | undefined): void {
    const { config, environment } = this.options
    const { batch } = this
    const chance = environment.random.int(100)
    const retryFirst = !request.isOrdered && chance < config.popFromRetryProbability
    batch.begin(this.now())
    if (retryFirst) this.takeRetried(request, chance, filter)
    for (const queueId of queueIds(topic, request.queueId, chance))
      batch.take(request, { topic: topic.name, queueId, retryFlag: '0' }, filter)
    if (!retryFirst && !request.isOrdered && batch.messageCount < request.messagesMax)
      this.takeRetried(request, chance, filter)
  }

  private takeRetried(request: PopRequest, chance: number, filter: MessageFilter | undefined): void {
    for (const source of this.retrySources(request, chance)) this.batch.take(request, source, filter)
  }

  /** Queues of the group's retry topics that exist. */
  private retrySources({ group, topic }: PollRequest, chance: number): PopSource[] {
    const { config, topics } = this.options
    const versions: (1 | 2)[] = config.enableRetryTopicV2
      ? config.retrieveMessageFromPopRetryTopicV1
        ? [2, 1]
        : [2]
      : [1]
    return versions.flatMap(version => {
      const retry = topics.find(popRetryTopic(group, topic, version))
      if (retry === undefined) return []
      return queueIds(retry, -1, chance).map(queueId => ({
        topic: retry.name,
        queueId,
        retryFlag: String(version),
      }))
    })
  }

  private answerPop(peer: ReplyPeer, request: PopRequest, topic: Topic): void {
    const { batch } = this
    const { counters } = this.options
    const { bytes } = batch
    counters.got(counters.readerOf(topic, request.group), batch.messageCount, bytes.length, 0)
    this.replies.add(peer, request, { ...FOUND, extFields: batch.fields(request), body: bytes })
  }

  private answerEmpty(peer: ReplyPeer, request: PopRequest, code: number = ResponseCode.POLLING_TIMEOUT): void {
    this.options.counters.missed()
    this.replies.add(peer, request, { code, remark: 'NO_MESSAGE_IN_QUEUE', extFields: this.batch.fields(request) })
  }

  private retryPop({ peer, request }: HeldPoll<PopRequest>, isLast: boolean): Retried {
    try {
      const topic = checkRead(this.options, request)
      this.collect(request, topic, this.filterOf(request))
      if (this.batch.messageCount > 0) this.answerPop(peer, request, topic)
      else if (!isLast) return { againAtMs: this.batch.freeAtMs || Number.POSITIVE_INFINITY }
      else this.answerEmpty(peer, request)
    } catch (error) {
      this.replies.add(peer, request, failureReply(error))
    }
    return 'answered'
  }

  // ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Holds a poll that found nothing. False: it is to be answered now. */
  private hold<R extends PollRequest>(held: HeldPolls<R>, peer: ReplyPeer, request: R, topic: Topic): boolean {
    const now = this.now()
    const leftMs = Math.min(request.bornTime - now, 0) + request.pollTimeMs
    if (request.pollTimeMs <= 0 || leftMs < POLL_MS_MIN) return false
    const deadlineMs = this.options.environment.clock.monotonic() + leftMs
    const againAtMs = this.batch.freeAtMs || Number.POSITIVE_INFINITY
    const isHeld = held.hold({ peer, request, deadlineMs, againAtMs }, () => this.watched(request, topic))
    if (!isHeld) throw new PollingFull()
    return true
  }

  /** Queues whose next message answers the poll; retry topics also before they exist. */
  private watched({ group, isOrdered, queueId, topic: name }: PollRequest, topic: Topic): QueueTail[] {
    const { config, store } = this.options
    const tails = queueIds(topic, queueId, 0).map(id => store.queue(store.topic(name), id))
    if (isOrdered) return tails
    const versions = config.enableRetryTopicV2 ? ([1, 2] as const) : ([1] as const)
    return [...tails, ...versions.map(version => store.queue(store.topic(popRetryTopic(group, name, version)), 0))]
  }

  private unwatch(queue: QueueTail): void {
    if (!this.pops.isWaiting(queue) && !this.notifications.isWaiting(queue))
      this.options.store.unwatch(queue, WATCHER.pop)
  }

  // ── Looking without taking ──────────────────────────────────────────────────────────────────────────────────────

  private notification({ command, peer }: RemotingRequest): void {
    const request = readPoll(command, this.now())
    const topic = checkRead(this.options, request)
    const connection = peer as unknown as ReplyPeer
    const found = this.hasMessage(request, topic)
    this.batch.begin(this.now())
    this.batch.freeAtMs = found.freeAtMs
    if (!found.hasMessage)
      try {
        if (this.hold(this.notifications, connection, request, topic)) return
      } catch (error) {
        if (!(error instanceof PollingFull)) throw error
        peer.reply(command, notified(false, true))
        return
      }
    peer.reply(command, notified(found.hasMessage, false))
  }

  private retryNotification({ peer, request }: HeldPoll, isLast: boolean): Retried {
    try {
      const found = this.hasMessage(request, checkRead(this.options, request))
      if (!found.hasMessage && !isLast) return { againAtMs: found.freeAtMs || Number.POSITIVE_INFINITY }
      this.replies.add(peer, request, notified(found.hasMessage, false))
    } catch (error) {
      this.replies.add(peer, request, failureReply(error))
    }
    return 'answered'
  }

  private hasMessage(request: PollRequest, topic: Topic): { hasMessage: boolean; freeAtMs: number } {
    const { group, isOrdered } = request
    const sources = [
      ...queueIds(topic, request.queueId, 0).map(queueId => ({ topic: topic.name, queueId })),
      ...(isOrdered ? [] : this.retrySources(request, 0)),
    ]
    let freeAtMs = 0
    for (const { queueId, topic: name } of sources) {
      if (this.popOffsets.rest(group, name, queueId) === 0) continue
      const free = isOrdered ? freeAt(this.options.receipts.find(group, name, queueId)?.order, request.attemptId) : 0
      if (free <= this.now()) return { hasMessage: true, freeAtMs: 0 }
      freeAtMs = freeAtMs === 0 ? free : Math.min(freeAtMs, free)
    }
    return { hasMessage: false, freeAtMs }
  }

  private pollingInfo({ command, peer }: RemotingRequest): void {
    const asked = {
      group: textField(command, 'consumerGroup'),
      topic: textField(command, 'topic'),
      queueId: integerField(command, 'queueId'),
    }
    checkRead(this.options, asked)
    const pollingNum = String(this.pops.countOf(asked.topic, asked.group, asked.queueId))
    peer.reply(command, { code: ResponseCode.SUCCESS, extFields: { pollingNum } })
  }

  /** Messages as a pop would give them, without taking them. @see RocketMQ `PeekMessageProcessor` */
  private peek({ command, peer }: RemotingRequest): void {
    const { environment } = this.options
    const request = {
      opaque: command.opaque,
      group: textField(command, 'consumerGroup'),
      topic: textField(command, 'topic'),
      queueId: integerField(command, 'queueId'),
      messagesMax: integerField(command, 'maxMsgNums'),
    }
    if (request.messagesMax > MESSAGES_MAX)
      throw new Refusal(ResponseCode.INVALID_PARAMETER, `a peek takes at most ${MESSAGES_MAX} messages`)
    const topic = checkRead(this.options, request)
    const chance = environment.random.int(100)
    const sources: PopSource[] = queueIds(topic, request.queueId, chance).map(queueId => ({
      topic: topic.name,
      queueId,
      retryFlag: '0',
    }))
    const retried = this.retrySources({ ...request, ...NO_POLL }, chance)
    const isRetryFirst = chance < this.options.config.popFromRetryProbability
    this.batch.begin(this.now())
    for (const source of isRetryFirst ? [...retried, ...sources] : [...sources, ...retried])
      this.batch.look(request, source)
    const { bytes, messageCount, restCount } = this.batch
    const extFields = { popTime: '0', invisibleTime: '0', reviveQid: '0', restNum: String(restCount) }
    peer.reply(
      command,
      messageCount > 0
        ? { ...FOUND, extFields, body: bytes }
        : { code: ResponseCode.PULL_NOT_FOUND, remark: 'NO_MESSAGE_IN_QUEUE', extFields },
    )
  }

  private now(): number {
    return this.options.environment.clock.now()
  }
}

const UNREADABLE = 'the stored message could not be read; look at the log files of the broker'
const NO_POLL = {
  flag: 0,
  serialization: 'JSON',
  pollTimeMs: 0,
  bornTime: 0,
  isOrdered: false,
  attemptId: undefined,
} as const

class PollingFull extends Refusal {
  constructor() {
    super(ResponseCode.POLLING_FULL, 'too many polls are waiting; try again later')
  }
}

function notified(hasMessage: boolean, isPollingFull: boolean): Reply {
  return {
    code: ResponseCode.SUCCESS,
    extFields: { hasMsg: String(hasMessage), pollingFull: String(isPollingFull) },
  }
}

/** All queues of a topic from a starting point on that changes, or the one that was asked for. */
function queueIds(topic: Topic, queueId: number, chance: number): number[] {
  if (queueId >= 0) return [queueId]
  const count = topic.readQueueNums
  return Array.from({ length: count }, (_, i) => (chance + i) % count)
}

/** Whatever is thrown is answered. */
function refusing(serve: Handler): Handler {
  return request => {
    try {
      serve(request)
    } catch (error) {
      request.peer.reply(request.command, refusalReply(error))
    }
  }
}

/** The Java client reads the header of 209 and 210. */
function refusalReply(error: unknown): Reply {
  const reply = failureReply(error)
  if (reply.code !== ResponseCode.POLLING_FULL && reply.code !== ResponseCode.POLLING_TIMEOUT) return reply
  return { ...reply, extFields: { popTime: '0', invisibleTime: '0', reviveQid: '0', restNum: '0' } }
}
