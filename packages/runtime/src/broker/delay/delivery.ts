import {
  type ActorContext,
  assertNever,
  type Behavior,
  PropertyName,
  type ReplyTo,
  receive,
  SystemTopic,
  setup,
} from '@millrace/core'
import type { MessageStore, MetadataTable, RecordCopy } from '@millrace/storage'
import type { LogPin } from '../retention/log-pin.js'
import { DelayedRecord } from '../timer/timer-record.js'
import type { DelaySchedule } from './delay-schedule.js'

/** What the delivery actor takes. */
export type DeliveryMessage =
  /** The first message came to an empty level. */
  | { readonly kind: 'level-filled'; readonly level: number }
  | { readonly kind: 'level-due'; readonly level: number }
  /** The first `count` copies of a batch are stored in their real topics. */
  | { readonly kind: 'batch-stored'; readonly level: number; readonly batch: Batch; readonly count: number }
  | { readonly kind: 'batch-refused'; readonly level: number }
  | { readonly kind: 'sweep-due' }
  /** Ends the deliveries; the reply comes when what is under way is stored, with its offsets. */
  | { readonly kind: 'stop'; readonly reply: ReplyTo<void> }

/** Copies of due messages, and the offset of each; the batch covers the offsets before `end`. */
interface Batch {
  readonly copies: readonly RecordCopy[]
  readonly offsets: readonly number[]
  readonly end: number
}

export interface DeliveryOptions {
  readonly schedule: DelaySchedule
  readonly store: Pick<
    MessageStore,
    'appendCopies' | 'entries' | 'findByKey' | 'indexed' | 'logEnd' | 'maxOffset' | 'minOffset' | 'record'
  >
  /** Next offset to deliver, by level. */
  readonly offsets: MetadataTable<number>
  /** Log files that hold waiting messages stay. */
  readonly pin: LogPin
}

const BATCH_MESSAGES_MAX = 2048
/** A stored offset is a few batches behind at most. */
const IN_DOUBT_MAX = 4 * BATCH_MESSAGES_MAX
const BATCH_BYTES_MAX = 8 * 2 ** 20
/** Finds what the hints missed: messages that took longer to store than their delay. */
const SWEEP_INTERVAL_MS = 1_000
/** After the store refused a message. */
const RETRY_MS = 1_000
/** The log had no room. */
const AGAIN_MS = 10
/** After a start, how long deliveries wait for the key index to catch up. */
const DOUBT_WAIT_MS = 30_000
/** Timers of the runtime overflow after 24 days. */
const WAKE_MS_MAX = 86_400_000
const NOTHING = Buffer.alloc(0)

interface Level {
  readonly level: number
  /** Next offset of the level's queue to deliver. */
  offset: number
  /** Messages before this offset may have been delivered before a crash. */
  inDoubtTo: number
  isStoring: boolean
  isTimerSet: boolean
}

/**
 * Stores delayed messages in their real topics when their time has come: never early, in order within a level, each at
 * least once. The offset of a level is stored behind its deliveries; after a crash the log says which of the batch in
 * between were delivered. behaviour.md §10 @see RocketMQ `ScheduleMessageService`
 */
export function delayDelivery(options: DeliveryOptions): Behavior<DeliveryMessage> {
  return setup(context => new Delivery(options, context).start())
}

class Delivery {
  readonly #levels: readonly Level[]
  readonly #dirty = new Set<Level>()
  readonly #record = new DelayedRecord()
  readonly #other = new DelayedRecord()
  readonly #opened: { readonly end: number; readonly monotonic: number }
  #isSaving = false
  #stopped: ReplyTo<void> | undefined

  constructor(
    private readonly options: DeliveryOptions,
    private readonly context: ActorContext<DeliveryMessage>,
  ) {
    const { offsets, schedule, store } = options
    this.#opened = { end: store.logEnd, monotonic: context.clock.monotonic() }
    this.#levels = schedule.levels.map((_, index) => {
      const offset = offsets.get(String(index + 1)) ?? 0
      const inDoubtTo = Math.min(offset + IN_DOUBT_MAX, store.maxOffset(SystemTopic.SCHEDULE, index))
      return { level: index + 1, offset, inDoubtTo, isStoring: false, isTimerSet: false }
    })
  }

  start(): Behavior<DeliveryMessage> {
    const { schedule } = this.options
    const { self } = this.context
    schedule.watch(level => self.tell({ kind: 'level-filled', level }))
    this.context.every(SWEEP_INTERVAL_MS, { kind: 'sweep-due' })
    for (const level of this.#levels) this.#deliver(level)
    return receive(message => {
      switch (message.kind) {
        case 'level-filled':
          this.#wakeAfter(this.#level(message.level), schedule.delayMs(message.level))
          break
        case 'level-due': {
          const level = this.#level(message.level)
          level.isTimerSet = false
          this.#deliver(level)
          break
        }
        case 'batch-stored':
          this.#stored(this.#level(message.level), message.batch, message.count)
          break
        case 'batch-refused': {
          const level = this.#level(message.level)
          level.isStoring = false
          this.#wakeAfter(level, RETRY_MS)
          this.#stopWhenIdle()
          break
        }
        case 'sweep-due':
          // All of them: the clock may have jumped.
          for (const level of this.#levels) this.#deliver(level)
          this.#movePin()
          break
        case 'stop':
          this.#stopped = message.reply
          this.#stopWhenIdle()
          break
        default:
          assertNever(message)
      }
    })
  }

  #level(level: number): Level {
    return this.#levels[level - 1]
  }

  /** Stores what is due of a level, and sees to it that the rest has its turn. */
  #deliver(level: Level): void {
    if (level.isStoring || this.#stopped) return
    const { schedule, store } = this.options
    const queueId = level.level - 1
    const maxOffset = store.maxOffset(SystemTopic.SCHEDULE, queueId)
    // Retention may have taken messages; a crash may have taken the tail of the log.
    level.offset = Math.min(Math.max(level.offset, store.minOffset(SystemTopic.SCHEDULE, queueId)), maxOffset)
    schedule.setWatched(level.level, level.offset < maxOffset)
    if (level.offset === maxOffset) return
    if (level.offset < level.inDoubtTo && this.#mustWaitForKeys()) {
      this.#wakeAfter(level, AGAIN_MS)
      return
    }
    const batch = this.#collect(level)
    if (batch.copies.length > 0) this.#store(level, batch)
    else if (batch.end > level.offset) this.#stored(level, batch, 0)
  }

  /** Right after a start the log cannot say yet what was delivered. */
  #mustWaitForKeys(): boolean {
    const { end, monotonic } = this.#opened
    return this.options.store.indexed < end && this.context.clock.monotonic() - monotonic < DOUBT_WAIT_MS
  }

  #collect(level: Level): Batch {
    const { schedule, store } = this.options
    const delayMs = schedule.delayMs(level.level)
    const now = this.context.clock.now()
    const copies: RecordCopy[] = []
    const offsets: number[] = []
    let end = level.offset
    let bytes = 0
    for (const entry of store.entries(SystemTopic.SCHEDULE, level.level - 1, level.offset, BATCH_MESSAGES_MAX)) {
      if (bytes > 0 && bytes + entry.sizeBytes > BATCH_BYTES_MAX) break
      const record = store.record(entry.position)
      if (record && this.#record.read(record)) {
        const waitMs = this.#record.view.storeTimestamp + delayMs - now
        if (waitMs > 0) {
          this.#wakeAfter(level, waitMs)
          break
        }
        if (end >= level.inDoubtTo || !this.#isDelivered()) {
          copies.push({ record, topic: this.#record.topic, queueId: this.#record.queueId, added: NOTHING })
          offsets.push(end)
          bytes += entry.sizeBytes
        }
      }
      end += 1
    }
    return { copies, offsets, end }
  }

  /** Does the log have the delivery of the message just read? */
  #isDelivered(): boolean {
    const record = this.#record
    const other = this.#other
    const { bodyCrc, bodyLength, position } = record.view
    const range = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 64, uniqueOnly: true }
    const isSame = (found: Buffer): boolean =>
      other.read(found) &&
      other.view.position > position &&
      other.view.queueId === record.queueId &&
      other.view.bodyCrc === bodyCrc &&
      other.view.bodyLength === bodyLength &&
      other.reconsumeTimes === record.reconsumeTimes
    return this.options.store.findByKey(record.topic, record.text(PropertyName.UNIQ_KEY), range).some(isSame)
  }

  #store(level: Level, batch: Batch): void {
    level.isStoring = true
    const { self } = this.context
    this.options.store.appendCopies(batch.copies).then(
      count => self.tell({ kind: 'batch-stored', level: level.level, batch, count }),
      () => self.tell({ kind: 'batch-refused', level: level.level }),
    )
  }

  #stored(level: Level, { copies, end, offsets }: Batch, count: number): void {
    level.isStoring = false
    level.offset = count < copies.length ? (offsets[count] ?? end) : end
    if (count > 0 || copies.length === 0) {
      this.#dirty.add(level)
      this.#save()
    }
    if (count === 0 && copies.length > 0) this.#wakeAfter(level, AGAIN_MS)
    else this.#deliver(level)
    this.#stopWhenIdle()
  }

  /** Retention may delete what lies before the first waiting message of every level. */
  #movePin(): void {
    const { pin, store } = this.options
    if (pin.wanted <= pin.freeTo) return
    let needed = pin.wanted
    for (const { level, offset } of this.#levels) {
      const [first] = store.entries(SystemTopic.SCHEDULE, level - 1, offset, 1)
      if (first) needed = Math.min(needed, first.position)
    }
    pin.freeTo = Math.max(pin.freeTo, needed)
  }

  #stopWhenIdle(): void {
    if (!this.#stopped || this.#isSaving || this.#levels.some(level => level.isStoring)) return
    this.#stopped.tell()
    this.context.stop()
  }

  /** One write at a time; what changes meanwhile goes with the next. */
  #save(): void {
    if (this.#isSaving || this.#dirty.size === 0) return
    this.#isSaving = true
    const { offsets } = this.options
    const writes = [...this.#dirty].map(({ level, offset }) => offsets.put(String(level), offset))
    this.#dirty.clear()
    void Promise.allSettled(writes).then(results => {
      this.#isSaving = false
      // A failed write is tried again with the next delivery; until then only repeats are at stake.
      if (results.every(result => result.status === 'fulfilled')) this.#save()
      this.#stopWhenIdle()
    })
  }

  #wakeAfter(level: Level, delayMs: number): void {
    if (level.isTimerSet) return
    level.isTimerSet = true
    this.context.after(Math.min(delayMs, WAKE_MS_MAX), { kind: 'level-due', level: level.level })
  }
}
