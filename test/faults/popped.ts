import {
  decodeMessages,
  formatExtraInfo,
  parseOffsetInfo,
  parseProperties,
  type RemotingCommand,
  type StoredMessage,
} from '@millrace/core'

/** A message as a consumer has it, with its handle. */
export interface Popped {
  readonly message: StoredMessage
  readonly text: string
  readonly handle: string
  readonly properties: Readonly<Record<string, string>>
}

/** Does what clients do: builds the handle of each message from the header. */
export function readPopped(answer: RemotingCommand): Popped[] {
  if (answer.code === 210) return []
  if (answer.code !== 0) throw new Error(`pop was answered ${answer.code}: ${answer.remark}`)
  const decoded = decodeMessages(answer.body ?? Buffer.alloc(0))
  if (!decoded.ok) throw new Error(decoded.reason)
  const { invisibleTime, msgOffsetInfo, popTime, reviveQid, startOffsetInfo } = answer.extFields
  const starts = parseOffsetInfo(startOffsetInfo ?? '')!
  const offsets = parseOffsetInfo(msgOffsetInfo ?? '')!
  return decoded.messages.map(message => {
    const properties = parseProperties(message.properties)
    const flag = properties['POP_CK']?.split(' ')[4] ?? '0'
    const isMine = (entry: { retryFlag: string; queue: string }): boolean =>
      entry.retryFlag === flag && entry.queue === String(message.queueId)
    if (!offsets.find(isMine)?.offsets.includes(message.queueOffset)) throw new Error('msgOffsetInfo leaves one out')
    const handle =
      properties['POP_CK'] ??
      formatExtraInfo({
        checkpointOffset: starts.find(isMine)!.offsets[0]!,
        popTime: Number(popTime),
        invisibleTime: Number(invisibleTime),
        reviveQueueId: Number(reviveQid),
        retryFlag: flag,
        brokerName: 'broker-a',
        queueId: message.queueId,
        queueOffset: message.queueOffset,
      })
    return { message, text: message.body.toString(), handle, properties }
  })
}

export function texts(found: readonly Popped[]): string[] {
  return found.map(({ text }) => text)
}

/** Fields that name one popped message in requests; the topic is the one it is stored in. */
export function handleFields(group: string, { handle, message }: Popped): Record<string, string> {
  const [, , , , retryFlag, , queueId = ''] = handle.split(' ')
  const topic = retryFlag === '0' ? message.topic : `%RETRY%${group}${retryFlag === '1' ? '_' : '+'}${message.topic}`
  return { consumerGroup: group, topic, queueId, extraInfo: handle, offset: String(message.queueOffset) }
}
