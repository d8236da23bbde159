import {
  type Environment,
  encodeResponse,
  PullScan,
  RequestCode,
  ResponseCode,
  scanPull,
  writePullReplyHeader,
} from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingConnection, Taken } from '../../listener/connection.js'
import type { RemotingRequest } from '../../listener/peer.js'
import { failureReply } from '../../requests/answer.js'
import type { BrokerCounters } from '../counters.js'
import type { Topics } from '../topics/topics.js'
import { type HeldPull, HeldPulls } from './held-pulls.js'
import { HEAD_BYTES_MAX, MessageRead, type ReadStatus } from './message-read.js'
import { type Allowed, NOT_YET, PullChecks, type PullGroups, type Refused } from './pull-checks.js'
import { PULL_FLAG, type PullRequest, pullOfCommand, pullOfScan } from './pull-request.js'

/** How long such a consumer waits before it asks again. */
const NOT_YET_MS = 100

/** Codes of consumers' pulls. */
export const PULL_REQUESTS: readonly number[] = [RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE]

/**
 * Consumers' pulls: checks, one read into a reused buffer, one write. A pull that finds nothing and may wait is held
 * until a message arrives (see HeldPulls).
 */
export class PullPath {
  private readonly scan = new PullScan()
  private readonly checks: PullChecks
  private readonly messages: MessageRead
  private readonly held: HeldPulls
  private readonly head = Buffer.alloc(HEAD_BYTES_MAX)
  /** What the last read took; nothing for pulls that were held, whose messages are in memory. */
  private readMs = 0

  constructor(
    private readonly config: BrokerConfig,
    private readonly store: LogStore,
    topics: Topics,
    private readonly groups: PullGroups,
    private readonly environment: Environment,
    private readonly counters: BrokerCounters,
  ) {
    this.checks = new PullChecks(config, store, topics, groups)
    this.messages = new MessageRead(store, environment.clock)
    this.held = new HeldPulls(environment, store, (pull, isLast) => this.retry(pull, isLast))
  }

  get heldCount(): number {
    return this.held.heldCount
  }

  /** Serves a pull request if the scanner can read it. */
  take(connection: RemotingConnection, bytes: Buffer, start: number, end: number): Taken {
    if (!scanPull(bytes, start, end, this.scan)) return 'unusual'
    this.serve(connection, pullOfScan(bytes, this.scan))
    return 'taken'
  }

  /** Serves a pull that the scanner declined. */
  readonly general = ({ command, peer }: RemotingRequest): void => {
    try {
      this.serve(peer as RemotingConnection, pullOfCommand(command))
    } catch (error) {
      peer.reply(command, failureReply(error))
    }
  }

  private serve(connection: RemotingConnection, pull: PullRequest): void {
    const allowed = this.checks.check(pull)
    if (allowed === NOT_YET) {
      const answer = encodeAnswer(pull, NOT_YET, { next: pull.queueOffset, min: 0, max: pull.queueOffset })
      this.environment.scheduler.after(NOT_YET_MS, () => connection.send(answer), { unref: true })
      return
    }
    if ('code' in allowed) {
      connection.send(encodeAnswer(pull, allowed, { next: 0, min: 0, max: 0 }))
      return
    }
    const reset = this.groups.takeReset(pull.group, pull.topic, pull.queueId)
    if (reset !== undefined) {
      // The client goes on there, whatever it asked for. behaviour.md §9
      const { queue } = allowed
      const bounds = { next: reset, min: this.store.firstOffset(queue), max: this.store.visibleOffset(queue) }
      const moved = { code: ResponseCode.PULL_OFFSET_MOVED, remark: 'OFFSET_RESET' }
      connection.send(encodeAnswer(pull, moved, bounds))
      return
    }
    if (pull.sysFlag & PULL_FLAG.commitOffset && pull.commitOffset >= 0)
      this.groups.commitOffset(pull.group, pull.topic, pull.queueId, pull.commitOffset)
    this.read(connection, pull, allowed)
  }

  private read(connection: RemotingConnection, request: PullRequest, allowed: Allowed): void {
    const { config, messages } = this
    const { clock } = this.environment
    const now = clock.monotonic()
    const pull: HeldPull = {
      connection,
      opaque: request.opaque,
      isBinary: request.isBinary,
      queue: allowed.queue,
      offset: request.queueOffset,
      filter: allowed.filter,
      subscription: allowed.subscription,
      group: request.group,
      topic: request.topic,
      messagesMax: Math.max(1, Math.min(request.maxMsgNums, config.maxTransferCountOnMessageInMemory)),
      bytesMax: Math.min(
        request.maxMsgBytes > 0 ? request.maxMsgBytes : Number.MAX_SAFE_INTEGER,
        config.maxTransferBytesOnMessageInMemory,
      ),
      hasSkipped: false,
      topicSysFlag: allowed.topic.topicSysFlag,
      groupSysFlag: allowed.groupSysFlag,
      deadlineMs: now + (config.longPollingEnable ? request.suspendTimeoutMillis : config.shortPollingTimeMills),
      meter: this.counters.readerOf(allowed.topic, request.group),
    }
    messages.read(pull.queue, pull.offset, pull.filter, pull)
    this.readMs = clock.monotonic() - now
    const mayWait =
      (request.sysFlag & PULL_FLAG.suspend) !== 0 &&
      request.suspendTimeoutMillis > 0 &&
      codeOf(messages.status, pull.offset) === ResponseCode.PULL_NOT_FOUND
    if (mayWait && this.held.hold(pull)) return
    this.answer(pull)
  }

  /** Runs a held pull again. True: it has been answered. */
  private retry(pull: HeldPull, isLast: boolean): boolean {
    const { messages } = this
    const from = pull.offset
    this.readMs = 0
    if (!this.checks.isCurrent(pull.group, pull.topic, pull.subscription)) {
      // Its filter is not the group's any more: the client pulls again from here.
      messages.skip(pull.queue, from)
      this.answer(pull)
      return true
    }
    messages.read(pull.queue, from, pull.filter, pull)
    if (isLast && messages.status === 'nothing new' && pull.hasSkipped) messages.status = 'nothing matched'
    const isWaiting =
      codeOf(messages.status, from) === ResponseCode.PULL_NOT_FOUND ||
      // When it could not look at all that is new, no arrival may come to bring it back.
      (messages.status === 'nothing matched' && messages.nextOffset === messages.maxOffset)
    if (isWaiting && !isLast) {
      pull.hasSkipped ||= messages.nextOffset > from
      pull.offset = messages.nextOffset
      return false
    }
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
    if (bodyLength === 0) this.counters.missed()
    else this.counters.got(pull.meter, messages.messageCount, bodyLength, this.readMs)
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

/** An answer without messages. */
function encodeAnswer(
  pull: PullRequest,
  { code, remark, forbiddenType }: Refused,
  bounds: { readonly next: number; readonly min: number; readonly max: number },
): Buffer {
  const extFields = {
    suggestWhichBrokerId: '0',
    nextBeginOffset: String(bounds.next),
    minOffset: String(bounds.min),
    maxOffset: String(bounds.max),
    ...(forbiddenType !== undefined && { forbiddenType }),
  }
  const serialization = pull.isBinary ? 'ROCKETMQ' : 'JSON'
  return encodeResponse({ opaque: pull.opaque, serialization }, { code, remark, extFields })
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
