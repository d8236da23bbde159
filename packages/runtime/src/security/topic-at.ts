import { decodeMessage, parseProperties, SystemTopic } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { TopicAt } from './needs.js'

/** Finds the topic of a message by its position in the log; that of a half message is the one it will be in. */
export function topicAtIn(store: Pick<MessageStore, 'record'> | undefined): TopicAt {
  return position => {
    const record = store?.record(position)
    const decoded = record && decodeMessage(record, 0, record.length)
    if (!decoded?.ok) return undefined
    const { properties, topic } = decoded.message
    if (topic !== SystemTopic.TRANS_HALF) return topic
    return parseProperties(properties.toString('utf8'))['REAL_TOPIC'] ?? topic
  }
}
