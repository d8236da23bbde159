import { ResponseCode, StreamProperty } from '@millrace/core'
import { Refusal } from '../../../requests/answer.js'

/** Which task of which pipeline made a message. */
export interface TaskTags {
  readonly pipeline: string
  readonly task: string
  /** Grows with every start of the task: who writes with a lower one has been replaced. */
  readonly epoch: number
  /** Grows with the task's outputs, over all epochs; an output that is sent again has the same. Undefined: unnumbered. */
  readonly sequence: number | undefined
}

const NAME_LENGTH_MAX = 255

/**
 * Tags of a message that its own pipeline sends: the producer group is the pipeline's name. Undefined for any other,
 * such as one that an application passes on with all its properties.
 * @throws Refusal 13 when the tags make no sense
 */
export function taskTagsOf(properties: Readonly<Record<string, string>>, producerGroup: string): TaskTags | undefined {
  const pipeline = properties[StreamProperty.PIPELINE]
  const task = properties[StreamProperty.TASK]
  if (pipeline === undefined || pipeline !== producerGroup || task === undefined) return undefined
  const sequence = properties[StreamProperty.SEQUENCE]
  const tags = {
    pipeline,
    task,
    epoch: numberOf(properties[StreamProperty.EPOCH]),
    sequence: sequence === undefined ? undefined : numberOf(sequence),
  }
  const isSane = tags.epoch >= 0 && (tags.sequence ?? 0) >= 0
  if (isSane && pipeline.length <= NAME_LENGTH_MAX && task.length <= NAME_LENGTH_MAX) return tags
  throw new Refusal(
    ResponseCode.MESSAGE_ILLEGAL,
    `a message of pipeline ${pipeline.slice(0, 40)} has no good ${StreamProperty.EPOCH} or ${StreamProperty.SEQUENCE}, or names of more than ${NAME_LENGTH_MAX} characters; send whole numbers from 0`,
  )
}

function numberOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1
}
