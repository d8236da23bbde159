import { type Cancel, type Clock, MillraceError, type Scheduler } from '@millrace/core'

interface Watched {
  readonly reject: (error: MillraceError) => void
  cancel: Cancel
}

/**
 * Owns the outcome of native commits, because lmdb-js does not on I/O errors (3.5.6, seen with injected faults):
 * the promise of a failed commit carries a second one that rejects unhandled and would end the process; after a
 * failed page write the next commit gets MDB_PANIC and its promise never settles.
 *
 * So: each native promise is watched once, with a deadline; the first failure other than a full disk is final and
 * rejects everything under way. States: healthy → failed.
 */
export class CommitGuard {
  #failure: MillraceError | undefined
  #native: PromiseLike<unknown> | undefined
  #guarded: Promise<void> | undefined
  readonly #pending = new Set<Watched>()
  readonly #idleWaiters: (() => void)[] = []
  readonly #clock: Clock
  readonly #scheduler: Scheduler
  readonly #deadlineMs: number
  readonly #path: string
  readonly #isUsable: () => boolean
  readonly #onFailure: (error: MillraceError) => void

  constructor(
    clock: Clock,
    scheduler: Scheduler,
    options: {
      readonly path: string
      readonly deadlineMs: number
      /** Is the environment in order after a transaction that did not fit on the disk? */
      readonly isUsable: () => boolean
      readonly onFailure: (error: MillraceError) => void
    },
  ) {
    this.#clock = clock
    this.#scheduler = scheduler
    this.#path = options.path
    this.#deadlineMs = options.deadlineMs
    this.#isUsable = options.isUsable
    this.#onFailure = options.onFailure
  }

  get failure(): MillraceError | undefined {
    return this.#failure
  }

  /** The error of a write that comes after the failure. */
  refusal(): MillraceError {
    return new MillraceError(
      'STORE_READ_ONLY',
      `key-value store "${this.#path}" takes no writes since an earlier one failed (${this.#failure?.message}); check the disk and restart`,
      this.#failure ? { cause: this.#failure } : {},
    )
  }

  /** As `own`, for promises that many calls share: a turn's writes. */
  watch(native: PromiseLike<unknown>): Promise<void> {
    if (native === this.#native && this.#guarded) return this.#guarded
    this.#native = native
    this.#guarded = this.own(native, () => undefined)
    return this.#guarded
  }

  /**
   * A promise that settles whatever the native one does. Its rejection needs no handler.
   * @param isCallers errors the commit is not to blame for (a callback threw): they pass unchanged
   */
  own<T, R>(native: PromiseLike<T>, take: (value: T) => R, isCallers?: (error: unknown) => boolean): Promise<R> {
    const promise = new Promise<R>((resolve, reject) => {
      const watched: Watched = { reject, cancel: () => undefined }
      this.#pending.add(watched)
      this.#armDeadline(watched)
      const settle = () => {
        watched.cancel()
        this.#pending.delete(watched)
        if (this.#pending.size === 0) for (const wake of this.#idleWaiters.splice(0)) wake()
      }
      native.then(
        value => {
          settle()
          resolve(take(value))
        },
        (error: unknown) => {
          const answer = (answerError: unknown) => {
            settle()
            reject(answerError)
          }
          if (isCallers?.(error)) answer(error)
          else findCause(error, cause => answer(this.fail(cause)))
        },
      )
    })
    promise.catch(() => undefined)
    return promise
  }

  /** Takes note of a failed commit. @returns the error for its caller: DISK_FULL leaves the store as it was. */
  fail(cause: unknown): MillraceError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    if (isDiskFull(cause) && this.#isUsable())
      return new MillraceError(
        'DISK_FULL',
        `key-value store "${this.#path}" could not commit, nothing was changed: ${reason}; free space and retry`,
        { cause },
      )
    const error = new MillraceError(
      'DISK_FAILED',
      `key-value store "${this.#path}" could not commit: ${reason}; the write may or may not be there after a restart`,
      { cause },
    )
    if (this.#failure === undefined) {
      this.#failure = error
      for (const watched of [...this.#pending]) {
        watched.cancel()
        watched.reject(error)
      }
      this.#pending.clear()
      for (const wake of this.#idleWaiters.splice(0)) wake()
      this.#onFailure(error)
    }
    return error
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return new Promise(resolve => {
      if (this.#pending.size === 0) resolve()
      else this.#idleWaiters.push(resolve)
    })
  }

  /**
   * The deadline runs in two parts, the second armed when the first is over: a process that was stopped for longer
   * than the deadline (debugger, laptop lid) gets the time of the second part to see that its commit had succeeded.
   */
  #armDeadline(watched: Watched): void {
    const startedAt = this.#clock.monotonic()
    const lastMs = Math.ceil(this.#deadlineMs / 10)
    watched.cancel = this.#scheduler.after(this.#deadlineMs - lastMs, () => {
      watched.cancel = this.#scheduler.after(lastMs, () => {
        this.fail(new Error(`no answer from the disk for ${Math.round(this.#clock.monotonic() - startedAt)} ms`))
      })
    })
  }
}

/** lmdb-js rejects with a wrapper and tells the reason by a second promise, in the same callback. */
function findCause(error: unknown, found: (cause: unknown) => void): void {
  const second = error instanceof Error && 'commitError' in error ? error.commitError : undefined
  if (second instanceof Promise) second.then(() => found(error), found)
  else found(error)
}

/** LMDB aborts a transaction whose pages do not fit, and stays usable unless it was the page that makes it count. */
function isDiskFull(cause: unknown): boolean {
  return cause instanceof Error && (('code' in cause && cause.code === 28) || /no space left/i.test(cause.message))
}
