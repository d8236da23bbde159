import type { TopicConfig } from '@millrace/core'

/** One topic of this broker. Immutable: a change makes a new object with the same id. */
export interface Topic extends Omit<TopicConfig, 'topicName'> {
  readonly name: string
  /** Small number, unique while the process runs; a topic that is deleted and created anew gets another. */
  readonly id: number
  /** A topic of the broker's own that clients may not send to. */
  readonly isSendForbidden: boolean
}

/** RocketMQ's defaults of what a creating request leaves out. behaviour.md §4 */
export const TOPIC_DEFAULTS: Omit<TopicConfig, 'topicName'> = {
  readQueueNums: 16,
  writeQueueNums: 16,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
  attributes: Object.freeze({}),
}

/** More queues than this in one topic is a mistake: each costs memory in every client. */
export const TOPIC_QUEUES_MAX = 65_536

/** What the protocol knows of a topic, members in the order that official brokers write them. */
export function topicConfigOf(topic: Topic): TopicConfig {
  const { attributes, name, order, perm, readQueueNums, topicFilterType, topicSysFlag, writeQueueNums } = topic
  return { attributes, order, perm, readQueueNums, topicFilterType, topicName: name, topicSysFlag, writeQueueNums }
}

export function isSameTopicConfig(a: Omit<TopicConfig, 'topicName'>, b: Omit<TopicConfig, 'topicName'>): boolean {
  return (
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.topicFilterType === b.topicFilterType &&
    a.topicSysFlag === b.topicSysFlag &&
    a.order === b.order &&
    isSameRecord(a.attributes, b.attributes)
  )
}

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}
