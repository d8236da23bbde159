import { RequestCode, ResponseCode } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, jsonReply, Refusal } from '../../requests/answer.js'
import { optionalTextField, textField } from '../../requests/fields.js'
import type { TopicTable } from '../topics/topic-table.js'

/** Bits by topic. */
export type ForbiddenRecord = Readonly<Record<string, number>>

/** Bit 2 of the permissions: reading. @see RocketMQ `PermName#INDEX_PERM_READ` */
const READ = 4

/** Topics that single groups may not read, although everybody else may. Read on every pull. */
export class ForbiddenTopics {
  constructor(private readonly records: MetadataTable<ForbiddenRecord>) {}

  /** Costs a comparison while nothing is forbidden, the usual case. */
  has(group: string, topic: string): boolean {
    if (this.records.size === 0) return false
    const topics = this.records.get(group)
    return topics !== undefined && Object.hasOwn(topics, topic) && (topics[topic] & READ) !== 0
  }

  /** Resolves when it is durable. @throws MillraceError DISK_FULL | DISK_FAILED */
  async set(group: string, topic: string, isForbidden: boolean): Promise<void> {
    if (this.has(group, topic) === isForbidden) return
    const { [topic]: _, ...others } = this.records.get(group) ?? {}
    if (isForbidden) await this.records.put(group, { ...others, [topic]: READ })
    else if (Object.keys(others).length > 0) await this.records.put(group, others)
    else await this.records.remove(group)
  }

  remove(group: string): Promise<void> {
    return this.records.remove(group)
  }

  /** Group → topic → bits, as [201] shows it. */
  all(): Readonly<Record<string, ForbiddenRecord>> {
    return Object.fromEntries(this.records.entries())
  }
}

/** [353]: asks or says whether a group may read a topic. */
export function forbiddenAnswers(forbidden: ForbiddenTopics, topics: TopicTable): [number, Answer][] {
  return [[RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN, request => reply(forbidden, topics, request)]]
}

async function reply(forbidden: ForbiddenTopics, topics: TopicTable, { command }: RemotingRequest): Promise<Reply> {
  const group = textField(command, 'group')
  const topic = textField(command, 'topic')
  const readable = optionalTextField(command, 'readable')
  if (!topics.find(topic)) throw new Refusal(ResponseCode.TOPIC_NOT_EXIST, `the topic[${topic}] not exist`)
  if (readable !== undefined) await forbidden.set(group, topic, readable.toLowerCase() !== 'true' && readable !== '1')
  return jsonReply({ group, readable: !forbidden.has(group, topic), topic })
}
