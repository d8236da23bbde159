import type { Environment } from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import type { RemotingConnection } from '../../listener/connection.js'
import type { GroupMeter } from '../counters.js'
import type { MessageFilter } from '../filter/message-filter.js'
import { WATCHER } from './watcher.js'

/** A pull that waits for a message: everything needed to run it again. */
export interface HeldPull {
  readonly connection: RemotingConnection
  readonly opaque: number
  readonly isBinary: boolean
  readonly queue: QueueTail
  /** Where the next look begins: what its filter has dropped before is not looked at again. */
  offset: number
  /** Its filter has dropped messages since it is held: the client has to hear of the offset behind them. */
  hasSkipped: boolean
  readonly filter: MessageFilter | undefined
  /** The group's subscription that the filter is of; undefined: the pull brought its own. */
  readonly subscription: object | undefined
  readonly group: string
  readonly topic: string
  readonly messagesMax: number
  readonly bytesMax: number
  readonly topicSysFlag: number
  readonly groupSysFlag: number
  /** Monotonic milliseconds. */
  readonly deadlineMs: number
  /** Counts what the group gets. */
  readonly meter: GroupMeter
}

const EXPIRY_CHECK_MS = 200

/**
 * Long polling: pulls that found nothing wait by queue. The turn that makes a message readable runs them again;
 * those whose time is over are answered as they are. Limit: `HELD_MAX` in all, past it a pull is answered at once.
 */
export class HeldPulls {
  private readonly byQueue = new Map<QueueTail, HeldPull[]>()
  private count = 0
  private isTimerSet = false

  constructor(
    private readonly environment: Environment,
    private readonly store: LogStore,
    /** Runs a pull again; false when it still finds nothing and should go on waiting. */
    private readonly retry: (pull: HeldPull, isLast: boolean) => boolean,
  ) {}

  get heldCount(): number {
    return this.count
  }

  /** Takes a pull in. False: too many wait already. */
  hold(pull: HeldPull): boolean {
    if (this.count >= HELD_MAX) return false
    const held = this.byQueue.get(pull.queue)
    if (held === undefined) this.byQueue.set(pull.queue, [pull])
    else held.push(pull)
    this.store.watch(pull.queue, WATCHER.pull)
    this.count++
    this.setTimer()
    return true
  }

  /** A message of `queue` may be read now. */
  arrived(queue: QueueTail): void {
    const held = this.byQueue.get(queue)
    if (held === undefined) return
    this.keep(queue, held, pull => pull.connection.isOpen && !this.retry(pull, false))
  }

  private expire(): void {
    const now = this.environment.clock.monotonic()
    for (const [queue, held] of this.byQueue) {
      if (held.every(pull => pull.deadlineMs > now && pull.connection.isOpen)) continue
      this.keep(queue, held, pull => {
        if (!pull.connection.isOpen) return false
        if (pull.deadlineMs > now) return true
        this.retry(pull, true)
        return false
      })
    }
    if (this.count > 0) this.setTimer()
  }

  private keep(queue: QueueTail, held: HeldPull[], isKept: (pull: HeldPull) => boolean): void {
    this.byQueue.delete(queue)
    const kept = held.filter(isKept)
    // A retry may have put new pulls of this queue on hold meanwhile.
    const added = this.byQueue.get(queue) ?? []
    this.count -= held.length - kept.length
    const all = added.length === 0 ? kept : kept.concat(added)
    if (all.length > 0) this.byQueue.set(queue, all)
    else {
      this.byQueue.delete(queue)
      this.store.unwatch(queue, WATCHER.pull)
    }
  }

  private setTimer(): void {
    if (this.isTimerSet) return
    this.isTimerSet = true
    this.environment.scheduler.after(
      EXPIRY_CHECK_MS,
      () => {
        this.isTimerSet = false
        this.expire()
      },
      { unref: true },
    )
  }

  /** Answers nobody, forgets all. */
  clear(): void {
    this.byQueue.clear()
    this.count = 0
  }
}

/** Pulls on hold in the whole broker. */
const HELD_MAX = 100_000
