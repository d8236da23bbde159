import type { Disk } from '@millrace/core'
import { ChangeJournal } from '../metadata/change-journal.js'
import type { PopOrder } from './pop-order.js'
import { KEY_BYTES } from './receipt-format.js'

/** What changed in one turn of the event loop. Queues are named by their numbers. */
export interface ReceiptChanges {
  readonly newQueues: readonly (readonly [queueNumber: number, group: string, topic: string, queueId: number])[]
  readonly removedQueues: readonly number[]
  /** Consumer offsets. */
  readonly offsets: readonly (readonly [queueNumber: number, offset: number])[]
  readonly orders: readonly (readonly [queueNumber: number, order: PopOrder | null])[]
  /** Value undefined: the receipt is closed. */
  readonly receipts: readonly (readonly [key: Uint8Array, value: Uint8Array | undefined])[]
}

export interface JournaledChanges extends ReceiptChanges {
  readonly sequence: number
}

type Row = readonly [
  newQueues: ReceiptChanges['newQueues'],
  removedQueues: ReceiptChanges['removedQueues'],
  offsets: ReceiptChanges['offsets'],
  orders: ReceiptChanges['orders'],
  receipts: Uint8Array,
]

const NO_VERSION = { stateVersion: 0, timestamp: 0, counter: 0 }

/**
 * Changes of receipts that the key-value store does not have yet: they survive a crash of the process from `append` on.
 * Two files take turns: while the store writes what one of them holds, the other one takes what comes.
 */
export class ReceiptJournal {
  /** What was found at opening, in order. */
  readonly found: readonly JournaledChanges[]
  readonly #files: readonly [ChangeJournal, ChangeJournal]
  readonly #last = [0, 0]
  #current = 0

  private constructor(files: readonly [ChangeJournal, ChangeJournal]) {
    this.#files = files
    for (const [i, file] of files.entries()) this.#last[i] = file.found.at(-1)?.sequence ?? 0
    this.found = files
      .flatMap(file => file.found)
      .sort((a, b) => a.sequence - b.sequence)
      .map(({ sequence, value }) => ({ sequence, ...unpack(value as Row) }))
  }

  /** @throws the platform's error when a file cannot be opened or read */
  static open(disk: Disk, path: string): ReceiptJournal {
    return new ReceiptJournal([ChangeJournal.open(disk, `${path}-0`), ChangeJournal.open(disk, `${path}-1`)])
  }

  /** Of the file in use. */
  get sizeBytes(): number {
    return this.#files[this.#current]!.sizeBytes
  }

  /** False: the disk took nothing, or not all. */
  append(sequence: number, changes: ReceiptChanges): boolean {
    const { newQueues, offsets, orders, receipts, removedQueues } = changes
    const value: Row = [newQueues, removedQueues, offsets, orders, packReceipts(receipts)]
    const isWritten = this.#files[this.#current]!.append({
      sequence,
      table: 'pop',
      key: '',
      value,
      version: NO_VERSION,
    })
    if (isWritten) this.#last[this.#current] = sequence
    return isWritten
  }

  /** What comes from here on goes to the other file. */
  swap(): void {
    this.#current = 1 - this.#current
  }

  /** The store has all changes up to `sequence`. */
  stored(sequence: number): void {
    for (const [i, file] of this.#files.entries()) if (this.#last[i]! <= sequence) file.clear()
  }

  close(): void {
    for (const file of this.#files) file.close()
  }
}

/** Key, length of the value (255: closed), value; one receipt after the other. */
const CLOSED = 255

function packReceipts(receipts: ReceiptChanges['receipts']): Buffer {
  let length = 0
  for (const [, value] of receipts) length += KEY_BYTES + 1 + (value?.length ?? 0)
  const packed = Buffer.allocUnsafe(length)
  let at = 0
  for (const [key, value] of receipts) {
    packed.set(key, at)
    packed[at + KEY_BYTES] = value?.length ?? CLOSED
    at += KEY_BYTES + 1
    if (value === undefined) continue
    packed.set(value, at)
    at += value.length
  }
  return packed
}

function unpack([newQueues, removedQueues, offsets, orders, packed]: Row): ReceiptChanges {
  const receipts: [Uint8Array, Uint8Array | undefined][] = []
  for (let at = 0; at < packed.length; ) {
    const key = packed.subarray(at, at + KEY_BYTES)
    const length = packed[at + KEY_BYTES]!
    at += KEY_BYTES + 1
    const end = length === CLOSED ? at : at + length
    receipts.push([key, length === CLOSED ? undefined : packed.subarray(at, end)])
    at = end
  }
  return { newQueues, removedQueues, offsets, orders, receipts }
}
