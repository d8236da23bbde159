import {
  type Clock,
  CommandFlag,
  decodeFrame,
  encodeResponse,
  equalsBytes,
  isRetryTopic,
  isSystemTopic,
  type MillraceError,
  parseIp,
  type Random,
  ResponseCode,
  type SendReply,
  SendReplyTemplate,
  SendScan,
  SystemTopic,
  scanSend,
  sendReplyLengthMax,
  writeSendReply,
} from '@millrace/core'
import { encodeHost, type LogStore, OUTCOME, type QueueTail, RecordInput, type StoredTopic } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingConnection, Taken } from '../../listener/connection.js'
import type { BrokerCounters } from '../counters.js'
import type { DelayedSend } from '../delay/delayed-send.js'
import type { Topic } from '../topics/topic.js'
import type { Topics } from '../topics/topics.js'
import { BatchWalk } from './batch-walk.js'
import { dedupRuleOf } from './once/dedup-rule.js'
import { NumberedBatch } from './once/numbered-batch.js'
import type { Lane, TaskLanes } from './once/task-lanes.js'

const WRITABLE = 2
const TRANSACTION_BITS = 0xc
/** A connection stalls at this share of the ring in use; the rest is for the broker's own records. */
const RING_FILL_MAX = 0.75

/** Both ends of a connection as messages and answers carry them. */
interface Hosts {
  readonly born: Buffer
  readonly store: Buffer
  readonly template: SendReplyTemplate
}

const NO_BYTES = Buffer.alloc(0)
const LOOPBACK = '127.0.0.1'
const NO_TEMPLATE = new SendReplyTemplate({ host: LOOPBACK, port: 0 }, { region: '', isTraceOn: false })

/** What this path keeps with a connection. */
interface SendContext {
  readonly hosts: Hosts
  target: SendTarget | undefined
}

/** What a connection last sent to: most send to one topic at a time. */
interface SendTarget {
  readonly bytes: Buffer
  readonly topic: Topic
  readonly stored: StoredTopic
  /** What half messages for a queue get added, by queue id. */
  readonly halfProperties: (Buffer | undefined)[]
}

/**
 * Producers' messages, from the socket's chunk straight into the log: no object, string or promise per message.
 * Whatever is not plain (delays, transactions, unknown topics, odd headers …) is declined here and goes the general
 * way (`GeneralSend`).
 *
 * One call per frame; replies wait in the connection's gate until the log has passed their record.
 */
export class SendPath {
  private readonly scan = new SendScan()
  private readonly input = new RecordInput()
  private readonly reply: SendReply = {
    template: NO_TEMPLATE,
    isBinary: false,
    opaque: 0,
    code: ResponseCode.SUCCESS,
    queueId: 0,
    queueOffset: 0,
    positions: new Float64Array(1),
    positionCount: 1,
    transactionId: NO_BYTES,
    transactionIdStart: 0,
    transactionIdEnd: 0,
    recallHandle: NO_BYTES,
  }
  private readonly onePosition = new Float64Array(1)
  private readonly batch = new BatchWalk()
  private readonly numbered = new NumberedBatch()
  private halfQueue: QueueTail | undefined
  private gated: RemotingConnection[] = []
  private stalled: RemotingConnection[] = []

  constructor(
    private readonly config: BrokerConfig,
    private readonly store: LogStore,
    private readonly topics: Topics,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly counters: BrokerCounters,
    /** Properties the broker adds to every message. */
    private readonly addedProperties: Buffer,
    private readonly delayed: DelayedSend,
    /** Port that clients reach this broker under, for message ids. */
    private readonly brokerPort: () => number,
    private readonly lanes: TaskLanes,
  ) {
    this.input.addedProperties = addedProperties
  }

  /** Serves a send request if it is plain. */
  take(connection: RemotingConnection, bytes: Buffer, start: number, end: number): Taken {
    const { scan } = this
    if (!scanSend(bytes, start, end, scan)) return 'unusual'
    const target = this.target(connection, bytes)
    if (target === undefined || !this.isPlain(target)) return 'unusual'
    if (this.store.ring.fill > RING_FILL_MAX) return this.stall(connection)
    const queueId = scan.queueId < 0 ? this.random.int(target.topic.writeQueueNums) : scan.queueId
    this.prepare(connection, bytes, target)
    return scan.isBatch || scan.code === SEND_BATCH
      ? this.takeBatch(connection, target, queueId)
      : this.takeOne(connection, target, queueId)
  }

  private isPlain({ topic }: SendTarget): boolean {
    const { scan, config } = this
    return (
      this.store.refusal === undefined &&
      (topic.perm & WRITABLE) !== 0 &&
      (config.brokerPermission & WRITABLE) !== 0 &&
      scan.queueId < topic.writeQueueNums &&
      scan.bodyEnd > scan.bodyStart &&
      scan.bodyEnd - scan.bodyStart <= config.maxMessageSize
    )
  }

  private prepare(connection: RemotingConnection, bytes: Buffer, target: SendTarget): void {
    const { scan, input } = this
    const { hosts } = this.context(connection)
    input.flag = scan.userFlag
    const sysFlag = scan.sysFlag & ~TRANSACTION_BITS
    input.sysFlag = target.topic.topicFilterType === 'MULTI_TAG' ? sysFlag | 2 : sysFlag
    input.bornTimestamp = scan.bornTimestamp
    input.bornHost = hosts.born
    input.storeHost = hosts.store
    this.reply.template = hosts.template
    input.reconsumeTimes = scan.reconsumeTimes
    input.source = bytes
    input.bodyStart = scan.bodyStart
    input.bodyEnd = scan.bodyEnd
    input.propertiesStart = scan.propertiesStart
    input.propertiesEnd = scan.propertiesEnd
    input.propertiesEscaped = scan.propertiesEscaped
  }

  private takeOne(connection: RemotingConnection, target: SendTarget, queueId: number): Taken {
    const { store, scan } = this
    const queue = store.queue(target.stored, queueId)
    const outcome = store.appendNow(queue, this.input, this.clock.now())
    if (outcome === OUTCOME.full) return this.stall(connection)
    const { hasSequence, isDelayed, isHalf } = store.writer.properties
    if (outcome === OUTCOME.unusual && isHalf && !hasSequence) return this.takeHalf(connection, target, queueId)
    if (outcome === OUTCOME.unusual && isDelayed && !hasSequence) return this.takeDelayed(connection, target, queueId)
    if (outcome !== OUTCOME.appended) return 'unusual'
    this.counters.put(target.topic, 1, store.writer.sizeBytes)
    store.publishSoon()
    if ((scan.flag & CommandFlag.ONEWAY) === 0)
      this.answer(connection, queueId, store.writer.queueOffset, store.writer.position)
    return 'taken'
  }

  /** The writer has found a delay level or a timer: the message waits in a topic of the broker's. */
  private takeDelayed(connection: RemotingConnection, target: SendTarget, queueId: number): Taken {
    const { store, scan, delayed, input, reply } = this
    const now = this.clock.now()
    const name = target.topic.name
    if (!delayed.prepare(store.ring.bytes, store.writer.properties, name, queueId, now)) return 'unusual'
    input.addedProperties = delayed.added
    input.acceptsUnusual = true
    const outcome = store.appendNow(delayed.queue!, input, now)
    input.addedProperties = this.addedProperties
    input.acceptsUnusual = false
    if (outcome === OUTCOME.full) return this.stall(connection)
    if (outcome !== OUTCOME.appended) return 'unusual'
    this.counters.put(target.topic, 1, store.writer.sizeBytes)
    const kept = this.topics.find(delayed.queue!.topic.name)
    if (kept !== undefined) this.counters.kept(kept, store.writer.sizeBytes)
    store.publishSoon()
    if ((scan.flag & CommandFlag.ONEWAY) === 0) {
      reply.recallHandle = delayed.recallHandle
      this.answer(connection, queueId, store.writer.queueOffset, store.writer.position)
      reply.recallHandle = NO_BYTES
    }
    return 'taken'
  }

  /** As it stands, but in the half queue and with its destination in properties. @see halfOf */
  private takeHalf(connection: RemotingConnection, target: SendTarget, queueId: number): Taken {
    const { config, input, scan, store } = this
    if (config.rejectTransactionMessage) return 'unusual'
    this.halfQueue ??= store.queue(store.topic(SystemTopic.TRANS_HALF), 0)
    input.addedProperties = target.halfProperties[queueId] ??= Buffer.from(
      `${this.addedProperties}REAL_TOPIC\u0001${target.topic.name}\u0002REAL_QID\u0001${queueId}\u0002`,
    )
    input.acceptsUnusual = true
    const outcome = store.appendNow(this.halfQueue, input, this.clock.now())
    input.acceptsUnusual = false
    input.addedProperties = this.addedProperties
    if (outcome === OUTCOME.full) return this.stall(connection)
    if (outcome !== OUTCOME.appended) return 'unusual'
    this.counters.put(target.topic, 1, store.writer.sizeBytes)
    const kept = this.topics.find(SystemTopic.TRANS_HALF)
    if (kept !== undefined) this.counters.kept(kept, store.writer.sizeBytes)
    store.publishSoon()
    if ((scan.flag & CommandFlag.ONEWAY) === 0)
      this.answer(connection, queueId, store.writer.queueOffset, store.writer.position)
    return 'taken'
  }

  private answer(connection: RemotingConnection, queueId: number, queueOffset: number, position: number): void {
    const { scan, reply, store } = this
    const { properties } = store.writer
    reply.opaque = scan.opaque
    reply.isBinary = scan.isBinary
    reply.queueId = queueId
    reply.queueOffset = queueOffset
    this.onePosition[0] = position
    reply.positions = this.onePosition
    reply.positionCount = 1
    reply.transactionId = store.ring.bytes
    reply.transactionIdStart = properties.uniqueKeyStart
    reply.transactionIdEnd = properties.uniqueKeyEnd
    this.gateReply(connection)
  }

  /** Encodes the reply into the connection's gate. */
  private gateReply(connection: RemotingConnection): void {
    const { gate } = connection
    const slab = gate.reserve(sendReplyLengthMax(this.reply))
    this.commitReply(connection, writeSendReply(slab, gate.at, this.reply))
  }

  private commitReply(connection: RemotingConnection, end: number): void {
    connection.gate.commit(end, this.store.ring.end, connection.gateTurn !== this.store.publishCount)
    connection.gateTurn = this.store.publishCount
    if (connection.isGated) return
    connection.isGated = true
    this.gated.push(connection)
  }

  /**
   * A batch: every inner message becomes a record of its own, at consecutive offsets. All or none: the ring has room
   * for the whole batch before the first is appended.
   */
  private takeBatch(connection: RemotingConnection, target: SendTarget, queueId: number): Taken {
    const { scan, input, store, batch } = this
    if (!batch.read(input.source, scan.bodyStart, scan.bodyEnd)) return 'unusual'
    const bytesMax = batch.recordBytesMax(target.stored.bytes.length, input.addedProperties.length)
    if (!batch.isPlain || bytesMax > store.ring.batchBytesMax) return 'unusual'
    if (!store.ring.hasRoom(bytesMax)) return this.stall(connection)
    const lane = batch.isNumbered ? this.laneOf(target, queueId) : undefined
    if (lane === 'unusual') return 'unusual'
    const queue = store.queue(target.stored, queueId)
    const now = this.clock.now()
    const first = queue.nextOffset
    const positions: number[] = []
    input.propertiesEscaped = false
    input.acceptsUnusual = batch.isNumbered
    for (let i = 0; i < batch.count; i++) {
      if (lane !== undefined && this.numbered.isRepeat(i, lane.sequence)) {
        positions.push(lane.position)
        continue
      }
      batch.fill(i, input)
      const outcome = store.appendNow(queue, input, now)
      if (outcome !== OUTCOME.appended) throw new Error(`batch message ${i} was checked but not appended (${outcome})`)
      positions.push(store.writer.position)
    }
    input.acceptsUnusual = false
    if (lane !== undefined) this.noteLane(lane)
    this.counters.put(target.topic, batch.count, scan.bodyEnd - scan.bodyStart)
    store.publishSoon()
    if ((scan.flag & CommandFlag.ONEWAY) === 0) this.answerBatch(connection, queueId, first, positions)
    return 'taken'
  }

  /** The lane of a numbered batch; undefined when its numbers are not a task's. The general way takes what is not new. */
  private laneOf(target: SendTarget, queueId: number): Lane | undefined | 'unusual' {
    const { batch, input, numbered, scan } = this
    const origin = numbered.read(input.source, batch, scan.groupStart, scan.groupEnd)
    if (origin === 'none') return undefined
    if (origin === 'unclear') return 'unusual'
    const lane = this.lanes.ready(numbered.pipeline, numbered.task, numbered.epoch, target.topic.name, queueId)
    return lane !== undefined && numbered.last > lane.sequence ? lane : 'unusual'
  }

  private noteLane(lane: Lane): void {
    const { pipeline, task, last } = this.numbered
    const { position, queueOffset: offset } = this.store.writer
    this.lanes.appended(pipeline, task, lane, { sequence: last, offset, position })
  }

  private answerBatch(
    connection: RemotingConnection,
    queueId: number,
    queueOffset: number,
    positions: readonly number[],
  ): void {
    const { scan, reply, batch } = this
    const keys = Buffer.from(batch.uniqueKeys(this.input.source), 'latin1')
    reply.opaque = scan.opaque
    reply.isBinary = scan.isBinary
    reply.queueId = queueId
    reply.queueOffset = queueOffset
    reply.positions = positions
    reply.positionCount = positions.length
    reply.transactionId = keys
    reply.transactionIdStart = 0
    reply.transactionIdEnd = keys.length
    this.gateReply(connection)
  }

  private context(connection: RemotingConnection): SendContext {
    const known = connection.sendContext as SendContext | undefined
    if (known !== undefined) return known
    const context = { hosts: this.hostsOf(connection), target: undefined }
    connection.sendContext = context
    return context
  }

  private target(connection: RemotingConnection, bytes: Buffer): SendTarget | undefined {
    const { topicStart, topicEnd } = this.scan
    const context = this.context(connection)
    const known = context.target
    if (known !== undefined && equalsBytes(bytes, topicStart, topicEnd, known.bytes)) {
      if (this.topics.find(known.topic.name) === known.topic) return known
    }
    const topic = this.topics.find(bytes.toString('utf8', topicStart, topicEnd))
    if (topic === undefined || topic.isSendForbidden || isSystemTopic(topic.name) || isRetryTopic(topic.name))
      return undefined
    if (dedupRuleOf(topic.attributes) !== undefined) return undefined
    const target = {
      bytes: Buffer.from(bytes.subarray(topicStart, topicEnd)),
      topic,
      stored: this.store.topic(topic.name),
      halfProperties: [],
    }
    context.target = target
    return target
  }

  private hostsOf(connection: RemotingConnection): Hosts {
    const host = this.config.brokerIP1 || connection.local.host
    const address = { host: parseIp(host) ? host : LOOPBACK, port: this.brokerPort() }
    return {
      born: encodeHost(connection.remote),
      store: encodeHost(address),
      template: new SendReplyTemplate(address, { region: this.config.regionId, isTraceOn: this.config.traceOn }),
    }
  }

  private stall(connection: RemotingConnection): Taken {
    this.stalled.push(connection)
    this.store.publishSoon()
    return 'no room'
  }

  /** The log is written up to `position`: replies leave, stalled connections go on. */
  written(position: number): void {
    if (this.gated.length > 0) {
      const gated = this.gated
      this.gated = []
      for (const connection of gated) {
        connection.releaseReplies(position)
        if (!connection.isOpen || connection.gate.isEmpty) connection.isGated = false
        else this.gated.push(connection)
      }
    }
    if (this.stalled.length > 0 && this.store.ring.fill <= RING_FILL_MAX / 2) {
      const stalled = this.stalled
      this.stalled = []
      for (const connection of stalled) connection.resume()
    }
  }

  /** The records of all waiting replies are lost: every one of those requests is refused. */
  lost(error: MillraceError): void {
    const gated = this.gated
    this.gated = []
    for (const connection of gated) {
      connection.isGated = false
      refuseAll(connection, connection.gate.takeAll(), error)
    }
    const stalled = this.stalled
    this.stalled = []
    for (const connection of stalled) connection.resume()
  }
}

const SEND_BATCH = 320

/** Turns success frames into refusals of the same requests. */
function refuseAll(connection: RemotingConnection, frames: Buffer, error: MillraceError): void {
  for (let at = 0; at + 4 <= frames.length; ) {
    const end = at + 4 + frames.readUInt32BE(at)
    const decoded = decodeFrame(frames, at + 4, end)
    if (decoded.ok) {
      const { opaque, serialization } = decoded.command
      connection.send(
        encodeResponse({ opaque, serialization }, { code: ResponseCode.SERVICE_NOT_AVAILABLE, remark: error.message }),
      )
    }
    at = end
  }
}
