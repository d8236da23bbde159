import { assert, type Scheduler } from '@millrace/core'
import type { KeyValue, KeyValueTable } from '../kv/key-value.js'
import type { ConsumerOffsets, FlushCompanion } from '../metadata/consumer-offsets.js'
import type { PopOrder } from './pop-order.js'
import { PopQueue, PopReceipt, RECEIPT_MESSAGES_MAX } from './pop-receipt.js'
import { decodeReceipt, encodeReceipt, readReceiptKey, receiptKey } from './receipt-format.js'
import type { ReceiptChanges, ReceiptJournal } from './receipt-journal.js'

type QueueKey = readonly [group: string, topic: string, queueId: number]

/** Receipts kept in memory when the disk has them too; about 200 bytes each. */
const RECEIPTS_CACHED = 65_536
const ALL = 0xffff_ffff
/** Row of the last queue number given; no group has this name. */
const LAST_NUMBER: QueueKey = ['', '', 0]
/** Row of the last change in the journal that the store has. */
const APPLIED: QueueKey = ['', '', 1]
/** With a journal: changes of this long share one transaction, unless the journal grows beyond the bytes. */
const STORE_DELAY_MS = 250
const JOURNAL_BYTES_MAX = 8 * 1024 * 1024

/**
 * Messages that were popped and not yet acknowledged: the durable side of pop consumption.
 *
 * A change is made in memory and stored by the next flush of the consumer offsets, whoever asks for it; `commit` does. While
 * one transaction is on its way the next one forms, so a busy broker writes large groups. A receipt that was popped and
 * acknowledged between two flushes is never written at all.
 *
 * A transaction of LMDB costs an fsync. Where a crash of the process is all that a commit has to survive, a journal takes
 * the changes of each turn, and the store follows some hundred milliseconds behind.
 *
 * Invariants:
 * 1. What is in memory is newer than the disk; what is not in memory is on disk as it is.
 * 2. A receipt and the offset that lies behind it reach the disk in one transaction: after a crash a message is
 *    either not yet popped or has its receipt.
 */
export class PopReceipts implements FlushCompanion {
  readonly #store: KeyValue
  readonly #offsets: ConsumerOffsets
  readonly #scheduler: Scheduler
  readonly #journal: ReceiptJournal | undefined
  readonly #cachedMax: number
  readonly #receipts: KeyValueTable<Uint8Array, Uint8Array>
  readonly #queueRows: KeyValueTable<number, QueueKey>
  readonly #orderRows: KeyValueTable<PopOrder, QueueKey>
  /** Group → topic → queues by id. */
  readonly #queues = new Map<string, Map<string, PopQueue[]>>()
  readonly #byNumber = new Map<number, PopQueue>()
  #lastNumber = 0
  /** Receipts in memory, oldest first. */
  readonly #cached = new Set<PopReceipt>()
  #dirty: PopReceipt[] = []
  #dirtyQueues: PopQueue[] = []
  #removedQueues: PopQueue[] = []
  /** What the flush under way writes. */
  #writing: { sequence: number; receipts: PopReceipt[]; queues: PopQueue[]; removed: PopQueue[] } | undefined
  hasChanges = false
  #commit: Promise<void> | undefined
  #unlogged: PopReceipt[] = []
  #unloggedQueues: PopQueue[] = []
  #unloggedRemovals: number[] = []
  /** Number of the last change in the journal. */
  #sequence = 0
  #isStoreDue = false
  /** No receipt is due before this time, milliseconds; Infinity when there is none. */
  #firstDueMs = 0

  /** @internal made by `MetadataStore` */
  constructor(
    store: KeyValue,
    offsets: ConsumerOffsets,
    scheduler: Scheduler,
    journal?: ReceiptJournal,
    cachedMax = RECEIPTS_CACHED,
  ) {
    this.#store = store
    this.#offsets = offsets
    this.#scheduler = scheduler
    this.#journal = journal
    this.#cachedMax = cachedMax
    this.#receipts = store.table('pop-receipts', { encoding: 'binary', keys: 'binary' })
    this.#queueRows = store.table('pop-queues')
    this.#orderRows = store.table('pop-orders')
    this.#lastNumber = this.#queueRows.get(LAST_NUMBER) ?? 0
    this.#sequence = this.#queueRows.get(APPLIED) ?? 0
    for (const { key, value } of this.#queueRows.range()) {
      if (key[0] === LAST_NUMBER[0]) continue
      const queue = new PopQueue(value, ...key)
      queue.isLogged = true
      this.#addQueue(queue)
    }
    for (const { key, value } of this.#orderRows.range()) {
      const queue = this.find(...key)
      if (queue) queue.order = value
    }
    offsets.accompany(this)
  }

  /** Brings what only the journal has into the store. @throws MillraceError DISK_FULL | DISK_FAILED */
  async recover(journal: ReceiptJournal): Promise<void> {
    for (const changes of journal.found) {
      if (changes.sequence <= this.#sequence) continue
      this.#sequence = changes.sequence
      this.#apply(changes)
    }
    await this.#offsets.flush()
    journal.stored(this.#sequence)
  }

  #apply({ newQueues, offsets, orders, receipts, removedQueues }: ReceiptChanges): void {
    for (const number of removedQueues) {
      const queue = this.#byNumber.get(number)
      if (queue === undefined) continue
      this.#removeQueue(queue)
      delete this.#queues.get(queue.group)?.get(queue.topic)?.[queue.queueId]
    }
    for (const [number, ...key] of newQueues) {
      if (this.#byNumber.has(number)) continue
      const queue = new PopQueue(number, ...key)
      queue.isNew = queue.isLogged = true
      this.#dirtyQueues.push(queue)
      this.#addQueue(queue)
    }
    for (const [number, offset] of offsets) {
      const queue = this.#byNumber.get(number)
      if (queue !== undefined) this.#offsets.set(queue.group, queue.topic, queue.queueId, offset)
    }
    for (const [number, order] of orders) {
      const queue = this.#byNumber.get(number)
      if (queue !== undefined) this.setOrder(queue, order ?? undefined)
    }
    for (const [key, value] of receipts) {
      const { dueMs, queueNumber, startOffset } = readReceiptKey(key)
      const queue = this.#byNumber.get(queueNumber)
      if (queue === undefined) continue
      const known = this.receipt(queue, startOffset, dueMs)
      if (value === undefined) {
        if (known === undefined) continue
        known.open = 0
        this.#touch(known)
      } else {
        const receipt = known ?? this.#load(queue, startOffset, dueMs, value)
        receipt.open = decodeReceipt(value).open
        this.#touch(receipt)
      }
    }
    this.hasChanges = true
  }

  get cachedCount(): number {
    return this.#cached.size
  }

  /** Earliest time at which `due` may find something; Infinity when nothing is out. */
  get firstDueMs(): number {
    return this.#firstDueMs
  }

  find(group: string, topic: string, queueId: number): PopQueue | undefined {
    return this.#queues.get(group)?.get(topic)?.[queueId]
  }

  /** The queue, made when the group has not popped from it before. */
  queue(group: string, topic: string, queueId: number): PopQueue {
    const known = this.find(group, topic, queueId)
    if (known) return known
    const queue = new PopQueue(this.#lastNumber + 1, group, topic, queueId)
    queue.isNew = true
    this.#dirtyQueues.push(queue)
    this.#addQueue(queue)
    this.#noteQueue(queue)
    return queue
  }

  /** The group goes on at `offset`. */
  moveTo(queue: PopQueue, offset: number): void {
    this.#offsets.set(queue.group, queue.topic, queue.queueId, offset)
    queue.unloggedOffset = offset
    this.#noteQueue(queue)
  }

  /** Records that messages were handed out; `offsets` ascending, at most RECEIPT_MESSAGES_MAX. */
  add(
    queue: PopQueue,
    startOffset: number,
    popTime: number,
    invisibleMs: number,
    offsets: readonly number[],
  ): PopReceipt {
    const count = offsets.length
    assert(count > 0 && count <= RECEIPT_MESSAGES_MAX, 'messages of a receipt', { count })
    const isDense = offsets[0] === startOffset && offsets[count - 1] === startOffset + count - 1
    const distances = isDense ? undefined : offsets.map(offset => offset - startOffset)
    const open = ALL >>> (RECEIPT_MESSAGES_MAX - count)
    const receipt = new PopReceipt(queue, startOffset, popTime, popTime + invisibleMs, count, distances, open)
    this.#keep(receipt)
    this.#touch(receipt)
    this.#noteDue(receipt)
    return receipt
  }

  /** The receipt that a handle names; undefined when it is over: acknowledged, or its time has passed. */
  receipt(queue: PopQueue, startOffset: number, dueMs: number): PopReceipt | undefined {
    for (let known = queue.receipts.get(startOffset); known !== undefined; known = known.next)
      if (known.dueMs === dueMs) return known
    if (queue.isNew) return undefined
    const stored = this.#receipts.getBinary(receiptKey(dueMs, queue.number, startOffset))
    return stored && this.#load(queue, startOffset, dueMs, stored)
  }

  /** Takes one message out of a receipt. False: it was not open. */
  acknowledge(receipt: PopReceipt, offset: number): boolean {
    const index = receipt.indexOf(offset)
    if (index < 0 || receipt.isReviving || (receipt.open & (1 << index)) === 0) return false
    receipt.open = (receipt.open & ~(1 << index)) >>> 0
    this.#touch(receipt)
    return true
  }

  setOrder(queue: PopQueue, order: PopOrder | undefined): void {
    queue.order = order
    queue.isOrderUnlogged = true
    this.#noteQueue(queue)
    if (queue.isOrderDirty) return
    queue.isOrderDirty = true
    this.#dirtyQueues.push(queue)
  }

  /**
   * Receipts whose time is over at `nowMs`, soonest first, at most `limit`. They are marked as being revived:
   * acknowledgements of them have no effect from here on. Changes that are not committed yet may be missing: they
   * are found by the next call.
   */
  due(nowMs: number, limit: number): PopReceipt[] {
    const due: PopReceipt[] = []
    this.#firstDueMs = Number.POSITIVE_INFINITY
    for (const { key, value } of this.#receipts.range()) {
      const { dueMs, queueNumber, startOffset } = readReceiptKey(key)
      if (dueMs > nowMs || due.length >= limit) {
        this.#firstDueMs = dueMs
        break
      }
      const queue = this.#byNumber.get(queueNumber)
      if (queue === undefined) {
        // Topic or group are gone.
        void this.#receipts.remove(Buffer.from(key))
        continue
      }
      const receipt = this.receipt(queue, startOffset, dueMs) ?? this.#load(queue, startOffset, dueMs, value)
      if (receipt.isReviving || receipt.open === 0) continue
      receipt.isReviving = true
      due.push(receipt)
    }
    for (const receipt of this.#dirty) this.#noteDue(receipt)
    return due
  }

  /**
   * What became of a receipt that was due: the messages at `offsets` are taken care of. False: others are not; the receipt
   * is due again for them.
   */
  settle(receipt: PopReceipt, offsets: readonly number[]): boolean {
    for (const offset of offsets) {
      const index = receipt.indexOf(offset)
      if (index >= 0) receipt.open = (receipt.open & ~(1 << index)) >>> 0
    }
    this.#touch(receipt)
    if (receipt.open === 0) return true
    receipt.isReviving = false
    this.#noteDue(receipt)
    return false
  }

  #noteDue({ dueMs, isReviving, open }: PopReceipt): void {
    if (!isReviving && open !== 0 && dueMs < this.#firstDueMs) this.#firstDueMs = dueMs
  }

  /** Forgets queues: of a topic, or of a group, or of both. Their receipts have no effect any more. */
  forget(names: { readonly group?: string; readonly topic?: string }): void {
    for (const [group, topics] of this.#queues) {
      if (names.group !== undefined && names.group !== group) continue
      for (const [topic, queues] of topics) {
        if (names.topic !== undefined && names.topic !== topic) continue
        for (const queue of queues) if (queue !== undefined) this.#removeQueue(queue)
        topics.delete(topic)
      }
      if (topics.size === 0) this.#queues.delete(group)
    }
  }

  /**
   * Resolves when all changes made so far, and the consumer offsets set so far, are as durable as the store promises.
   * Calls of one turn share a transaction.
   * @throws MillraceError DISK_FULL | DISK_FAILED | STORE_READ_ONLY
   */
  commit(): Promise<void> {
    this.#commit ??= new Promise((resolve, reject) => {
      this.#scheduler.turn(() => {
        this.#commit = undefined
        if (this.#journal !== undefined && this.#logChanges(this.#journal)) {
          if (this.#journal.sizeBytes > JOURNAL_BYTES_MAX) this.#offsets.flush().then(resolve, reject)
          else resolve()
        } else this.#offsets.flush().then(resolve, reject)
      })
    })
    this.#commit.catch(() => undefined)
    return this.#commit
  }

  /** Hands all that changed since the last call to the journal. False: it did not take it. */
  #logChanges(journal: ReceiptJournal): boolean {
    if (this.#store.failure !== undefined) return false
    const receipts = this.#unlogged
    // Not those that are gone again.
    const queues = this.#unloggedQueues.filter(queue => this.#byNumber.get(queue.number) === queue)
    if (receipts.length + queues.length + this.#unloggedRemovals.length === 0) return true
    const changes: ReceiptChanges = {
      newQueues: queues
        .filter(queue => !queue.isLogged)
        .map(({ group, number, queueId, topic }) => [number, group, topic, queueId] as const),
      removedQueues: this.#unloggedRemovals,
      offsets: queues.flatMap(({ number, unloggedOffset }) =>
        unloggedOffset === undefined ? [] : [[number, unloggedOffset] as const],
      ),
      orders: queues
        .filter(queue => queue.isOrderUnlogged)
        .map(({ number, order }) => [number, order ?? null] as const),
      receipts: receipts
        .filter(receipt => receipt.open !== 0 || receipt.isLogged || receipt.isStored)
        .map(receipt => [keyOfReceipt(receipt), receipt.open === 0 ? undefined : encodeReceipt(receipt)] as const),
    }
    this.#unlogged = []
    this.#unloggedQueues = []
    this.#unloggedRemovals = []
    for (const receipt of receipts) {
      receipt.isUnlogged = false
      receipt.isLogged = true
    }
    for (const queue of queues) {
      queue.isUnlogged = queue.isOrderUnlogged = false
      queue.isLogged = true
      queue.unloggedOffset = undefined
    }
    if (!journal.append(this.#sequence + 1, changes)) return false
    this.#sequence += 1
    // So that the next flush, whatever it is for, stores the number with what it covers.
    this.hasChanges = true
    this.#storeLater()
    return true
  }

  #storeLater(): void {
    if (this.#isStoreDue) return
    this.#isStoreDue = true
    const store = (): void => {
      this.#isStoreDue = false
      // A failure is reported by the store; the journal has what was not written.
      this.#offsets.flush().catch(() => undefined)
    }
    this.#scheduler.after(STORE_DELAY_MS, store, { unref: true })
  }

  write(): void {
    const journal = this.#journal
    if (journal !== undefined) {
      journal.swap()
      void this.#queueRows.put(APPLIED, this.#sequence)
    }
    const writing = {
      sequence: this.#sequence,
      receipts: this.#dirty,
      queues: this.#dirtyQueues,
      removed: this.#removedQueues,
    }
    this.#dirty = []
    this.#dirtyQueues = []
    this.#removedQueues = []
    this.hasChanges = false
    // First what is gone: a queue of the same name may have come since.
    for (const queue of writing.removed) {
      void this.#queueRows.remove(keyOf(queue))
      void this.#orderRows.remove(keyOf(queue))
    }
    if (writing.queues.some(queue => queue.isNew)) void this.#queueRows.put(LAST_NUMBER, this.#lastNumber)
    for (const queue of writing.queues) this.#writeQueue(queue)
    for (const receipt of writing.receipts) this.#write(receipt)
    this.#writing = writing
  }

  written(): void {
    // Reads of this turn may still see what was there before.
    this.#store.refresh()
    for (const receipt of this.#writing?.receipts ?? []) {
      if (receipt.open === 0 && !receipt.isDirty) this.#drop(receipt)
      // A look at what is due may have come while these were neither changed nor stored.
      else this.#noteDue(receipt)
    }
    if (this.#writing !== undefined) this.#journal?.stored(this.#writing.sequence)
    this.#writing = undefined
    this.#evict()
  }

  /** After a full disk all of it is written again; after anything else nothing is ever written. */
  failed(): void {
    const { queues, receipts, removed } = this.#writing ?? { queues: [], receipts: [], removed: [] }
    for (const receipt of receipts) {
      this.#touch(receipt)
      this.#noteDue(receipt)
    }
    for (const queue of queues) queue.isNew = queue.isOrderDirty = true
    this.#dirtyQueues.push(...queues)
    this.#removedQueues.push(...removed)
    this.#writing = undefined
    this.hasChanges = true
  }

  #write(receipt: PopReceipt): void {
    receipt.isDirty = false
    const key = keyOfReceipt(receipt)
    if (receipt.open !== 0) {
      receipt.isStored = true
      void this.#receipts.put(key, encodeReceipt(receipt))
    } else if (receipt.isStored) void this.#receipts.remove(key)
  }

  #writeQueue(queue: PopQueue): void {
    if (this.#byNumber.get(queue.number) !== queue) return
    if (queue.isNew) {
      queue.isNew = false
      void this.#queueRows.put(keyOf(queue), queue.number)
    }
    if (!queue.isOrderDirty) return
    queue.isOrderDirty = false
    if (queue.order === undefined) void this.#orderRows.remove(keyOf(queue))
    else void this.#orderRows.put(keyOf(queue), queue.order)
  }

  #touch(receipt: PopReceipt): void {
    this.hasChanges = true
    if (this.#journal !== undefined && !receipt.isUnlogged) {
      receipt.isUnlogged = true
      this.#unlogged.push(receipt)
    }
    if (receipt.isDirty) return
    receipt.isDirty = true
    this.#dirty.push(receipt)
  }

  #noteQueue(queue: PopQueue): void {
    this.hasChanges = true
    if (this.#journal === undefined || queue.isUnlogged) return
    queue.isUnlogged = true
    this.#unloggedQueues.push(queue)
  }

  #load(queue: PopQueue, startOffset: number, dueMs: number, bytes: Uint8Array): PopReceipt {
    const { distances, messageCount, open, popTime } = decodeReceipt(bytes)
    const receipt = new PopReceipt(queue, startOffset, popTime, dueMs, messageCount, distances, open)
    receipt.isStored = true
    this.#keep(receipt)
    return receipt
  }

  #keep(receipt: PopReceipt): void {
    const { receipts } = receipt.queue
    receipt.next = receipts.get(receipt.startOffset)
    receipts.set(receipt.startOffset, receipt)
    this.#cached.add(receipt)
  }

  #drop(receipt: PopReceipt): void {
    if (!this.#cached.delete(receipt)) return
    const { receipts } = receipt.queue
    const first = receipts.get(receipt.startOffset)
    if (first === receipt) {
      if (receipt.next === undefined) receipts.delete(receipt.startOffset)
      else receipts.set(receipt.startOffset, receipt.next)
      return
    }
    for (let before = first; before !== undefined; before = before.next)
      if (before.next === receipt) before.next = receipt.next
  }

  /** Those that are only read from disk again when their time comes leave memory, oldest first. */
  #evict(): void {
    let excess = this.#cached.size - this.#cachedMax
    if (excess <= 0) return
    for (const receipt of this.#cached) {
      if (!receipt.isDirty && !receipt.isReviving) this.#drop(receipt)
      if (--excess <= 0) break
    }
  }

  #addQueue(queue: PopQueue): void {
    let topics = this.#queues.get(queue.group)
    if (topics === undefined) this.#queues.set(queue.group, (topics = new Map()))
    const queues = topics.get(queue.topic)
    if (queues === undefined) {
      const made: PopQueue[] = []
      made[queue.queueId] = queue
      topics.set(queue.topic, made)
    } else queues[queue.queueId] = queue
    this.#byNumber.set(queue.number, queue)
    this.#lastNumber = Math.max(this.#lastNumber, queue.number)
  }

  #removeQueue(queue: PopQueue): void {
    for (const first of [...queue.receipts.values()])
      for (let receipt: PopReceipt | undefined = first; receipt !== undefined; receipt = receipt.next) {
        receipt.open = 0
        this.#touch(receipt)
      }
    this.#byNumber.delete(queue.number)
    queue.isNew = false
    this.#removedQueues.push(queue)
    if (this.#journal !== undefined) this.#unloggedRemovals.push(queue.number)
    this.hasChanges = true
  }
}

function keyOfReceipt({ dueMs, queue, startOffset }: PopReceipt): Buffer {
  return receiptKey(dueMs, queue.number, startOffset)
}

function keyOf({ group, queueId, topic }: PopQueue): QueueKey {
  return [group, topic, queueId]
}
