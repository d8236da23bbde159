import {
  type Cancel,
  PropertyName,
  RecordProperties,
  ResponseCode,
  type Scheduler,
  StreamProperty,
} from '@millrace/core'
import {
  type Appended,
  ENTRY_NUMBERS,
  type LogStore,
  type MessageToAppend,
  type MetadataTable,
} from '@millrace/storage'
import { Refusal } from '../../../requests/answer.js'
import type { TaskTags } from './task-tags.js'

/** One lane of a task as it is stored: how far it was when everything before `nextOffset` had been written. */
interface LaneRecord {
  /** What the task sent to. */
  readonly topic: string
  readonly queueId: number
  /** Where its messages lie: another queue for delayed ones. */
  readonly storedTopic: string
  readonly storedQueueId: number
  readonly sequence: number
  readonly offset: number
  readonly position: number
  /** From here on the queue may hold messages of the lane that the record does not tell of. */
  readonly nextOffset: number
}

/** What is stored of one task, under its name. */
export interface TaskRecord {
  readonly pipeline: string
  readonly task: string
  readonly epoch: number
  readonly lanes: readonly LaneRecord[]
}

interface Stand {
  /** Highest sequence stored, -1 before the first; and where that message is. */
  sequence: number
  offset: number
  position: number
}

/** Messages of one task to one queue. */
export class Lane implements Stand {
  sequence = -1
  offset = 0
  position = 0
  /** Of what has been written: the rest may still be lost. */
  written: Readonly<Stand> = { sequence: -1, offset: 0, position: 0 }
  nextOffset = 0
  /** The queue has to be read from `nextOffset` on: after a start, or when messages were lost. */
  isStale = true
  /** A message of the lane that goes the general way. */
  appending: Promise<unknown> | undefined

  constructor(
    readonly topic: string,
    readonly queueId: number,
    readonly storedTopic: string,
    readonly storedQueueId: number,
  ) {}
}

class Task {
  /** By `laneKey`. */
  readonly lanes = new Map<string, Lane>()
  isDirty = false
  preparing: Promise<void> | undefined

  constructor(
    readonly pipeline: string,
    readonly task: string,
    /** Stored before a message of that epoch is: a start does not forget who was replaced. */
    public epoch: number,
  ) {}
}

interface Unwritten {
  readonly task: Task
  readonly lane: Lane
  readonly stand: Stand
}

/** Tasks and their lanes are few; more than this are not a pipeline's. */
const LANES_MAX = 100_000
/** How often what has changed is stored: a restart reads that much of the queues again. */
const SAVE_INTERVAL_MS = 2_000
/** Every so many times all tasks are stored, so that idle ones have little to read again as well. */
const WHOLE_SAVE_EVERY = 30
/** What is stored already. */
const NOT_AGAIN = Promise.resolve(undefined)
/** Entries read before other work has its turn. */
const ENTRIES_PER_TURN = 1_000

/**
 * Appends of pipeline tasks, each once: a message whose sequence its lane has seen is not stored again, and a task that
 * has been replaced (a higher epoch has written) is refused. What is known is rebuilt from the messages themselves: the
 * stored record of a task says from which offset its queues have to be read again after a crash.
 *
 * Invariants:
 * 1. An epoch, and that a lane exists, is durable before the first message of it is appended.
 * 2. What is stored of a lane never runs ahead of what has been written to the log.
 */
export class TaskLanes {
  private readonly tasks = new Map<string, Task>()
  private laneCount = 0
  private unwritten: Unwritten[] = []
  private unwrittenHead = 0
  private readonly properties = new RecordProperties()
  private readonly entries = new Float64Array(ENTRIES_PER_TURN * ENTRY_NUMBERS)
  private cancelSave: Cancel | undefined
  private isStopped = false
  private saves = 0

  constructor(
    private readonly store: LogStore,
    private readonly records: MetadataTable<TaskRecord>,
    private readonly scheduler: Scheduler,
  ) {
    for (const [, record] of records.entries()) this.load(record)
    if (this.tasks.size > 0) this.saveLater()
  }

  private load(record: TaskRecord): void {
    const task = new Task(record.pipeline, record.task, record.epoch)
    for (const { topic, queueId, storedTopic, storedQueueId, sequence, offset, position, nextOffset } of record.lanes) {
      const lane = new Lane(topic, queueId, storedTopic, storedQueueId)
      lane.written = { sequence, offset, position }
      lane.nextOffset = nextOffset
      task.lanes.set(laneKey(topic, queueId, storedTopic !== topic), lane)
      this.laneCount++
    }
    this.tasks.set(taskKey(record.pipeline, record.task), task)
  }

  // ── The hot path ────────────────────────────────────────────────────────────────────────────────────────────────

  /** The lane, if all that has to be known of it is at hand and this epoch may write; else the general way decides. */
  ready(pipeline: string, taskName: string, epoch: number, topic: string, queueId: number): Lane | undefined {
    const task = this.tasks.get(taskKey(pipeline, taskName))
    if (task === undefined || task.epoch !== epoch) return undefined
    const lane = task.lanes.get(laneKey(topic, queueId, false))
    return lane === undefined || lane.isStale || lane.appending !== undefined ? undefined : lane
  }

  /** Messages of the lane were appended, the last at `position` with this sequence. */
  appended(pipeline: string, taskName: string, lane: Lane, stand: Readonly<Stand>): void {
    const task = this.tasks.get(taskKey(pipeline, taskName))
    if (task === undefined) return
    Object.assign(lane, stand)
    this.unwritten.push({ task, lane, stand: { ...stand } })
  }

  /** The log is written up to `position`. */
  written(position: number): void {
    const { unwritten } = this
    while (this.unwrittenHead < unwritten.length && unwritten[this.unwrittenHead]!.stand.position < position) {
      const { task, lane, stand } = unwritten[this.unwrittenHead++]!
      this.confirm(task, lane, stand)
    }
    if (this.unwrittenHead === unwritten.length && this.unwrittenHead > 0) {
      unwritten.length = 0
      this.unwrittenHead = 0
    }
  }

  /** What was not written is lost: which of it, the queues tell. */
  lost(): void {
    for (let i = this.unwrittenHead; i < this.unwritten.length; i++) this.unwritten[i]!.lane.isStale = true
    this.unwritten = []
    this.unwrittenHead = 0
  }

  private confirm(task: Task, lane: Lane, stand: Readonly<Stand>): void {
    if (stand.sequence > lane.written.sequence) lane.written = stand
    lane.nextOffset = Math.max(lane.nextOffset, stand.offset + 1)
    task.isDirty = true
  }

  // ── The general way ─────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Appends messages of one task, in the order of their sequences; those whose sequence the lane has seen are not stored
   * again, and resolve with the place of its last message. Resolves when all are stored as safely as any.
   * `topic` and `queueId` are what the task sent to; `messages` lie in one queue. A task has one request to a queue
   * under way at a time.
   * @throws Refusal 604 for a task that has been replaced; MillraceError of the stores
   */
  async append(
    tags: readonly TaskTags[],
    topic: string,
    queueId: number,
    messages: readonly MessageToAppend[],
  ): Promise<Appended[]> {
    const isDelayed = messages[0]!.topic !== topic
    const fresh = new Lane(topic, queueId, messages[0]!.topic, messages[0]!.queueId)
    const task = await this.prepared(tags[0]!, fresh)
    const lane = task.lanes.get(laneKey(topic, queueId, isDelayed))!
    const before = lane.appending
    const seen = lane.sequence
    const appends = messages.map((message, i): Promise<Appended | undefined> => {
      const { sequence } = tags[i]!
      if (sequence === undefined) return this.store.append(message)
      if (sequence <= seen) return NOT_AGAIN
      lane.sequence = sequence
      return this.store.append(message)
    })
    const appending = Promise.all(appends)
    lane.appending = appending
    try {
      const stored = await appending
      await before
      const last = stored.findLastIndex((appended, i) => appended !== undefined && tags[i]!.sequence !== undefined)
      if (last >= 0) {
        const { queueOffset: offset, position } = stored[last]!
        const stand = { sequence: tags[last]!.sequence!, offset, position }
        if (lane.sequence === stand.sequence) Object.assign(lane, stand)
        this.confirm(task, lane, stand)
      }
      if (stored.includes(undefined)) await this.writtenPast(lane.position)
      const known = { position: lane.position, sizeBytes: 0, queueOffset: lane.offset, storeTimestamp: 0 }
      return stored.map(appended => appended ?? known)
    } catch (error) {
      lane.isStale = true
      throw error
    } finally {
      if (lane.appending === appending) lane.appending = undefined
    }
  }

  /** What the hot path has appended is acknowledged to nobody before it is written. */
  private async writtenPast(position: number): Promise<void> {
    while (this.store.ring.written <= position && this.store.refusal === undefined)
      await new Promise<void>(resolve => this.scheduler.turn(resolve))
    if (this.store.ring.written <= position) throw this.store.refusal ?? new Error('the message was lost')
  }

  /** The task with the epoch of `tags`, knowing the lane; anything new is durable then. */
  private async prepared(tags: TaskTags, fresh: Lane): Promise<Task> {
    const key = taskKey(tags.pipeline, tags.task)
    let task = this.tasks.get(key)
    if (task === undefined) this.tasks.set(key, (task = new Task(tags.pipeline, tags.task, -1)))
    const name = laneKey(fresh.topic, fresh.queueId, fresh.storedTopic !== fresh.topic)
    for (;;) {
      if (task.preparing === undefined) {
        if (tags.epoch < task.epoch) throw replaced(tags, task.epoch)
        if (tags.epoch === task.epoch && task.lanes.get(name)?.isStale === false) return task
        const preparing = this.prepare(task, tags.epoch, name, fresh)
        const done = (): void => {
          task.preparing = undefined
        }
        task.preparing = preparing.then(done, error => {
          done()
          throw error
        })
      }
      // Who waits here goes on in the order of coming: sequences stay in line.
      await task.preparing
    }
  }

  private async prepare(task: Task, epoch: number, name: string, fresh: Lane): Promise<void> {
    let lane = task.lanes.get(name)
    if (lane === undefined) {
      if (this.laneCount >= LANES_MAX)
        throw new Refusal(
          ResponseCode.SYSTEM_BUSY,
          `${LANES_MAX} pairs of task and queue are known already; delete pipelines that are not used`,
        )
      lane = fresh
      lane.nextOffset = this.store.maxOffset(lane.storedTopic, lane.storedQueueId)
      await this.put(task, Math.max(epoch, task.epoch), [...task.lanes.values(), lane])
      task.lanes.set(name, lane)
      this.laneCount++
    } else if (epoch > task.epoch) await this.put(task, epoch, [...task.lanes.values()])
    task.epoch = Math.max(epoch, task.epoch)
    if (lane.isStale) await this.catchUp(task, lane)
  }

  /** Reads what the lane's queue got since the lane was stored. */
  private async catchUp(task: Task, lane: Lane): Promise<void> {
    const { store, entries, properties } = this
    await lane.appending?.catch(() => undefined)
    const queue = store.queue(store.topic(lane.storedTopic), lane.storedQueueId)
    const stand: Stand = { ...lane.written }
    // A topic that was deleted and made anew begins at 0 again.
    const end = store.visibleOffset(queue)
    let offset = Math.max(store.firstOffset(queue), lane.nextOffset > end ? 0 : lane.nextOffset)
    let record = Buffer.allocUnsafe(4096)
    while (offset < store.visibleOffset(queue)) {
      const count = store.readEntries(queue, offset, ENTRIES_PER_TURN, entries)
      if (count === 0) break
      for (let i = 0; i < count; i++, offset++) {
        const position = entries[i * ENTRY_NUMBERS]!
        const sizeBytes = entries[i * ENTRY_NUMBERS + 1]!
        if (sizeBytes > record.length) record = Buffer.allocUnsafe(sizeBytes * 2)
        if (!store.reader.copy(position, sizeBytes, record, 0) || !properties.locate(record, 0, sizeBytes)) continue
        const sequence = this.sequenceOf(task, lane)
        if (sequence > stand.sequence) Object.assign(stand, { sequence, offset, position })
      }
      await new Promise<void>(resolve => this.scheduler.turn(resolve))
    }
    Object.assign(lane, stand)
    lane.written = stand
    lane.nextOffset = offset
    lane.isStale = false
  }

  /** Sequence of the record that `properties` points at; -1 when it is not of this lane. */
  private sequenceOf(task: Task, lane: Lane): number {
    const { text } = this.properties
    if (text(StreamProperty.TASK) !== task.task || text(StreamProperty.PIPELINE) !== task.pipeline) return -1
    if (lane.storedTopic !== lane.topic) {
      const isHere =
        text(PropertyName.REAL_TOPIC) === lane.topic && text(PropertyName.REAL_QID) === String(lane.queueId)
      if (!isHere) return -1
    }
    return Number(text(StreamProperty.SEQUENCE) ?? -1)
  }

  // ── Storing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private put(task: Task, epoch: number, lanes: readonly Lane[]): Promise<void> {
    task.isDirty = false
    this.saveLater()
    for (const lane of lanes) this.moveOn(lane)
    return this.records.put(taskKey(task.pipeline, task.task), {
      pipeline: task.pipeline,
      task: task.task,
      epoch,
      lanes: lanes.map(({ topic, queueId, storedTopic, storedQueueId, written, nextOffset }) => ({
        topic,
        queueId,
        storedTopic,
        storedQueueId,
        ...written,
        nextOffset,
      })),
    })
  }

  /** A lane of which all is written has nothing in the queue up to its end but what is known. */
  private moveOn(lane: Lane): void {
    if (lane.isStale || lane.appending !== undefined || lane.sequence !== lane.written.sequence) return
    lane.nextOffset = this.store.maxOffset(lane.storedTopic, lane.storedQueueId)
  }

  private saveLater(): void {
    if (this.cancelSave !== undefined || this.isStopped) return
    this.cancelSave = this.scheduler.after(
      SAVE_INTERVAL_MS,
      () => {
        this.cancelSave = undefined
        this.saveLater()
        const isWhole = ++this.saves % WHOLE_SAVE_EVERY === 0
        // What could not be stored costs a longer look at the queues at the next start; the store reports it.
        this.save(isWhole).catch(() => undefined)
      },
      { unref: true },
    )
  }

  private async save(isWhole: boolean): Promise<void> {
    const due = [...this.tasks.values()].filter(task => task.epoch >= 0 && (isWhole || task.isDirty))
    await Promise.all(due.map(task => this.put(task, task.epoch, [...task.lanes.values()])))
  }

  /** Stores what is known; the next start then has nothing to read again. */
  async stop(): Promise<void> {
    this.isStopped = true
    this.cancelSave?.()
    await this.save(true).catch(() => undefined)
  }
}

function replaced(tags: TaskTags, epoch: number): Refusal {
  return new Refusal(
    ResponseCode.ILLEGAL_OPERATION,
    `task ${tags.task} of pipeline ${tags.pipeline} was started again: epoch ${epoch} has written, epoch ${tags.epoch} may not any more; stop the old one, or start with a higher epoch`,
  )
}

function taskKey(pipeline: string, task: string): string {
  return `${pipeline}\u0001${task}`
}

function laneKey(topic: string, queueId: number, isDelayed: boolean): string {
  return `${topic}/${queueId}${isDelayed ? '/delayed' : ''}`
}
