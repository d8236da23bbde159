/**
 * What the broker's thread, the flush worker and the index worker share: the ring and a few positions.
 *
 * Positions only grow, and everything in flight is far less than 4 GiB, so that 32 bits of each are enough to
 * share them: every thread keeps the whole number and adds the difference it sees.
 */

const WORDS = 16
/** Word indexes in the control block. */
export const WORD = {
  /** End of the records in the ring. Written by the broker's thread. */
  appended: 0,
  /** What has reached the flush policy's goal: handed to the OS (async) or on stable storage (sync). */
  written: 1,
  /** What is on stable storage. */
  synced: 2,
  /** What the index worker has read; the ring may be reused up to here. */
  scanned: 3,
  /** Start of the filler of the last file that was ended. */
  filler: 4,
  /** Grows whenever the flush worker should look again. */
  wakeFlush: 5,
  /** Grows whenever the index worker should look again. */
  wakeIndex: 6,
  /** 1 while the broker's thread wants a message at the next progress of `written`. */
  wantsWritten: 7,
  /** 1: finish what is there and return. */
  stop: 8,
  /** 1 while the flush worker waits after a failed write for the broker's thread to decide. */
  halted: 9,
} as const

/** Ring geometry and memory; plain data that can be posted to a worker. */
export interface SharedLog {
  readonly words: SharedArrayBuffer
  readonly ring: SharedArrayBuffer
  /** Size of the ring without its overhang. */
  readonly ringBytes: number
  /** Size of one log file. */
  readonly fileBytes: number
  /** All positions start here: the end of the log when it was opened. */
  readonly base: number
}

/**
 * @param ringBytes size of the ring; at most half of `fileBytes`, so that never more than one file end is in flight
 * @param recordBytesMax longest record; the ring has that much overhang, so that a record that starts in it is contiguous
 */
export function createSharedLog(options: {
  ringBytes: number
  recordBytesMax: number
  fileBytes: number
  base: number
}): SharedLog {
  const words = new SharedArrayBuffer(WORDS * 4)
  const view = new Int32Array(words)
  for (const word of [WORD.appended, WORD.written, WORD.synced, WORD.scanned, WORD.filler])
    view[word] = options.base | 0
  return {
    words,
    ring: new SharedArrayBuffer(options.ringBytes + options.recordBytesMax),
    ringBytes: options.ringBytes,
    fileBytes: options.fileBytes,
    base: options.base,
  }
}

/** One thread's view of a shared position. */
export class SharedPosition {
  private value: number
  private low: number

  constructor(
    private readonly words: Int32Array,
    private readonly word: number,
    base: number,
  ) {
    this.value = base
    this.low = base | 0
  }

  /** The position as the owner last published it. */
  get(): number {
    const low = Atomics.load(this.words, this.word)
    if (low !== this.low) {
      this.value += (low - this.low) >>> 0
      this.low = low
    }
    return this.value
  }

  /** Starts again at `position` after the owner took its position back. */
  reset(position: number): void {
    this.value = position
    this.low = position | 0
  }

  /** Publishes a new position; only the owner calls this. */
  set(position: number): void {
    this.value = position
    this.low = position | 0
    Atomics.store(this.words, this.word, this.low)
  }
}
