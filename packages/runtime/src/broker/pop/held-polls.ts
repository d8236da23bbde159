import type { Cancel, Environment } from '@millrace/core'
import type { LogStore, QueueTail } from '@millrace/storage'
import { WATCHER } from '../pull/watcher.js'
import type { ReplyPeer } from './commit-replies.js'
import type { PollRequest } from './pop-request.js'

/** A poll that found nothing and waits. */
export interface HeldPoll<R extends PollRequest = PollRequest> {
  readonly peer: ReplyPeer
  readonly request: R
  /** Monotonic milliseconds. */
  readonly deadlineMs: number
  /** When to look again although nothing arrived, wall clock; Infinity: never. */
  readonly againAtMs: number
}

/** Polls of one group for one queue (or any queue) of one topic. */
interface Line<R extends PollRequest> {
  readonly key: string
  polls: HeldPoll<R>[]
  /** Queues whose messages would answer them. */
  readonly queues: readonly QueueTail[]
}

export interface HoldLimits {
  /** In one line. */
  readonly popPollingSize: number
  /** In the whole broker. */
  readonly maxPopPollingSize: number
}

/** What becomes of a poll that looks again: answered, or held on, perhaps until another time. */
export type Retried = 'answered' | { readonly againAtMs: number }

const TICK_MS = 50

/**
 * Long polling of pops and notifications: polls wait in line, the first to come is the first to be served when a message
 * arrives. @see RocketMQ `PopLongPollingService`
 */
export class HeldPolls<R extends PollRequest> {
  private readonly lines = new Map<string, Line<R>>()
  private readonly byQueue = new Map<QueueTail, Set<Line<R>>>()
  private count = 0
  private cancelTick: Cancel | undefined

  constructor(
    private readonly environment: Pick<Environment, 'clock' | 'scheduler'>,
    private readonly store: LogStore,
    private readonly limits: () => HoldLimits,
    /** Looks again; `isLast`: its time is over, answer it now. */
    private readonly retry: (poll: HeldPoll<R>, isLast: boolean) => Retried,
    /** Called when nobody waits for a queue any more. */
    private readonly onIdle: (queue: QueueTail) => void,
  ) {}

  /** Polls held for (topic, group, queue). */
  countOf(topic: string, group: string, queueId: number): number {
    return this.lines.get(keyOf(topic, group, queueId))?.polls.length ?? 0
  }

  isWaiting(queue: QueueTail): boolean {
    return this.byQueue.has(queue)
  }

  /** False: too many wait already. */
  hold(poll: HeldPoll<R>, queues: () => readonly QueueTail[]): boolean {
    const { popPollingSize, maxPopPollingSize } = this.limits()
    const { group, queueId, topic } = poll.request
    const key = keyOf(topic, group, queueId)
    let line = this.lines.get(key)
    if (this.count >= maxPopPollingSize || (line !== undefined && line.polls.length > popPollingSize)) return false
    if (line === undefined) {
      line = { key, polls: [], queues: queues() }
      this.lines.set(key, line)
      for (const queue of line.queues) {
        const lines = this.byQueue.get(queue)
        if (lines === undefined) this.byQueue.set(queue, new Set([line]))
        else lines.add(line)
      }
    }
    line.polls.push(poll)
    this.count++
    for (const queue of line.queues) this.store.watch(queue, WATCHER.pop)
    this.tickLater()
    return true
  }

  /** A message of `queue` may be read. */
  arrived(queue: QueueTail): void {
    const lines = this.byQueue.get(queue)
    if (lines !== undefined) for (const line of [...lines]) this.serve(line)
  }

  /** Something changed for a group's queue without a new message. */
  wake(topic: string, group: string, queueId: number): void {
    for (const id of [queueId, -1]) {
      const line = this.lines.get(keyOf(topic, group, id))
      if (line !== undefined) this.serve(line)
    }
  }

  /** Serves a line from its start until one finds nothing. */
  private serve(line: Line<R>): void {
    // Those that join while it is served do not belong to this round.
    for (let left = line.polls.length; left > 0 && line.polls.length > 0; left--) {
      const poll = line.polls.shift()!
      if (!poll.peer.isOpen) {
        this.count--
        continue
      }
      const retried = this.retry(poll, false)
      if (retried !== 'answered') {
        line.polls.unshift({ ...poll, againAtMs: retried.againAtMs })
        break
      }
      this.count--
    }
    this.tidy(line)
  }

  private tick(): void {
    const { clock } = this.environment
    const now = clock.now()
    const elapsed = clock.monotonic()
    for (const line of [...this.lines.values()]) {
      const due = line.polls.filter(poll => poll.deadlineMs <= elapsed || !poll.peer.isOpen)
      if (due.length > 0) {
        line.polls = line.polls.filter(poll => poll.deadlineMs > elapsed && poll.peer.isOpen)
        this.count -= due.length
        for (const poll of due) if (poll.peer.isOpen) this.retry(poll, true)
      }
      if (line.polls.some(poll => poll.againAtMs <= now)) this.serve(line)
      this.tidy(line)
    }
    if (this.count > 0) this.tickLater()
  }

  private tidy(line: Line<R>): void {
    if (line.polls.length > 0 || this.lines.get(line.key) !== line) return
    this.lines.delete(line.key)
    for (const queue of line.queues) {
      const lines = this.byQueue.get(queue)
      lines?.delete(line)
      if (lines?.size !== 0) continue
      this.byQueue.delete(queue)
      this.onIdle(queue)
    }
  }

  private tickLater(): void {
    this.cancelTick ??= this.environment.scheduler.after(
      TICK_MS,
      () => {
        this.cancelTick = undefined
        this.tick()
      },
      { unref: true },
    )
  }

  /** Answers nobody, forgets all. */
  stop(): void {
    this.cancelTick?.()
    this.cancelTick = undefined
    this.lines.clear()
    this.byQueue.clear()
    this.count = 0
  }
}

function keyOf(topic: string, group: string, queueId: number): string {
  return `${topic}@${group}@${queueId}`
}
