import { assert, type OutputRecord, StreamProperty } from '@millrace/core'
import type { OutgoingMessage, QueueIndex } from './topics.js'

/** Messages of one send. */
const BATCH_RECORDS_MAX = 512
const BATCH_BYTES_MAX = 1024 * 1024

interface Waiting {
  readonly message: OutgoingMessage
  readonly commit: number
}

/** Outputs to one queue: sent in order, one batch at a time. */
interface Lane {
  readonly target: QueueIndex
  waiting: Waiting[]
  /** The first of `waiting` that has not been taken. */
  next: number
  sending: readonly Waiting[] | undefined
}

/** A batch that is due. `lane` names it in `sent` and `again`. */
export interface OutboxBatch {
  readonly lane: string
  readonly target: QueueIndex
  readonly messages: readonly OutgoingMessage[]
}

/**
 * Outputs of one task that are not acknowledged yet, by the commit that they belong to.
 * Invariant: `size` is what waits plus what is being sent, over all lanes; so is the sum over commits.
 */
export class Outbox {
  readonly #lanes = new Map<string, Lane>()
  readonly #tags: { readonly pipelineId: string; readonly task: string; readonly epoch: number }
  readonly #open = new Map<number, number>()
  #size = 0

  /** @param tags  what marks the task's messages. */
  constructor(tags: { readonly pipelineId: string; readonly task: string; readonly epoch: number }) {
    this.#tags = tags
  }

  /** Outputs not acknowledged. */
  get size(): number {
    return this.#size
  }

  /** Outputs of commits up to this one that are not acknowledged. */
  openUntil(commit: number): number {
    let open = 0
    for (const [other, count] of this.#open) if (other <= commit) open += count
    return open
  }

  add(outputs: readonly OutputRecord[], commit: number): void {
    if (outputs.length === 0) return
    for (const output of outputs) {
      const name = `${output.topic}/${output.queue}`
      let lane = this.#lanes.get(name)
      if (lane === undefined) {
        lane = { target: { topic: output.topic, queue: output.queue }, waiting: [], next: 0, sending: undefined }
        this.#lanes.set(name, lane)
      }
      lane.waiting.push({ message: this.#message(output), commit })
    }
    this.#size += outputs.length
    this.#open.set(commit, (this.#open.get(commit) ?? 0) + outputs.length)
  }

  /** Batches that can leave now; each is under way until `sent`. */
  takeDue(): OutboxBatch[] {
    const due: OutboxBatch[] = []
    for (const [name, lane] of this.#lanes) {
      if (lane.sending !== undefined || lane.next === lane.waiting.length) continue
      let bytes = 0
      let end = lane.next
      while (end < lane.waiting.length && end - lane.next < BATCH_RECORDS_MAX) {
        const { message } = lane.waiting[end]!
        // Delayed messages travel alone.
        if (message.deliverAt !== undefined && end > lane.next) break
        bytes += message.body.length
        if (end > lane.next && bytes > BATCH_BYTES_MAX) break
        end++
        if (message.deliverAt !== undefined) break
      }
      lane.sending = lane.waiting.slice(lane.next, end)
      lane.next = end
      if (lane.next === lane.waiting.length) {
        lane.waiting = []
        lane.next = 0
      }
      due.push(batchOf(name, lane.target, lane.sending))
    }
    return due
  }

  /** A lane's batch was acknowledged. Returns the commits of which nothing is left. */
  sent(name: string): readonly number[] {
    const lane = this.#lane(name)
    const done: number[] = []
    for (const { commit } of lane.sending!) {
      const left = this.#open.get(commit)! - 1
      this.#size--
      if (left > 0) this.#open.set(commit, left)
      else {
        this.#open.delete(commit)
        done.push(commit)
      }
    }
    lane.sending = undefined
    return done
  }

  /** The lane's batch, to be sent again as it was. */
  again(name: string): OutboxBatch {
    const lane = this.#lane(name)
    return batchOf(name, lane.target, lane.sending!)
  }

  #lane(name: string): Lane {
    const lane = this.#lanes.get(name)
    assert(lane?.sending !== undefined, 'a batch is under way', { lane: name })
    return lane
  }

  #message({ body, key, timestamp, deliverAt, sequence }: OutputRecord): OutgoingMessage {
    const { pipelineId, task, epoch } = this.#tags
    const properties: Record<string, string> = {
      [StreamProperty.PIPELINE]: pipelineId,
      [StreamProperty.TASK]: task,
      [StreamProperty.EPOCH]: String(epoch),
      [StreamProperty.TIME]: String(timestamp),
    }
    if (sequence !== undefined) properties[StreamProperty.SEQUENCE] = String(sequence)
    if (deliverAt !== undefined) properties[StreamProperty.DELAYED] = '1'
    return { body, key: key === undefined ? undefined : String(key), properties, deliverAt }
  }
}

function batchOf(lane: string, target: QueueIndex, sending: readonly Waiting[]): OutboxBatch {
  return { lane, target, messages: sending.map(({ message }) => message) }
}
