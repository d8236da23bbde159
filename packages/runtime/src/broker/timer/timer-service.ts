import {
  type ActorContext,
  assertNever,
  type Behavior,
  type Cancel,
  type ReplyTo,
  receive,
  SystemTopic,
  setup,
} from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { LogPin } from '../retention/log-pin.js'
import { DUE_ENTRIES_MAX, type DueTimer, heldKey, TimerDue } from './timer-due.js'
import { type PendingTimer, type TimerIndex, timerKey } from './timer-index.js'
import { TimerIntake } from './timer-intake.js'
import type { Recall, RecallOutcome, TimerMessage } from './timer-messages.js'

export interface TimerOptions {
  readonly index: TimerIndex
  readonly store: Pick<
    MessageStore,
    'append' | 'appendCopies' | 'entries' | 'findByKey' | 'indexed' | 'logEnd' | 'maxOffset' | 'minOffset' | 'record'
  >
  /** Log files that hold pending messages stay until those have moved. */
  readonly pin: LogPin
  /** Calls back whenever a message for the timer topic is on its way to the log; `due` in ms. */
  readonly onStored: (hint: (due: number) => void) => void
}

/** While messages come that are due soon, the log is looked at in steps of LOOK_MS; for others in larger ones. */
const SOON_MS = 500
const LOOK_MS = 5
const LAZY_LOOK_MS = 150
/** How long looking goes on after a hint: messages take a moment until they can be read. */
const LOOKING_MS = 400
const HINT_MS = 50
/** Deliveries of a few messages keep this distance, so that they share a commit. */
const DELIVERY_GAP_MS = 8
/** Finds what took longer, and what a jump of the clock made due. */
const SWEEP_MS = 500
/** The log had no room. */
const AGAIN_MS = 10
/** The store or the index refused. */
const RETRY_MS = 1_000
const ROLL_ENTRIES_MAX = 2048
/** After a start, how long deliveries wait for the key index to catch up. */
const DOUBT_WAIT_MS = 30_000
/** Recalls are kept this long after their messages were due. */
const RECALL_KEPT_MS = 600_000
const RECALLS_FORGOTTEN_MAX = 1000
const FIRST = Buffer.alloc(0)

/**
 * Stores timer messages in their real topics when their time has come: never before it by the broker's clock, and each at least once.
 *
 * One batch at a time: copies are appended; when they are on disk their entries leave the index, in the same commit that takes in
 * what is new. After a crash only the first batch is in doubt; the log itself says which of it was delivered, so that
 * nothing is delivered twice while the key index knows it. behaviour.md §11 @see RocketMQ `TimerMessageStore`
 */
export function timerService(options: TimerOptions): Behavior<TimerMessage> {
  return setup(context => new TimerService(options, context).start())
}

class TimerService {
  readonly #intake: TimerIntake
  readonly #due: TimerDue
  readonly #held = new Set<string>()
  /** Recalls whose markers the index does not have yet, by offset. */
  #markers: { readonly held: string; readonly queueOffset: number }[] = []
  /** The end of log and timer queue at the start, and when that was: entries before are in doubt. */
  readonly #opened: { readonly end: number; readonly offset: number; readonly at: number; readonly monotonic: number }
  #inDoubtLeft: number
  #isBusy = false
  #hasFailed = false
  #batch: { readonly timers: readonly DueTimer[]; readonly isRoll: boolean } | undefined
  /** Delivered, and still in the index. */
  #leaving: readonly DueTimer[] = []
  /** All in monotonic time: until when messages are expected, and when to look for them. */
  #soonUntil = 0
  #lazyUntil = 0
  #lookAt = Number.POSITIVE_INFINITY
  #deliveredAt = 0
  #isRollTurn = false
  #cancelWake: Cancel | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  /** Messages before `position` move; the index must have those before `fromOffset` first, and the copies in the end. */
  #roll:
    | {
        readonly position: number
        readonly fromOffset: number
        next: Buffer | undefined
        endOffset: number | undefined
      }
    | undefined
  #stopped: ReplyTo<void> | undefined

  constructor(
    private readonly options: TimerOptions,
    private readonly context: ActorContext<TimerMessage>,
  ) {
    const { index, store } = options
    const { clock } = context
    const max = store.maxOffset(SystemTopic.TIMER, 0)
    const min = store.minOffset(SystemTopic.TIMER, 0)
    const known = index.nextOffset
    this.#opened = { end: store.logEnd, offset: max, at: clock.now(), monotonic: clock.monotonic() }
    const rebuildTo = known === undefined ? max : 0
    this.#inDoubtLeft = known === undefined ? Number.POSITIVE_INFINITY : DUE_ENTRIES_MAX
    this.#intake = new TimerIntake(
      { index, store, rebuildTo, openedAt: this.#opened.at },
      Math.min(Math.max(known ?? 0, min), max),
    )
    this.#due = new TimerDue({ index, store, held: this.#held })
    // The log lost its tail (power cut without flush): so does the index.
    if (known !== undefined && known > max) this.#commit(() => index.removeFrom(store.logEnd))
  }

  start(): Behavior<TimerMessage> {
    const { self } = this.context
    const { clock } = this.context
    const hintedAt = { soon: Number.NEGATIVE_INFINITY, later: Number.NEGATIVE_INFINITY }
    this.options.onStored(due => {
      const now = clock.monotonic()
      const isSoon = due - clock.now() < SOON_MS
      if (now - (isSoon ? hintedAt.soon : hintedAt.later) < HINT_MS) return
      hintedAt[isSoon ? 'soon' : 'later'] = now
      self.tell({ kind: 'hint', isSoon })
    })
    this.context.every(SWEEP_MS, { kind: 'sweep' })
    this.#advance()
    return receive(message => {
      switch (message.kind) {
        case 'hint':
          if (message.isSoon) this.#soonUntil = clock.monotonic() + LOOKING_MS
          else this.#lazyUntil = clock.monotonic() + LOOKING_MS
          this.#lookIn(message.isSoon ? LOOK_MS : LAZY_LOOK_MS)
          break
        case 'look':
          this.#advance()
          break
        case 'wake':
          this.#wakeAt = Number.POSITIVE_INFINITY
          this.#advance()
          break
        case 'sweep':
          this.#lookAt = 0
          this.#advance()
          break
        case 'copied':
          this.#copied(message.count)
          break
        case 'copies-refused':
          this.#batch = undefined
          this.#fail()
          break
        case 'committed':
          this.#isBusy = false
          this.#releaseRecalled()
          this.#advance()
          break
        case 'commit-refused':
          // What was delivered must leave the index before anything else is delivered.
          this.#leaving = message.leaving
          this.#intake.nextOffset = message.nextOffset
          this.#fail()
          break
        case 'retry':
          this.#hasFailed = false
          this.#advance()
          break
        case 'recall':
          this.#recall(message.recall, message.reply)
          break
        case 'recall-stored':
          this.#markers.push(message)
          this.#advance()
          break
        case 'recall-refused':
          this.#held.delete(message.held)
          this.#advance()
          break
        case 'stop':
          this.#stopped = message.reply
          if (!this.#isBusy) this.#advance()
          break
        default:
          assertNever(message)
      }
    })
  }

  /** Does the next thing, unless one is under way. */
  #advance(): void {
    if (this.#isBusy || this.#hasFailed) return
    const max = this.options.store.maxOffset(SystemTopic.TIMER, 0)
    if (this.#leaving.length > 0) this.#commit()
    else if (this.#stopped) this.#end(this.#stopped)
    // What the log has from before the start comes first: it may take messages back.
    else if (this.#intake.nextOffset < this.#opened.offset) this.#commit()
    else if (this.#deliver()) return
    else if (this.#isRollTurn && this.#rollOn()) this.#isRollTurn = false
    else if (this.#intake.nextOffset < max && this.context.clock.monotonic() >= this.#lookAt) this.#commit()
    else if (!this.#rollOn()) this.#rest()
  }

  #end(reply: ReplyTo<void>): void {
    reply.tell()
    this.context.stop()
  }

  /** What was delivered leaves the index, and new messages come in. */
  #commit(change: () => void = () => undefined): void {
    const { index } = this.options
    const intake = this.#intake
    const leaving = this.#leaving
    const { nextOffset } = intake
    let keys: ReadonlySet<string> | undefined
    const leavingKeys = (): ReadonlySet<string> =>
      (keys ??= new Set(leaving.map(({ entry }) => entry.key.toString('hex'))))
    const before = this.context.clock.now() - RECALL_KEPT_MS
    this.#leaving = []
    this.#isBusy = true
    this.#isRollTurn = true
    this.#lookAt = Number.POSITIVE_INFINITY
    const committed = index.commit(() => {
      change()
      for (const timer of leaving) this.#leave(timer)
      if (!this.#stopped) intake.take(leavingKeys)
      if (index.hasRecalls) index.forgetRecalls(before, RECALLS_FORGOTTEN_MAX)
      return intake.nextOffset
    })
    const { self } = this.context
    committed.then(
      () => self.tell({ kind: 'committed' }),
      () => self.tell({ kind: 'commit-refused', leaving, nextOffset }),
    )
  }

  #leave({ entry, topic, repeat }: DueTimer): void {
    const { index } = this.options
    index.remove(entry.key)
    if (repeat?.nextDue !== undefined && topic !== undefined) {
      const key = timerKey(repeat.nextDue, entry.position)
      index.put(key, entry.sizeBytes, true)
      index.putRepeat(topic, repeat.uniqueKey, key)
      return
    }
    if (repeat && topic !== undefined) index.removeRepeat(topic, repeat.uniqueKey)
    if (topic !== undefined) index.change(topic, -1)
  }

  /** True when something is under way now. */
  #deliver(): boolean {
    const now = this.context.clock.now()
    const waitMs = this.#mustWaitForKeys()
      ? AGAIN_MS
      : this.#deliveredAt + DELIVERY_GAP_MS - this.context.clock.monotonic()
    if (waitMs > 0) {
      this.#wakeIn(waitMs)
      return false
    }
    const timers = this.#due.due(now, entry => this.#isInDoubt(entry))
    if (timers.length === 0) return false
    if (timers.length < DUE_ENTRIES_MAX) this.#deliveredAt = this.context.clock.monotonic()
    this.#copy(timers, false)
    return true
  }

  /** Right after a start the log cannot say yet what was delivered. */
  #mustWaitForKeys(): boolean {
    if (this.#inDoubtLeft === 0) return false
    const { end, monotonic } = this.#opened
    return this.options.store.indexed < end && this.context.clock.monotonic() - monotonic < DOUBT_WAIT_MS
  }

  #isInDoubt(entry: PendingTimer): boolean {
    if (this.#inDoubtLeft === 0) return false
    this.#inDoubtLeft--
    return entry.position < this.#opened.end && entry.due <= this.#opened.at
  }

  #copy(timers: readonly DueTimer[], isRoll: boolean): void {
    this.#isBusy = true
    this.#batch = { timers, isRoll }
    const copies = timers.flatMap(({ copy }) => copy ?? [])
    const { self } = this.context
    if (copies.length === 0) {
      this.#copied(0)
      return
    }
    this.options.store.appendCopies(copies).then(
      count => self.tell({ kind: 'copied', count }),
      () => self.tell({ kind: 'copies-refused' }),
    )
  }

  #copied(count: number): void {
    const { timers = [], isRoll = false } = this.#batch ?? {}
    this.#batch = undefined
    this.#isBusy = false
    let copies = 0
    let end = 0
    while (end < timers.length && (!timers[end]?.copy || copies < count)) {
      if (timers[end]?.copy) copies++
      end++
    }
    if (isRoll) this.#rolled(end < timers.length ? timers[end]?.entry.key : undefined)
    else this.#leaving = timers.slice(0, end)
    if (end === 0) this.#wakeIn(AGAIN_MS)
    else this.#advance()
  }

  /** Nothing is lost: what was under way is still in the index. */
  #fail(): void {
    this.#isBusy = false
    if (this.#stopped) {
      this.#end(this.#stopped)
      return
    }
    this.#hasFailed = true
    this.context.after(RETRY_MS, { kind: 'retry' })
  }

  // ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #rest(): void {
    const due = this.options.index.firstDue()
    const now = this.context.clock.now()
    if (due !== undefined && due - now < SWEEP_MS) this.#wakeIn(Math.max(due - now, this.#held.size > 0 ? AGAIN_MS : 1))
    const monotonic = this.context.clock.monotonic()
    if (monotonic < this.#soonUntil) this.#lookIn(LOOK_MS)
    else if (monotonic < this.#lazyUntil) this.#lookIn(LAZY_LOOK_MS)
  }

  #lookIn(delayMs: number): void {
    const at = this.context.clock.monotonic() + delayMs
    // One that is overdue found nothing.
    if (at >= this.#lookAt && this.#lookAt > at - delayMs) return
    this.#lookAt = at
    this.context.after(delayMs, { kind: 'look' })
  }

  #wakeIn(delayMs: number): void {
    const at = this.context.clock.monotonic() + delayMs
    if (at >= this.#wakeAt) return
    this.#cancelWake?.()
    this.#wakeAt = at
    this.#cancelWake = this.context.after(delayMs, { kind: 'wake' })
  }

  // ── Recall ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The message is held from now on; it is taken back for certain once the marker is in the log. */
  #recall({ due, marker, topic, uniqueKey }: Recall, reply: ReplyTo<RecallOutcome>): void {
    const { index, store } = this.options
    const isRepeated = index.repeat(topic, uniqueKey) !== undefined
    const isUnderWay = this.#batch?.timers.some(({ entry }) => entry.due === due) ?? false
    if ((due <= this.context.clock.now() || isUnderWay) && !isRepeated) {
      reply.tell('too late')
      return
    }
    const held = heldKey(isRepeated ? 0 : due, topic, uniqueKey)
    this.#held.add(held)
    const { self } = this.context
    store.append(marker).then(
      ({ queueOffset }) => {
        self.tell({ kind: 'recall-stored', held, queueOffset })
        reply.tell('taken')
      },
      (error: Error) => {
        self.tell({ kind: 'recall-refused', held })
        reply.fail(error)
      },
    )
  }

  #releaseRecalled(): void {
    if (this.#markers.length === 0) return
    const isWaiting = (marker: { readonly queueOffset: number }): boolean =>
      marker.queueOffset >= this.#intake.nextOffset
    for (const marker of this.#markers) if (!isWaiting(marker)) this.#held.delete(marker.held)
    this.#markers = this.#markers.filter(isWaiting)
  }

  // ── Rolling ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Moves messages out of log files that retention wants. True when something is under way now. */
  #rollOn(): boolean {
    const { pin, store } = this.options
    if (!this.#roll) {
      if (pin.wanted <= pin.freeTo) return false
      const fromOffset = store.maxOffset(SystemTopic.TIMER, 0)
      this.#roll = { position: pin.wanted, fromOffset, next: FIRST, endOffset: undefined }
    }
    const roll = this.#roll
    if (this.#isBehind(roll.fromOffset)) return false
    if (roll.next === undefined) {
      // All copies are in the log; their places are free once the index has them.
      roll.endOffset ??= store.maxOffset(SystemTopic.TIMER, 0)
      if (this.#isBehind(roll.endOffset)) return false
      pin.freeTo = roll.position
      this.#roll = undefined
      return this.#rollOn()
    }
    const { next, rolled } = this.#due.toRoll(roll.next, roll.position, ROLL_ENTRIES_MAX, this.context.clock.now())
    roll.next = next
    if (rolled.length === 0) {
      this.#wakeIn(1)
      return false
    }
    this.#soonUntil = this.context.clock.monotonic() + LOOKING_MS
    this.#copy(rolled, true)
    return true
  }

  /** The index does not have the messages before `offset` yet: looks for them at once. */
  #isBehind(offset: number): boolean {
    if (this.#intake.nextOffset >= offset) return false
    this.#lookAt = 0
    return true
  }

  /** Copies from `from` on had no room. */
  #rolled(from: Buffer | undefined): void {
    if (this.#roll && from) this.#roll.next = from
  }
}
