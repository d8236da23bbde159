import type { OffsetWindow } from './offset-window.js'
import type { QueueReader } from './queue-reader.js'
import type { ReceivedMessage } from './received-message.js'

/** Hears how a delivery ended. */
export interface DeliverySink {
  completed(delivery: PendingDelivery, isConsumed: boolean): void
  dropped(delivery: PendingDelivery): void
}

/**
 * A message handed out, until it is settled. Exactly one of the calls counts, the first.
 * While too many are not settled, no more are handed out.
 */
export interface Delivery {
  readonly message: ReceivedMessage
  /** It is consumed: the group's offset may pass it. */
  ack(): void
  /** It is not consumed: it comes again later, and goes to the dead-letter topic after the last try. */
  retry(): void
}

/** One or more messages of one queue on their way through a handler. @internal */
export class PendingDelivery implements Delivery {
  readonly messages: readonly ReceivedMessage[]
  readonly reader: QueueReader
  /** What the messages are finished in: a reset of the queue begins another window. */
  readonly window: OffsetWindow
  readonly tickets: readonly number[]
  /** Times that the messages were tried here, without a round through the broker. */
  attempts = 0
  readonly #sink: DeliverySink
  #isSettled = false

  constructor(
    sink: DeliverySink,
    reader: QueueReader,
    window: OffsetWindow,
    entries: { readonly messages: readonly ReceivedMessage[]; readonly tickets: readonly number[] },
  ) {
    this.#sink = sink
    this.reader = reader
    this.window = window
    this.messages = entries.messages
    this.tickets = entries.tickets
  }

  get message(): ReceivedMessage {
    return this.messages[0]
  }

  ack(): void {
    this.#settle(true)
  }

  retry(): void {
    this.#settle(false)
  }

  /** Nobody will settle it: the messages come again when the queue is read anew. */
  drop(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#sink.dropped(this)
  }

  /** Makes the delivery new again: it will be handed out once more. */
  reopen(): void {
    this.attempts++
    this.#isSettled = false
  }

  #settle(isConsumed: boolean): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#sink.completed(this, isConsumed)
  }
}
