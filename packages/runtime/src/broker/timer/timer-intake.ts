import { PropertyName, SystemTopic } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import { nextOccurrence } from './repetition.js'
import { repetitionOf } from './timer-copies.js'
import { type TimerIndex, timerKey } from './timer-index.js'
import { DelayedRecord } from './timer-record.js'

export interface IntakeOptions {
  readonly index: TimerIndex
  readonly store: Pick<MessageStore, 'entries' | 'findByKey' | 'record'>
  /** Offsets before this one are taken in for the second time: the index was lost. */
  readonly rebuildTo: number
  /** When the broker started, ms. */
  readonly openedAt: number
}

/** Keys that the same commit removes, hexadecimal; asked for by few messages. */
export type Leaving = () => ReadonlySet<string>

/** Entries taken in by one commit at most. */
const ENTRIES_MAX = 4096

/** Reads new messages of the timer topic and notes them in the index. */
export class TimerIntake {
  private readonly record = new DelayedRecord()
  /** Keys written in this batch, which reads do not see yet; kept where that matters. */
  private readonly batchKeys = new Set<string>()
  private readonly batchRepeats = new Map<string, Buffer>()

  constructor(
    private readonly options: IntakeOptions,
    /** Next offset of the timer queue. */
    public nextOffset: number,
  ) {}

  /**
   * Part of a commit: takes in what is there, from `nextOffset` on. Returns the number of entries looked at.
   */
  take(leaving: Leaving): number {
    const { store } = this.options
    const entries = store.entries(SystemTopic.TIMER, 0, this.nextOffset, ENTRIES_MAX)
    for (const { position, sizeBytes } of entries) {
      const record = store.record(position)
      if (record && this.record.read(record) && this.record.due >= 0) this.takeOne(position, sizeBytes, leaving)
      this.nextOffset++
    }
    this.batchKeys.clear()
    this.batchRepeats.clear()
    return entries.length
  }

  private get isRebuilding(): boolean {
    return this.nextOffset < this.options.rebuildTo
  }

  private takeOne(position: number, sizeBytes: number, leaving: Leaving): void {
    const { record } = this
    if (record.has(PropertyName.TIMER_DEL_UNIQKEY)) this.takeRecall()
    else if (record.isRepeated) this.takeRepeated(position, sizeBytes, leaving)
    else if (record.has(PropertyName.TIMER_ROLL_TIMES)) this.takeRolled(position, sizeBytes, leaving)
    else {
      this.put(timerKey(record.due, position), sizeBytes, false)
      this.options.index.change(record.topic, 1)
    }
  }

  private put(key: Buffer, sizeBytes: number, isRepeated: boolean): void {
    this.options.index.put(key, sizeBytes, isRepeated)
    if (this.isRebuilding) this.batchKeys.add(key.toString('hex'))
  }

  private takeRecall(): void {
    const { index } = this.options
    const { due, topic } = this.record
    const named = this.record.text(PropertyName.TIMER_DEL_UNIQKEY)
    const prefix = `${topic}+`
    const uniqueKey = named.startsWith(prefix) ? named.slice(prefix.length) : named
    const repeated = this.batchRepeats.get(`${topic}\0${uniqueKey}`) ?? index.repeat(topic, uniqueKey)
    if (!repeated) {
      index.noteRecall(due, topic, uniqueKey)
      return
    }
    index.remove(repeated)
    index.removeRepeat(topic, uniqueKey)
    index.change(topic, -1)
    this.batchRepeats.delete(`${topic}\0${uniqueKey}`)
  }

  /** A message that was stored anew before its log file went: it takes the place of the old copy. */
  private takeRolled(position: number, sizeBytes: number, leaving: Leaving): void {
    const { index } = this.options
    const { due, topic } = this.record
    const from = this.record.number(PropertyName.MILLRACE_ROLLED_FROM)
    const old = Number.isNaN(from) ? this.olderCopies(position) : [timerKey(due, from)]
    const isPending = old.some(key => this.isNoted(key, leaving))
    // Delivered or taken back since. An index that is being rebuilt may not know the old copy any more.
    if (!isPending && !this.isRebuilding && !Number.isNaN(from)) return
    for (const key of old) index.remove(key)
    this.put(timerKey(due, position), sizeBytes, false)
    if (!isPending) index.change(topic, 1)
  }

  /** Apache's brokers do not say which copy they rolled. */
  private olderCopies(position: number): Buffer[] {
    const key = this.record.text(PropertyName.UNIQ_KEY)
    const { due } = this.record
    const older = new DelayedRecord()
    return this.options.store
      .findByKey(SystemTopic.TIMER, key, { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 64, uniqueOnly: true })
      .filter(record => older.read(record) && older.due === due && older.view.position < position)
      .map(record => {
        older.read(record)
        return timerKey(due, older.view.position)
      })
  }

  private isNoted(key: Buffer, leaving: Leaving): boolean {
    const text = key.toString('hex')
    return this.batchKeys.has(text) || (!leaving().has(text) && this.options.index.has(key))
  }

  /** One entry per repeated message: the time of its next occurrence. A producer's retry replaces what it repeats. */
  private takeRepeated(position: number, sizeBytes: number, leaving: Leaving): void {
    const { index, openedAt } = this.options
    const { record } = this
    const { topic } = record
    const uniqueKey = record.text(PropertyName.UNIQ_KEY)
    const name = `${topic}\0${uniqueKey}`
    const known = this.batchRepeats.get(name) ?? index.repeat(topic, uniqueKey)
    let due: number | undefined = record.due
    if (record.has(PropertyName.TIMER_ROLL_TIMES) && !this.isRebuilding) {
      if (!known || leaving().has(known.toString('hex'))) return
      due = known.readUIntBE(0, 6)
    } else if (this.isRebuilding && due <= openedAt) {
      const repetition = repetitionOf(record)
      due = repetition && nextOccurrence(repetition, due, openedAt)
    }
    if (known) index.remove(known)
    if (due === undefined) return
    const key = timerKey(due, position)
    this.put(key, sizeBytes, true)
    index.putRepeat(topic, uniqueKey, key)
    this.batchRepeats.set(name, key)
    if (!known) index.change(topic, 1)
  }
}
