import { RequestCode } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { Reply } from '../../listener/peer.js'
import { type Answer, DONE } from '../../requests/answer.js'
import { integerField, optionalTextField, textField } from '../../requests/fields.js'
import { storeTimestampAt } from './stored-time.js'

/** Requests about the bounds of one queue, by code. Queues that do not exist are empty. behaviour.md §8 */
export function queueAnswers(store: MessageStore): [number, Answer][] {
  return [
    [
      RequestCode.SEARCH_OFFSET_BY_TIMESTAMP,
      ({ command }) => {
        const boundary = optionalTextField(command, 'boundaryType')?.toLowerCase() === 'upper' ? 'upper' : 'lower'
        const timestamp = integerField(command, 'timestamp')
        const offset = store.offsetByTime(
          textField(command, 'topic'),
          integerField(command, 'queueId'),
          timestamp,
          boundary,
        )
        return numberReply('offset', offset)
      },
    ],
    [
      RequestCode.GET_MAX_OFFSET,
      ({ command }) =>
        numberReply('offset', store.maxOffset(textField(command, 'topic'), integerField(command, 'queueId'))),
    ],
    [
      RequestCode.GET_MIN_OFFSET,
      ({ command }) =>
        numberReply('offset', store.minOffset(textField(command, 'topic'), integerField(command, 'queueId'))),
    ],
    [
      RequestCode.GET_EARLIEST_MSG_STORETIME,
      ({ command }) => {
        const topic = textField(command, 'topic')
        const queueId = integerField(command, 'queueId')
        const first = store.minOffset(topic, queueId)
        return numberReply('timestamp', storeTimestampAt(store, topic, queueId, first) ?? -1)
      },
    ],
  ]
}

function numberReply(name: string, value: number): Reply {
  return { ...DONE, extFields: { [name]: String(value) } }
}
