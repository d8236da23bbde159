import { type Cancel, type Environment, MillraceError, PROPERTIES_BYTES_MAX } from '@millrace/core'
import { nodeStorageEngine, type StorageEngine } from './engine.js'
import { IndexReader } from './index/index-reader.js'
import { indexTables } from './index/index-tables.js'
import { ENTRY_NUMBERS, type QueueTail } from './index/queue-tails.js'
import { encodeHost } from './log/host-bytes.js'
import { LogFiles } from './log/log-files.js'
import { type Recovered, type RecoveryProgress, recoverLog } from './log/log-recovery.js'
import { LogRing } from './log/log-ring.js'
import type { LogWorkerListener, LogWorkers } from './log/log-workers.js'
import { OUTCOME, type Outcome, RECORD_EXTRA_BYTES_MAX, RecordInput, RecordWriter } from './log/record-writer.js'
import { createSharedLog, type SharedLog, WORD } from './log/shared-log.js'
import type { Appended, MessageStore, MessageToAppend, RecordCopy } from './message-store.js'
import { RecordCopier } from './record-copier.js'
import { StoredMessages, type StoredParts, storeTimeOf } from './stored-messages.js'
import type { FlushNews } from './worker/node-flush-worker.js'
import type { IndexNews } from './worker/node-index-worker.js'

export interface LogStoreOptions {
  readonly environment: Environment
  /** Holds `commitlog/` (Apache's format) and `millrace/index/` (LMDB). Created when missing. */
  readonly directory: string
  /** The log's own directory; default `commitlog` in `directory`. */
  readonly logDirectory?: string
  /** When a message counts as stored: 'sync' after fdatasync, 'async' when the operating system has it. */
  readonly flush: 'sync' | 'async'
  /** Size of one log file; fixed for the life of a store. Default 1 GiB, Apache's. */
  readonly fileBytes?: number
  /** Memory for messages on their way to disk and index; at most half of `fileBytes`. Default 32 MiB. */
  readonly ringBytes?: number
  /** Largest message body. Default 4 MiB. */
  readonly bodyBytesMax?: number
  /** Async mode: pause between background syncs. Default 500 ms. */
  readonly syncIntervalMs?: number
  readonly onRecovery?: RecoveryProgress
  /** Told of every change between open, full and failed. */
  readonly onState?: (state: StoreState, reason: string) => void
  /** Default: LMDB and worker threads. */
  readonly engine?: StorageEngine
}

/** open: all is well. full: no space, writes refused until there is. failed: writes refused until a restart. Reads always work. */
export type StoreState = 'open' | 'full' | 'failed'

/** Who wants to know how far the log is. Both are called on the broker's thread. */
export interface LogStoreListener {
  /** Everything before `position` has reached the flush policy's goal. */
  written(position: number): void
  /** Records at or after `position` were not stored and will not be: refuse whoever waits for them. */
  lost(position: number, error: MillraceError): void
  /** A watched queue (see `LogStore.watch`) has a new message that may be read. */
  arrived(queue: QueueTail): void
}

/** What may be deleted; see `LogStore.retain`. */
export interface RetainLimits {
  readonly beforeMs?: number
  readonly bytesMax?: number
  readonly freeBytes?: number
  /** Messages from this position on stay, whatever else is said. */
  readonly keepFrom?: number
}

interface Waiting {
  readonly end: number
  readonly appended: Appended
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: Error) => void
}

interface Parked {
  readonly message: MessageToAppend
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: Error) => void
}

const FILE_BYTES = 1024 * 1024 * 1024
const RING_BYTES = 32 * 1024 * 1024
const BODY_BYTES_MAX = 4 * 1024 * 1024
const TOPIC_BYTES_MAX = 255
const SYNC_INTERVAL_MS = 500
const SPACE_CHECK_MS = 500
/** Free space to have before a full store takes messages again. */
const SPACE_TO_RESUME_BYTES = 2 * 1024 * 1024
const PARKED_MAX = 10_000

/**
 * The broker's messages on disk: the commit log, what is derived from it, and the two workers behind it.
 * One thread appends and reads; see ARCHITECTURE.md "Storage" for the data path.
 *
 * Invariants:
 * 1. A message is acknowledged only after `written` has passed it.
 * 2. Queue offsets are dense and given in log order; a reader sees an offset only once `written` has passed it.
 * 3. After a failed write the records behind it are taken back (their offsets are given again); after a failed sync
 *    nothing is written any more until a restart.
 */
export class LogStore extends StoredMessages implements MessageStore {
  readonly writer: RecordWriter
  readonly recovered: Pick<Recovered, 'end' | 'isTailTorn' | 'recordsScanned'>
  private readonly words: Int32Array
  private readonly listeners: LogStoreListener[] = []
  private arrivals: { queue: QueueTail; position: number }[] = []
  private readonly waiting: Waiting[] = []
  private waitingHead = 0
  private readonly parked: Parked[] = []
  private readonly input = new RecordInput()
  private readonly copier = new RecordCopier()
  private readonly workers: LogWorkers
  private readonly engine: StorageEngine
  private isPublishDue = false
  /** Grows with every turn that appends; records of one turn are written together. */
  publishCount = 0
  private isSyncing = false
  private cancelTimer: Cancel = () => {}
  private state: StoreState = 'open'
  private stateReason = ''
  private isClosing = false
  private indexedTo: number
  private deletions = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  private deletionId = 0
  private removals: string[] = []
  private isRemoving = false
  private refusedFor: string | undefined

  private constructor(
    private readonly options: LogStoreOptions,
    parts: StoredParts,
    shared: SharedLog,
    recovered: Recovered,
    indexPath: string,
  ) {
    super(parts)
    const { files } = parts
    this.engine = options.engine ?? nodeStorageEngine
    this.words = new Int32Array(shared.words)
    this.writer = new RecordWriter(this.ring, this.tails)
    this.recovered = recovered
    this.indexedTo = recovered.watermark
    this.loadTail(recovered)
    const listener: LogWorkerListener = {
      flush: news => this.onFlush(news),
      index: news => this.onIndex(news),
      died: (which, reason) => this.fail(`the ${which} worker ended: ${reason}`),
    }
    this.workers = this.engine.startWorkers(
      { shared, directory: files.directory, mode: options.flush },
      { shared, directory: files.directory, indexPath, from: recovered.watermark },
      listener,
    )
    if (options.flush === 'async') this.scheduleSync()
  }

  /**
   * Opens or creates a store and finds the end of its log.
   * @throws MillraceError STORE_CORRUPT (damage that recovery must not skip) | DISK_FAILED | INVALID_ARGUMENT
   */
  static async open(options: LogStoreOptions): Promise<LogStore> {
    const { environment } = options
    const fileBytes = options.fileBytes ?? FILE_BYTES
    const bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX
    const recordBytesMax = bodyBytesMax + RECORD_EXTRA_BYTES_MAX
    const ringBytes = Math.min(options.ringBytes ?? RING_BYTES, Math.floor(fileBytes / 2))
    if (recordBytesMax * 2 > ringBytes) {
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `a message body of up to ${bodyBytesMax} bytes needs a ring of at least ${recordBytesMax * 2} bytes and log files of twice that; raise ringBytes (${ringBytes}) and fileBytes (${fileBytes}), or lower the message size`,
      )
    }
    const files = new LogFiles(environment.disk, options.logDirectory ?? `${options.directory}/commitlog`, fileBytes)
    const indexPath = `${options.directory}/millrace/index`
    const { openKeyValue } = options.engine ?? nodeStorageEngine
    const indexStore = await openKeyValue(indexPath, { environment, durability: 'committed' })
    try {
      const tables = indexTables(indexStore)
      const pause = (): Promise<void> => new Promise(resolve => environment.scheduler.turn(resolve))
      const recovered = await recoverLog(files, tables, options.onRecovery ?? (() => {}), pause)
      syncTail(environment, files, recovered)
      const shared = createSharedLog({ ringBytes, recordBytesMax, fileBytes, base: recovered.end })
      const parts = { ring: new LogRing(shared, recordBytesMax), files, index: new IndexReader(tables), indexStore }
      return new LogStore(options, parts, shared, recovered, indexPath)
    } catch (error) {
      await indexStore.close()
      files.close()
      throw error
    }
  }

  /** Takes in the entries that the index does not have yet. */
  private loadTail(recovered: Recovered): void {
    const { queues } = recovered.numbers
    const deletedBefore = queues.map(({ topic }) => this.index.deletedBefore(topic))
    for (const batch of recovered.tail) {
      for (let i = 0; i < batch.count; i++) {
        const number = batch.queueNumber[i]!
        const position = batch.position[i]!
        if (position < deletedBefore[number]!) continue
        const { topic, queueId } = queues[number]!
        const queue = this.queue(this.topic(topic), queueId)
        // As the index writer does: an offset out of line begins the queue anew.
        if (batch.offset[i]! !== queue.nextOffset) this.tails.restart(queue, batch.offset[i]!)
        this.tails.append(queue, position, batch.size[i]!, batch.tag[i]!)
      }
    }
  }

  addListener(listener: LogStoreListener): void {
    this.listeners.push(listener)
  }

  /**
   * Reports the next message of `queue` to the listeners' `arrived`, also one that is already on its way to the disk,
   * until `unwatch` with the same bit.
   */
  watch(queue: QueueTail, watcher: number): void {
    queue.watchers |= watcher
    const entry = new Float64Array(ENTRY_NUMBERS)
    if (queue.read(this.visibleOffset(queue), 1, entry) === 1) this.arrivals.push({ queue, position: entry[0]! })
  }

  unwatch(queue: QueueTail, watcher: number): void {
    queue.watchers &= ~watcher
  }

  /** How far the index is. */
  get indexed(): number {
    return this.indexedTo
  }
  // ── Appending ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why writes are refused at this moment; undefined while they are taken. */
  get refusal(): MillraceError | undefined {
    if (this.state === 'open')
      return this.refusedFor === undefined ? undefined : new MillraceError('DISK_FULL', this.refusedFor)
    return new MillraceError(this.state === 'full' ? 'DISK_FULL' : 'STORE_READ_ONLY', this.stateReason)
  }

  /**
   * Appends one record now, without waiting for anything: the data path of the broker. Whoever calls it listens to
   * `written` before acknowledging, and calls `publishSoon` after a batch. Must not be called while `refusal` is set.
   */
  appendNow(queue: QueueTail, input: RecordInput, now: number): Outcome {
    const outcome = this.writer.append(queue, input, now)
    if (outcome === OUTCOME.appended && queue.watchers !== 0)
      this.arrivals.push({ queue, position: this.writer.position })
    return outcome
  }

  /** Hands what was appended to the workers at the end of this turn. */
  publishSoon(): void {
    if (this.isPublishDue) return
    this.isPublishDue = true
    this.publishCount++
    this.options.environment.scheduler.turn(() => {
      this.isPublishDue = false
      this.ring.publish(true)
      this.noteWritten()
    })
  }

  append(message: MessageToAppend): Promise<Appended> {
    return new Promise((resolve, reject) => {
      const refusal = this.isClosing
        ? new MillraceError('CLOSED', 'the message store is closing; send to another broker')
        : this.refusal
      if (refusal) reject(refusal)
      else if (this.parked.length > 0) this.park({ message, resolve, reject })
      else this.appendOrPark({ message, resolve, reject })
    })
  }

  private appendOrPark(parked: Parked): void {
    const { message, resolve, reject } = parked
    const topic = this.topic(message.topic)
    const { input } = this
    if (message.body.length > (this.options.bodyBytesMax ?? BODY_BYTES_MAX) || topic.bytes.length > TOPIC_BYTES_MAX) {
      reject(
        new MillraceError(
          'INVALID_ARGUMENT',
          `message for "${message.topic}" is over a size limit: body ${message.body.length} bytes, topic ${topic.bytes.length}`,
        ),
      )
      return
    }
    input.flag = message.flag
    input.sysFlag = message.sysFlag
    input.bornTimestamp = message.bornTimestamp
    input.bornHost = encodeHost(message.bornHost)
    input.storeHost = encodeHost(message.storeHost)
    input.reconsumeTimes = message.reconsumeTimes
    input.preparedTransactionOffset = message.preparedTransactionOffset
    input.source = Buffer.concat([message.body, message.properties])
    input.bodyStart = 0
    input.bodyEnd = message.body.length
    input.propertiesStart = message.body.length
    input.propertiesEnd = input.source.length
    input.propertiesEscaped = false
    input.addedProperties = NO_BYTES
    input.acceptsUnusual = true
    const outcome = this.appendNow(this.queue(topic, message.queueId), input, this.options.environment.clock.now())
    if (outcome === OUTCOME.full) {
      this.park(parked)
      return
    }
    if (outcome !== OUTCOME.appended) {
      reject(
        new MillraceError(
          'INVALID_ARGUMENT',
          `properties of a message for "${message.topic}" are over ${PROPERTIES_BYTES_MAX} bytes; shorten them`,
        ),
      )
      return
    }
    const { position, sizeBytes, queueOffset, storeTimestamp } = this.writer
    const appended = { position, sizeBytes, queueOffset, storeTimestamp }
    this.waiting.push({ end: position + sizeBytes, appended, resolve, reject })
    this.publishSoon()
  }

  appendCopies(copies: readonly RecordCopy[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const refusal = this.isClosing
        ? new MillraceError('CLOSED', 'the message store is closing; nothing more is stored')
        : this.refusal
      if (refusal) {
        reject(refusal)
        return
      }
      const { clock, scheduler } = this.options.environment
      const count = this.copier.append(copies, this, clock.now())
      if (count === 0) {
        // Nothing to wait for; the caller comes again when the workers have moved on.
        scheduler.turn(() => resolve(0))
        return
      }
      const { position, sizeBytes, queueOffset, storeTimestamp } = this.writer
      const appended = { position, sizeBytes, queueOffset, storeTimestamp }
      this.waiting.push({ end: position + sizeBytes, appended, resolve: () => resolve(count), reject })
      this.publishSoon()
    })
  }

  private park(parked: Parked): void {
    if (this.parked.length >= PARKED_MAX) {
      parked.reject(new MillraceError('MAILBOX_FULL', `${PARKED_MAX} messages wait for the disk; slow down and retry`))
      return
    }
    this.parked.push(parked)
    this.publishSoon()
  }

  private unpark(): void {
    for (let count = this.parked.length; count > 0 && this.parked.length > 0 && this.ring.fill < 0.75; count--) {
      this.appendOrPark(this.parked.shift()!)
    }
  }

  // ── News from the workers ───────────────────────────────────────────────────────────────────────────────────────

  private onFlush(news: FlushNews): void {
    if (news === 'written') {
      if (this.ring.written < this.ring.end) this.ring.publish(true)
      this.noteWritten()
      return
    }
    this.noteWritten()
    const reason = `the log in "${this.files.directory}" could not be ${news.kind === 'sync' ? 'synced' : 'written'}: ${news.message} (${news.code})`
    if (news.kind === 'write' && (news.code === 'ENOSPC' || news.code === 'EDQUOT')) this.becomeFull(reason)
    else this.fail(reason)
  }

  private lastNoted = -1

  /** Tells everybody who waits how far the log is. */
  private noteWritten(): void {
    const written = this.ring.written
    if (written === this.lastNoted) {
      if (this.parked.length > 0) this.unpark()
      return
    }
    this.lastNoted = written
    while (this.waitingHead < this.waiting.length && this.waiting[this.waitingHead]!.end <= written) {
      const { resolve, appended } = this.waiting[this.waitingHead++]!
      resolve(appended)
    }
    if (this.waitingHead === this.waiting.length) {
      this.waiting.length = 0
      this.waitingHead = 0
    }
    for (const listener of this.listeners) listener.written(written)
    if (this.arrivals.length > 0) this.noteArrivals(written)
    if (this.parked.length > 0) this.unpark()
  }

  private noteArrivals(written: number): void {
    const arrivals = this.arrivals
    this.arrivals = []
    for (const arrival of arrivals) {
      if (arrival.position >= written) {
        this.arrivals.push(arrival)
        continue
      }
      if (arrival.queue.watchers === 0) continue
      for (const listener of this.listeners) listener.arrived(arrival.queue)
    }
  }

  private onIndex(news: IndexNews): void {
    switch (news.kind) {
      case 'indexed':
        this.indexedTo = news.position
        // The tail may be dropped only once this thread's reads see what the worker has committed.
        this.indexStore.refresh()
        this.tails.release(news.position)
        // The ring may have room again.
        if (this.parked.length > 0) this.unpark()
        for (const listener of this.listeners) listener.written(this.ring.written)
        return
      case 'topic deleted':
        this.indexStore.refresh()
        this.deletions.get(news.id)?.resolve()
        this.deletions.delete(news.id)
        return
      case 'failed':
        this.fail(`the index could not be written: ${news.message}`)
    }
  }

  /** No space: what is not written is taken back, and writing goes on when there is room. */
  private becomeFull(reason: string): void {
    const lostFrom = this.ring.written
    this.setState('full', `${reason}; free disk space, writes are taken again by themselves`)
    this.tails.takeBack(lostFrom)
    this.ring.takeBack()
    this.arrivals = []
    this.reportLost(lostFrom)
    const check = (): void => {
      if (this.isClosing) return
      const { freeBytes } = this.options.environment.disk.space(this.files.directory)
      if (freeBytes < SPACE_TO_RESUME_BYTES) {
        this.options.environment.scheduler.after(SPACE_CHECK_MS, check, { unref: true })
        return
      }
      this.setState('open', `${freeBytes} bytes are free again`)
      Atomics.store(this.words, WORD.halted, 0)
      Atomics.notify(this.words, WORD.halted)
    }
    this.options.environment.scheduler.after(SPACE_CHECK_MS, check, { unref: true })
  }

  private fail(reason: string): void {
    if (this.state === 'failed' || this.isClosing) return
    const lostFrom = this.ring.written
    this.setState('failed', `${reason}; the store is read-only until the broker is restarted`)
    this.reportLost(lostFrom)
    for (const { reject } of this.deletions.values()) reject(this.refusal!)
    this.deletions.clear()
  }

  private reportLost(position: number): void {
    const error = this.refusal!
    for (const { reject } of this.waiting.splice(0).slice(this.waitingHead)) reject(error)
    this.waitingHead = 0
    for (const { reject } of this.parked.splice(0)) reject(error)
    for (const listener of this.listeners) listener.lost(position, error)
  }

  private setState(state: StoreState, reason: string): void {
    this.state = state
    this.stateReason = reason
    this.options.onState?.(state, reason)
  }

  // ── Async mode: what the OS has goes to stable storage now and then ─────────────────────────────────────────────

  private scheduleSync(): void {
    this.cancelTimer = this.options.environment.scheduler.after(
      this.options.syncIntervalMs ?? SYNC_INTERVAL_MS,
      () => {
        this.syncInBackground()
        this.scheduleSync()
      },
      { unref: true },
    )
  }

  private syncInBackground(): void {
    const position = this.ring.written
    if (this.isSyncing || this.state === 'failed' || position === this.ring.synced) return
    this.isSyncing = true
    const sync = this.engine.syncFiles
    this.files.refresh()
    sync(this.files.pathsBetween(this.ring.synced, position), error => {
      this.isSyncing = false
      if (error) {
        this.fail(`the log in "${this.files.directory}" could not be synced: ${error.message}`)
        return
      }
      this.ring.synced = position
      Atomics.add(this.words, WORD.wakeIndex, 1)
      Atomics.notify(this.words, WORD.wakeIndex)
    })
  }

  // ── Upkeep ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async deleteTopic(name: string): Promise<void> {
    const refusal = this.refusal
    if (refusal) throw refusal
    const topic = this.topics.get(name)
    const id = this.deletionId++
    await new Promise<void>((resolve, reject) => {
      this.deletions.set(id, { resolve, reject })
      this.workers.requestIndex({ kind: 'delete topic', topic: name, position: this.ring.end, id })
      Atomics.add(this.words, WORD.wakeIndex, 1)
      Atomics.notify(this.words, WORD.wakeIndex)
    })
    if (topic) {
      for (const queue of topic.queues) if (queue) queue.segments = []
      this.topics.delete(name)
    }
  }

  /**
   * Gives up whole log files from the start: those whose messages were all stored before `beforeMs`, those that make the
   * log larger than `bytesMax`, and the oldest until `freeBytes` are free. The file being written stays. The files are
   * deleted behind the caller's back. Returns their bytes.
   */
  retain(limits: RetainLimits): number {
    const end = this.removableTo(limits)
    const { fileBytes } = this.files
    const names: string[] = []
    while (this.files.begin < end) names.push(this.files.giveUpFirst())
    if (names.length === 0) return 0
    this.reader.forgetBefore(this.files.begin)
    this.trimIndex()
    this.removals.push(...names)
    this.removeSoon()
    return names.length * fileBytes
  }

  /** How far `retain` would delete: the position of the first message that stays. */
  removableTo(limits: RetainLimits): number {
    this.files.refresh()
    const { begin, fileBytes, totalBytes } = this.files
    const end = Math.min(this.ring.written, this.indexedTo, (limits.keepFrom ?? Number.MAX_SAFE_INTEGER) + 1)
    let to = begin
    while (to + fileBytes < end) {
      const freed = to - begin
      const isOverSize = limits.bytesMax !== undefined && totalBytes - freed > limits.bytesMax
      const isNeeded = limits.freeBytes !== undefined && freed < limits.freeBytes
      if (!isOverSize && !isNeeded && !this.isStoredBefore(to + fileBytes, limits.beforeMs)) break
      to += fileBytes
    }
    return to
  }

  /** Removes what the index has of records before the first file. */
  trimIndex(): void {
    this.workers.requestIndex({ kind: 'trim', logBegin: this.files.begin })
  }

  private isStoredBefore(position: number, timeMs: number | undefined): boolean {
    const record = timeMs === undefined ? undefined : this.record(position)
    return record !== undefined && storeTimeOf(record) < timeMs!
  }

  /** A file that cannot be deleted is tried again with the next ones, and after a restart. */
  private removeSoon(): void {
    if (this.isRemoving || this.removals.length === 0) return
    this.isRemoving = true
    const names = this.removals
    this.removals = []
    this.engine.removeFiles(this.files.directory, names, error => {
      this.isRemoving = false
      if (error) this.removals.unshift(...names)
      else this.removeSoon()
    })
  }

  /**
   * Refuses sends for `reason` from now on, undefined: takes them again. For whoever watches over the space on the disk;
   * a disk that is really full makes itself felt without.
   */
  refuseWrites(reason: string | undefined): void {
    if (reason === this.refusedFor) return
    const before = this.refusal
    this.refusedFor = reason
    if (this.state !== 'open' || (before === undefined) === (reason === undefined)) return
    this.options.onState?.(reason === undefined ? 'open' : 'full', reason ?? 'there is enough space again')
  }

  /** Waits for what is under way, brings everything to stable storage and stops the workers. */
  async close(): Promise<void> {
    if (this.isClosing) return
    this.isClosing = true
    this.cancelTimer()
    this.ring.publish(true)
    const { environment } = this.options
    const deadline = environment.clock.monotonic() + 10_000
    while (
      this.state === 'open' &&
      (this.ring.written < this.ring.end || this.isSyncing || this.isRemoving) &&
      environment.clock.monotonic() < deadline
    ) {
      await new Promise<void>(resolve => environment.scheduler.after(1, resolve))
    }
    this.noteWritten()
    if (this.state !== 'failed' && this.ring.synced < this.ring.written) {
      syncPaths(environment, this.files.pathsBetween(this.ring.synced, this.ring.written))
      this.ring.synced = this.ring.written
    }
    Atomics.store(this.words, WORD.stop, 1)
    for (const word of [WORD.wakeFlush, WORD.wakeIndex]) {
      Atomics.add(this.words, word, 1)
      Atomics.notify(this.words, word)
    }
    Atomics.notify(this.words, WORD.halted)
    await this.workers.join()
    await this.indexStore.close()
    this.files.close()
    const closed = new MillraceError('CLOSED', 'the message store was closed')
    for (const { reject } of this.waiting.splice(0).slice(this.waitingHead)) reject(closed)
    for (const { reject } of this.parked.splice(0)) reject(closed)
  }
}

const NO_BYTES = Buffer.alloc(0)

/** What recovery found counts as stored from here on, so it must not depend on the page cache any more. */
function syncTail(environment: Environment, files: LogFiles, recovered: Recovered): void {
  if (recovered.recordsScanned > 0) syncPaths(environment, files.pathsBetween(recovered.watermark, recovered.end))
}

function syncPaths(environment: Environment, paths: readonly string[]): void {
  for (const path of paths) {
    const file = environment.disk.open(path, 'write')
    environment.disk.syncData(file)
    environment.disk.close(file)
  }
}
