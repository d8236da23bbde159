import { assert, type OutputRecord, StreamProperty } from '@millrace/core'
import type { OutgoingMessage, QueueIndex } from './topics.js'

/** Messages of one send. */
const BATCH_RECORDS_MAX = 512
const BATCH_BYTES_MAX = 1024 * 1024

interface Waiting {
  readonly message: OutgoingMessage
  readonly cut: number
}

/** Outputs to one queue: sent in order, one batch at a time. */
interface Lane {
  readonly target: QueueIndex
  readonly waiting: Waiting[]
  sending: Waiting[] | undefined
}

/** A batch that is due. `lane` names it in `sent` and `failed`. */
export interface OutboxBatch {
  readonly lane: string
  readonly target: QueueIndex
  readonly messages: readonly OutgoingMessage[]
}

/**
 * Outputs of one task that are not acknowledged yet, and which of them the commit under way waits for.
 * Invariant: `size` is what waits plus what is being sent, over all lanes; `before + since` is the same.
 */
export class Outbox {
  readonly #lanes = new Map<string, Lane>()
  readonly #tags: { readonly pipelineId: string; readonly task: string; readonly epoch: number }
  #cut = 0
  #before = 0
  #since = 0

  /** @param tags  what marks the task's messages. */
  constructor(tags: { readonly pipelineId: string; readonly task: string; readonly epoch: number }) {
    this.#tags = tags
  }

  /** Outputs not acknowledged. */
  get size(): number {
    return this.#before + this.#since
  }

  /** Outputs from before the last `cut` that are not acknowledged. */
  get beforeCut(): number {
    return this.#before
  }

  add(outputs: readonly OutputRecord[]): void {
    for (const output of outputs) {
      const name = `${output.topic}/${output.queue}`
      let lane = this.#lanes.get(name)
      if (lane === undefined) {
        lane = { target: { topic: output.topic, queue: output.queue }, waiting: [], sending: undefined }
        this.#lanes.set(name, lane)
      }
      lane.waiting.push({ message: this.#message(output), cut: this.#cut })
    }
    this.#since += outputs.length
  }

  /** Everything added so far belongs to the commit that now begins. */
  cut(): void {
    assert(this.#before === 0, 'the outputs of the last commit were acknowledged')
    this.#before = this.#since
    this.#since = 0
    this.#cut++
  }

  /** Batches that can leave now; each is under way until `sent` or `failed`. */
  takeDue(): OutboxBatch[] {
    const due: OutboxBatch[] = []
    for (const [name, lane] of this.#lanes) {
      if (lane.sending !== undefined || lane.waiting.length === 0) continue
      let bytes = 0
      let count = 0
      while (count < lane.waiting.length && count < BATCH_RECORDS_MAX) {
        bytes += lane.waiting[count]!.message.body.length
        if (count > 0 && bytes > BATCH_BYTES_MAX) break
        count++
      }
      lane.sending = lane.waiting.splice(0, count)
      due.push(this.#batch(name, lane.target, lane.sending))
    }
    return due
  }

  /** A lane's batch was acknowledged. */
  sent(name: string): void {
    const lane = this.#lane(name)
    for (const { cut } of lane.sending ?? [])
      if (cut < this.#cut) this.#before--
      else this.#since--
    lane.sending = undefined
  }

  /** The lane's batch, to be sent again as it was. */
  again(name: string): OutboxBatch {
    const lane = this.#lane(name)
    assert(lane.sending !== undefined, 'a batch is under way', { lane: name })
    return this.#batch(name, lane.target, lane.sending)
  }

  #lane(name: string): Lane {
    const lane = this.#lanes.get(name)
    assert(lane?.sending !== undefined, 'a batch is under way', { lane: name })
    return lane
  }

  #batch(lane: string, target: QueueIndex, sending: readonly Waiting[]): OutboxBatch {
    return { lane, target, messages: sending.map(({ message }) => message) }
  }

  #message({ body, key, timestamp, sequence }: OutputRecord): OutgoingMessage {
    const { pipelineId, task, epoch } = this.#tags
    const properties: Record<string, string> = {
      [StreamProperty.PIPELINE]: pipelineId,
      [StreamProperty.TASK]: task,
      [StreamProperty.EPOCH]: String(epoch),
      [StreamProperty.TIME]: String(timestamp),
    }
    if (sequence !== undefined) properties[StreamProperty.SEQUENCE] = String(sequence)
    return { body, key, properties }
  }
}
