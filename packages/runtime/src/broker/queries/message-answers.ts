import { RequestCode, ResponseCode } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, Refusal } from '../../requests/answer.js'
import { booleanField, integerField, textField } from '../../requests/fields.js'

/** Clients ask for no more when they know the unique id. */
const UNIQUE_MATCHES_MAX = 32
/** @see RocketMQ `defaultQueryMaxNum` and `maxMsgsNumBatch` */
const MATCHES_MAX = 64
/** A body of matches stays well below the largest frame. */
const ANSWER_BYTES_MAX = 8 * 2 ** 20

/** Requests for single messages, by code. behaviour.md §16 */
export function messageAnswers(store: MessageStore): [number, Answer][] {
  return [
    [RequestCode.VIEW_MESSAGE_BY_ID, request => viewReply(store, request)],
    [RequestCode.QUERY_MESSAGE, request => queryReply(store, request)],
  ]
}

function viewReply(store: MessageStore, { command }: RemotingRequest): Reply {
  const position = integerField(command, 'offset')
  const record = position < 0 ? undefined : store.record(position)
  if (!record) throw new Refusal(ResponseCode.SYSTEM_ERROR, `can not find message by the offset, ${position}`)
  return { ...DONE, body: record }
}

function queryReply(store: MessageStore, { command }: RemotingRequest): Reply {
  const isUnique = booleanField(command, '_UNIQUE_KEY_QUERY', false)
  const asked = integerField(command, 'maxNum')
  const matches = store.findByKey(textField(command, 'topic'), textField(command, 'key'), {
    fromMs: integerField(command, 'beginTimestamp'),
    toMs: integerField(command, 'endTimestamp'),
    maxCount: isUnique ? UNIQUE_MATCHES_MAX : Math.max(0, Math.min(asked, MATCHES_MAX)),
    uniqueOnly: isUnique,
  })
  if (matches.length === 0)
    return {
      code: ResponseCode.QUERY_NOT_FOUND,
      remark: 'can not find message, maybe time range not correct',
      extFields: indexFields(0, 0),
    }
  const extFields = indexFields(store.logEnd, Math.max(0, integerField(command, 'endTimestamp')))
  return { ...DONE, extFields, body: Buffer.concat(fitting(matches)) }
}

/** The index is as far as the log: what was acknowledged can be found. */
function indexFields(position: number, timestamp: number): Readonly<Record<string, string>> {
  return { indexLastUpdatePhyoffset: String(position), indexLastUpdateTimestamp: String(timestamp) }
}

function fitting(records: readonly Buffer[]): Buffer[] {
  let bytes = 0
  return records.filter((record, index) => {
    bytes += record.length
    return index === 0 || bytes <= ANSWER_BYTES_MAX
  })
}
