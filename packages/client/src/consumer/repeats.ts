import { PropertyName, StreamProperty } from '@millrace/core'
import type { ReceivedMessage } from './received-message.js'

/** Tasks of pipelines that are remembered per queue; the one not heard of for longest is forgotten first. */
const TASKS_MAX = 10_000

/**
 * Tells messages of one queue that a pipeline has sent twice, because it was killed between a send and its acknowledgement. A task's
 * outputs to a queue are numbered and come in order: what is not above the last number is a repeat. Brokers of Millrace store none; Apache's do.
 */
export class Repeats {
  readonly #last = new Map<string, number>()

  isRepeat(message: ReceivedMessage): boolean {
    if (!message.mayHaveProperty(StreamProperty.SEQUENCE)) return false
    const { properties } = message
    const sequence = Number(properties[StreamProperty.SEQUENCE])
    const task = properties[StreamProperty.TASK]
    if (task === undefined || !Number.isSafeInteger(sequence)) return false
    // Neither retried nor delayed messages come in the order of their numbers.
    if (properties[StreamProperty.DELAYED] !== undefined || properties[PropertyName.RETRY_TOPIC] !== undefined)
      return false
    const name = `${properties[StreamProperty.PIPELINE]}\x01${task}`
    const last = this.#last.get(name)
    if (last !== undefined && sequence <= last) return true
    this.#last.delete(name)
    this.#last.set(name, sequence)
    if (this.#last.size > TASKS_MAX) for (const oldest of this.#last.keys()) return this.#forget(oldest)
    return false
  }

  #forget(name: string): false {
    this.#last.delete(name)
    return false
  }
}
