import { equalsBytes, StreamProperty } from '@millrace/core'
import type { BatchWalk } from '../batch-walk.js'

const PIPELINE = Buffer.from(StreamProperty.PIPELINE)
const TASK = Buffer.from(StreamProperty.TASK)
const EPOCH = Buffer.from(StreamProperty.EPOCH)
const SEQUENCE = Buffer.from(StreamProperty.SEQUENCE)
const NAME_END = 1
const PAIR_END = 2
const ZERO = 0x30
const DIGITS_MAX = 15

/** Of one task of the producer's own pipeline; of none; of several, or oddly written. */
export type BatchOrigin = 'one task' | 'none' | 'unclear'

/** Reads which task made the messages of a batch, and their sequences: one object, reused for every batch. */
export class NumberedBatch {
  pipeline = ''
  task = ''
  epoch = 0
  /** Highest sequence; -1 when no message has one. */
  last = -1
  /** By message; -1 for one without. They grow. */
  private sequences = new Float64Array(64)
  private pipelineStart = 0
  private pipelineEnd = 0
  private taskStart = 0
  private taskEnd = 0
  private epochHere = 0
  private sequenceHere = 0

  /** [groupStart, groupEnd) is the request's producer group: a pipeline sends under its own name. */
  read(bytes: Buffer, batch: BatchWalk, groupStart: number, groupEnd: number): BatchOrigin {
    if (batch.count > this.sequences.length) this.sequences = new Float64Array(batch.count * 2)
    const group = bytes.subarray(groupStart, groupEnd)
    let ownCount = 0
    let taskStart = 0
    let taskEnd = 0
    this.last = -1
    for (let i = 0; i < batch.count; i++) {
      if (!this.tags(bytes, batch.propertiesStart(i), batch.propertiesEnd(i))) return 'unclear'
      if (!equalsBytes(bytes, this.pipelineStart, this.pipelineEnd, group)) continue
      if (ownCount++ === 0) {
        taskStart = this.taskStart
        taskEnd = this.taskEnd
        this.epoch = this.epochHere
      } else if (
        this.epochHere !== this.epoch ||
        !equalsBytes(bytes, this.taskStart, this.taskEnd, bytes.subarray(taskStart, taskEnd))
      )
        return 'unclear'
      this.sequences[i] = this.sequenceHere
      if (this.sequenceHere < 0) continue
      if (this.sequenceHere <= this.last) return 'unclear'
      this.last = this.sequenceHere
    }
    if (ownCount === 0) return 'none'
    if (ownCount < batch.count || taskEnd === taskStart || this.epoch < 0) return 'unclear'
    this.pipeline = group.toString()
    this.task = bytes.toString('utf8', taskStart, taskEnd)
    return 'one task'
  }

  /** Was message `index` stored before, by a lane that has stored all up to `sequence`? */
  isRepeat(index: number, sequence: number): boolean {
    const own = this.sequences[index]!
    return own >= 0 && own <= sequence
  }

  /** Finds the tags in a property string whose pairs are well formed. False for a number that is none. */
  private tags(bytes: Buffer, start: number, end: number): boolean {
    this.pipelineStart = this.pipelineEnd = this.taskStart = this.taskEnd = 0
    this.epochHere = this.sequenceHere = -1
    let isGood = true
    for (let at = start; at < end; ) {
      let nameEnd = at
      while (nameEnd < end && bytes[nameEnd] !== NAME_END) nameEnd++
      const valueStart = nameEnd + 1
      let valueEnd = valueStart
      while (valueEnd < end && bytes[valueEnd] !== PAIR_END) valueEnd++
      // All names begin with "mr.".
      if (bytes[at] === 0x6d && bytes[at + 2] === 0x2e) {
        if (equalsBytes(bytes, at, nameEnd, SEQUENCE)) {
          this.sequenceHere = numberIn(bytes, valueStart, valueEnd)
          if (this.sequenceHere < 0) isGood = false
        } else if (equalsBytes(bytes, at, nameEnd, EPOCH)) this.epochHere = numberIn(bytes, valueStart, valueEnd)
        else if (equalsBytes(bytes, at, nameEnd, TASK)) {
          this.taskStart = valueStart
          this.taskEnd = valueEnd
        } else if (equalsBytes(bytes, at, nameEnd, PIPELINE)) {
          this.pipelineStart = valueStart
          this.pipelineEnd = valueEnd
        }
      }
      at = valueEnd + 1
    }
    return isGood
  }
}

/** -1 when it is no whole number. */
function numberIn(bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > DIGITS_MAX) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}
