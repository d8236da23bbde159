import { PropertyName, RecordProperties } from '@millrace/core'
import type { MessageFilter } from './message-filter.js'

const properties = new RecordProperties()

/**
 * For a group's retry topic: each message has to pass what the group subscribed to on the topic it first came from.
 * @see RocketMQ `ExpressionForRetryMessageFilter`, setting `filterSupportRetry`
 *
 * @param filterOf the group's filter on a topic
 */
export function retryFilter(filterOf: (topic: string) => MessageFilter | undefined): MessageFilter {
  return {
    tagHashes: undefined,
    takes(bytes, start, end) {
      if (!properties.locate(bytes, start, end)) return false
      const origin = properties.text(PropertyName.RETRY_TOPIC)
      return (origin === undefined ? undefined : filterOf(origin)?.takes)?.(bytes, start, end) ?? true
    },
  }
}
