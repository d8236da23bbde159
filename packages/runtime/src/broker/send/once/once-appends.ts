import { ResponseCode, StreamProperty } from '@millrace/core'
import type { Appended, LogStore, MessageToAppend } from '@millrace/storage'
import { Refusal } from '../../../requests/answer.js'
import type { Topic } from '../../topics/topic.js'
import type { DedupWindows } from './dedup-windows.js'
import type { TaskLanes } from './task-lanes.js'
import { type TaskTags, taskTagsOf } from './task-tags.js'

/** A request to store messages: what its producer asked for. */
export interface AppendRequest {
  readonly producerGroup: string
  readonly topic: Topic
  readonly queueId: number
}

/** A message and the queue it goes to, which is another than the request's when it is delayed. */
export interface MessageWithProperties {
  readonly message: MessageToAppend
  readonly properties: Readonly<Record<string, string>>
}

/** Appends that may be repeats: those of pipeline tasks, and those to topics with a deduplication window. */
export class OnceAppends {
  constructor(
    private readonly store: LogStore,
    private readonly lanes: TaskLanes,
    private readonly windows: DedupWindows,
  ) {}

  /** Resolves with where each message is; of one that had been stored before, where that was. @throws Refusal 13, 604 */
  append(request: AppendRequest, messages: readonly MessageWithProperties[]): Promise<Appended[]> {
    const { producerGroup, queueId, topic } = request
    if (messages.some(({ properties }) => properties[StreamProperty.EPOCH] !== undefined)) {
      const tags = messages.map(({ properties }) => taskTagsOf(properties, producerGroup))
      if (tags.some(tag => tag !== undefined))
        return this.lanes.append(
          sameTask(tags),
          topic.name,
          queueId,
          messages.map(({ message }) => message),
        )
    }
    const window = this.windows.of(topic)
    if (window === undefined) return Promise.all(messages.map(({ message }) => this.store.append(message)))
    return window.append(messages.map(({ message, properties }) => [properties[window.property], message]))
  }
}

function sameTask(tags: readonly (TaskTags | undefined)[]): TaskTags[] {
  const first = tags[0]
  let last = -1
  const same = tags.filter(tag => {
    if (tag === undefined || tag.task !== first?.task || tag.epoch !== first.epoch) return false
    if (tag.sequence === undefined) return true
    const isNext = tag.sequence > last
    last = tag.sequence
    return isNext
  })
  if (same.length < tags.length)
    throw new Refusal(
      ResponseCode.MESSAGE_ILLEGAL,
      'a batch of a pipeline holds messages of one task and epoch, with growing sequences; send others by themselves',
    )
  return same as TaskTags[]
}
