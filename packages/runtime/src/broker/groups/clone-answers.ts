import { RequestCode } from '@millrace/core'
import type { ConsumerOffsets } from '@millrace/storage'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE } from '../../requests/answer.js'
import { booleanField, optionalTextField, textField } from '../../requests/fields.js'
import type { TopicTable } from '../topics/topic-table.js'
import type { GroupRegistry } from './group-registry.js'

export interface CloneOptions {
  readonly offsets: ConsumerOffsets
  readonly topics: TopicTable
  readonly registry: GroupRegistry
}

/** [314]: one group goes on where another one is. behaviour.md §9 */
export function cloneAnswers(options: CloneOptions): [number, Answer][] {
  return [[RequestCode.CLONE_GROUP_OFFSET, request => clone(options, request)]]
}

/**
 * Of `topic`, or of every topic that the source group has offsets in. Topics that are gone are passed over, and those
 * that the source group, being online, has given up, unless `offline` says to take them as well. Durable before the answer.
 */
async function clone({ offsets, registry, topics }: CloneOptions, { command }: RemotingRequest): Promise<Reply> {
  const source = textField(command, 'srcGroup')
  const target = textField(command, 'destGroup')
  const only = optionalTextField(command, 'topic')
  const takesAll = booleanField(command, 'offline', false)
  const subscriptions = registry.find(source)?.subscriptions
  for (const topic of only === undefined ? offsets.topicsOf(source) : [only]) {
    const isGivenUp = subscriptions !== undefined && subscriptions.size > 0 && !subscriptions.has(topic)
    if (!topics.find(topic) || (isGivenUp && !takesAll)) continue
    for (const [queueId, offset] of offsets.queues(source, topic)) offsets.set(target, topic, queueId, offset)
  }
  await offsets.flush()
  return DONE
}
