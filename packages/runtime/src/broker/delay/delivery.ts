import {
  type ActorContext,
  assertNever,
  type Behavior,
  decodeMessage,
  PropertyName,
  parseProperties,
  type ReplyTo,
  receive,
  type StoredMessage,
  SystemTopic,
  setup,
} from '@millrace/core'
import type { MessageStore, MessageToAppend, MetadataTable } from '@millrace/storage'
import type { DelaySchedule } from './delay-schedule.js'

/** What the delivery actor takes. */
export type DeliveryMessage =
  /** The first message came to an empty level. */
  | { readonly kind: 'level-filled'; readonly level: number }
  | { readonly kind: 'level-due'; readonly level: number }
  /** The first `count` messages of a batch are stored in their real topics. */
  | { readonly kind: 'batch-stored'; readonly level: number; readonly offset: number; readonly hasFailed: boolean }
  | { readonly kind: 'sweep-due' }
  /** Ends the deliveries; the reply comes when what is under way is stored, with its offsets. */
  | { readonly kind: 'stop'; readonly reply: ReplyTo<void> }

export interface DeliveryOptions {
  readonly schedule: DelaySchedule
  readonly store: Pick<MessageStore, 'append' | 'entry' | 'maxOffset' | 'minOffset' | 'record'>
  /** Next offset to deliver, by level. */
  readonly offsets: MetadataTable<number>
}

const BATCH_MESSAGES_MAX = 256
const BATCH_BYTES_MAX = 4 * 2 ** 20
/** Finds what the hints missed: messages that took longer to store than their delay. */
const SWEEP_INTERVAL_MS = 1_000
/** After the store refused a message. */
const RETRY_MS = 1_000

interface Level {
  readonly level: number
  /** Next offset of the level's queue to deliver. */
  offset: number
  isStoring: boolean
  isTimerSet: boolean
}

/**
 * Stores delayed messages in their real topics when their time has come: never early, in order within a level, each at
 * least once. The offset of a level is stored behind its deliveries; after a crash what came in between is delivered
 * again. behaviour.md §10 @see RocketMQ `ScheduleMessageService`
 */
export function delayDelivery(options: DeliveryOptions): Behavior<DeliveryMessage> {
  return setup(context => new Delivery(options, context).start())
}

class Delivery {
  readonly #levels: readonly Level[]
  readonly #dirty = new Set<Level>()
  #isSaving = false
  #stopped: ReplyTo<void> | undefined

  constructor(
    private readonly options: DeliveryOptions,
    private readonly context: ActorContext<DeliveryMessage>,
  ) {
    this.#levels = options.schedule.levels.map((_, index) => ({
      level: index + 1,
      offset: options.offsets.get(String(index + 1)) ?? 0,
      isStoring: false,
      isTimerSet: false,
    }))
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
          this.#stored(this.#level(message.level), message)
          break
        case 'sweep-due':
          for (const level of this.#levels) if (!level.isTimerSet) this.#deliver(level)
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
    const first = Math.min(Math.max(level.offset, store.minOffset(SystemTopic.SCHEDULE, queueId)), maxOffset)
    level.offset = first
    schedule.setWatched(level.level, first < maxOffset)
    const now = this.context.clock.now()
    const due: Promise<unknown>[] = []
    let bytes = 0
    let offset = first
    while (offset < maxOffset && due.length < BATCH_MESSAGES_MAX && bytes < BATCH_BYTES_MAX) {
      const message = this.#read(queueId, offset)
      if (message) {
        const waitMs = message.storeTimestamp + schedule.delayMs(level.level) - now
        if (waitMs > 0) {
          this.#wakeAfter(level, waitMs)
          break
        }
        due.push(store.append(realMessage(message)))
        bytes += message.sizeBytes
      }
      offset += 1
    }
    if (offset > first) this.#storing(level, first, due, offset)
  }

  #storing(level: Level, first: number, due: readonly Promise<unknown>[], end: number): void {
    level.isStoring = true
    const { self } = this.context
    void Promise.allSettled(due).then(results => {
      const failedAt = results.findIndex(result => result.status === 'rejected')
      const offset = failedAt < 0 ? end : first + failedAt
      self.tell({ kind: 'batch-stored', level: level.level, offset, hasFailed: failedAt >= 0 })
    })
  }

  #stored(level: Level, { hasFailed, offset }: { readonly hasFailed: boolean; readonly offset: number }): void {
    level.isStoring = false
    level.offset = offset
    this.#dirty.add(level)
    this.#save()
    if (hasFailed) this.#wakeAfter(level, RETRY_MS)
    else this.#deliver(level)
    this.#stopWhenIdle()
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
    this.context.after(delayMs, { kind: 'level-due', level: level.level })
  }

  /** Undefined when retention has taken the message meanwhile. */
  #read(queueId: number, offset: number): StoredMessage | undefined {
    const { store } = this.options
    const entry = store.entry(SystemTopic.SCHEDULE, queueId, offset)
    const record = entry && store.record(entry.position)
    if (!record) return undefined
    const result = decodeMessage(record, 0, record.length)
    return result.ok ? result.message : undefined
  }
}

/** The message as it was sent; DELAY and REAL_* stay with it. */
function realMessage(message: StoredMessage): MessageToAppend {
  const properties = parseProperties(message.properties)
  const queueId = Number(properties[PropertyName.REAL_QID] ?? 0)
  return {
    topic: properties[PropertyName.REAL_TOPIC] ?? message.topic,
    queueId: Number.isInteger(queueId) && queueId >= 0 ? queueId : 0,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: message.bornTimestamp,
    bornHost: message.bornHost,
    storeHost: message.storeHost,
    reconsumeTimes: message.reconsumeTimes,
    preparedTransactionOffset: message.preparedTransactionOffset,
    body: message.body,
    properties: message.properties,
  }
}
