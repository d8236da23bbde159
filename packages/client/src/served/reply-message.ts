import { encodeMessage, type NetAddress, parseIp, type RemotingCommand } from '@millrace/core'
import { receivedMessages } from '../consumer/decode.js'
import type { ReceivedMessage } from '../consumer/received-message.js'

/** The message that a broker passes on with PUSH_REPLY_MESSAGE_TO_CLIENT. @throws MillraceError PROTOCOL */
export async function replyOf({ body, extFields }: RemotingCommand): Promise<ReceivedMessage> {
  const number = (name: string): number => Number(extFields[name] ?? 0)
  const record = encodeMessage({
    topic: extFields['topic'] ?? '',
    queueId: number('queueId'),
    queueOffset: 0,
    commitLogOffset: 0,
    flag: number('flag'),
    sysFlag: number('sysFlag'),
    bornTimestamp: number('bornTimestamp'),
    bornHost: hostOf(extFields['bornHost']),
    storeTimestamp: number('storeTimestamp'),
    storeHost: hostOf(extFields['storeHost']),
    reconsumeTimes: number('reconsumeTimes'),
    body: body ?? new Uint8Array(0),
    properties: Buffer.from(extFields['properties'] ?? ''),
  })
  const [reply] = await receivedMessages('a reply', record, (topic, queueId) => ({ topic, brokerName: '', queueId }))
  return reply
}

/** `host:port`, as Java prints it. What is no address is none of ours to refuse. */
function hostOf(text = ''): NetAddress {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\/|^\[|\]$/g, '')
  const port = Number(text.slice(colon + 1))
  return { host: parseIp(host) ? host : '0.0.0.0', port: Number.isInteger(port) ? port : 0 }
}
