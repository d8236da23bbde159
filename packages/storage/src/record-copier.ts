import type { QueueTail, StoredTopic } from './index/queue-tails.js'
import { RECORD_AT, readLong, SYS_FLAG_BORN_IPV6, SYS_FLAG_STORE_IPV6 } from './log/layout.js'
import { RecordView } from './log/record-view.js'
import { OUTCOME, type Outcome, RecordInput } from './log/record-writer.js'
import type { RecordCopy } from './message-store.js'

/** The end of the log, as far as copying needs it. */
export interface CopyTarget {
  readonly ring: { readonly fill: number }
  topic(name: string): StoredTopic
  queue(topic: StoredTopic, queueId: number): QueueTail
  appendNow(queue: QueueTail, input: RecordInput, now: number): Outcome
}

/** Copies stop at this share of the ring: the rest is for producers. */
const FILL_MAX = 0.6
const NO_BYTES = Buffer.alloc(0)

/** Stores records once more under other topics, from bytes to bytes. */
export class RecordCopier {
  private readonly input = new RecordInput()
  private readonly view = new RecordView()

  constructor() {
    this.input.acceptsUnusual = true
  }

  /** Returns how many of `copies`, from the first on, were appended. A record that cannot be read is passed over. */
  append(copies: readonly RecordCopy[], target: CopyTarget, now: number): number {
    let count = 0
    let hasAppended = false
    for (const copy of copies) {
      if (target.ring.fill > FILL_MAX) break
      const outcome = this.appendOne(copy, target, now)
      if (outcome === OUTCOME.full) break
      hasAppended ||= outcome === OUTCOME.appended
      count++
    }
    return hasAppended ? count : 0
  }

  private appendOne(copy: RecordCopy, target: CopyTarget, now: number): Outcome {
    const { input, view } = this
    const { record, properties } = copy
    if (view.read(record, 0, record.length) !== 'record') return OUTCOME.unusual
    const bornLength = view.sysFlag & SYS_FLAG_BORN_IPV6 ? 20 : 8
    const storeHostAt = view.storeTimestampAt + 8
    const storeLength = view.sysFlag & SYS_FLAG_STORE_IPV6 ? 20 : 8
    const reconsumeAt = storeHostAt + storeLength
    input.flag = record.readInt32BE(RECORD_AT.flag)
    input.sysFlag = view.sysFlag
    input.bornTimestamp = readLong(record, RECORD_AT.bornTimestamp)
    input.bornHost = record.subarray(RECORD_AT.bornHost, RECORD_AT.bornHost + bornLength)
    input.storeHost = record.subarray(storeHostAt, reconsumeAt)
    input.reconsumeTimes = record.readInt32BE(reconsumeAt)
    input.preparedTransactionOffset = readLong(record, reconsumeAt + 4)
    if (properties === undefined) {
      input.source = record
      input.bodyStart = view.bodyStart
      input.bodyEnd = view.bodyStart + view.bodyLength
      input.propertiesStart = view.propertiesStart
      input.propertiesEnd = view.propertiesStart + view.propertiesLength
    } else {
      const body = record.subarray(view.bodyStart, view.bodyStart + view.bodyLength)
      input.source = Buffer.concat([body, properties])
      input.bodyStart = 0
      input.bodyEnd = input.propertiesStart = body.length
      input.propertiesEnd = input.source.length
    }
    input.addedProperties = copy.added
    const queue = target.queue(target.topic(copy.topic), copy.queueId)
    const outcome = target.appendNow(queue, input, now)
    if (outcome !== OUTCOME.propertiesTooLong) return outcome
    input.addedProperties = NO_BYTES
    return target.appendNow(queue, input, now)
  }
}
