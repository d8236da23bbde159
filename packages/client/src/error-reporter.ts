import { type Clock, MillraceError } from '@millrace/core'
import { asError } from './errors.js'

/** The same failure that is tried again is told of once in this time: every queue of a lost broker meets it each second. */
const REPEAT_MS = 10_000
/** Texts remembered; past it all are forgotten, and some are told again early. */
const TEXTS_MAX = 100

/** Tells of failures that no call can reject with: they are tried again, or cost one message another delivery. */
export class ErrorReporter {
  readonly #clock: Clock
  readonly #onError: (error: Error) => void
  /** Text of a failure → monotonic time when it was told. */
  readonly #told = new Map<string, number>()

  /** Without `onError` they become process warnings. */
  constructor(clock: Clock, onError: ((error: Error) => void) | undefined) {
    this.#clock = clock
    this.#onError = onError ?? (error => process.emitWarning(error))
  }

  report(thrown: unknown): void {
    const error = asError(thrown)
    if (!(error instanceof MillraceError && error.isRetryable && this.#isRepeated(error))) this.#onError(error)
  }

  #isRepeated({ message }: Error): boolean {
    const now = this.#clock.monotonic()
    const toldAt = this.#told.get(message)
    if (toldAt !== undefined && now - toldAt < REPEAT_MS) return true
    if (this.#told.size >= TEXTS_MAX) this.#told.clear()
    this.#told.set(message, now)
    return false
  }
}
