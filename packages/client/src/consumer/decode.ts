import {
  type BodyCodec,
  type Compression,
  compressionOf,
  decodeMessages,
  loadBodyCodec,
  type MessageQueue,
  MillraceError,
} from '@millrace/core'
import { ReceivedMessage } from './received-message.js'

const codecs = new Map<Compression, BodyCodec>()

/**
 * Decodes the messages of a pull or query. The bodies stay views of `body`; `queueOf` names the queue of each.
 * @throws MillraceError PROTOCOL; `what` begins its message.
 */
export async function receivedMessages(
  what: string,
  body: Buffer | undefined,
  queueOf: (topic: string, queueId: number) => MessageQueue,
): Promise<ReceivedMessage[]> {
  if (!body) return []
  const decoded = decodeMessages(body)
  if (!decoded.ok) throw new MillraceError('PROTOCOL', `${what} brought an unreadable message: ${decoded.reason}`)
  const messages: ReceivedMessage[] = []
  for (const stored of decoded.messages) {
    const kind = compressionOf(stored.sysFlag)
    if (kind === 'unknown')
      throw new MillraceError(
        'PROTOCOL',
        `${what} brought a body compressed in an unknown way (sysFlag ${stored.sysFlag}); update this client`,
      )
    const codec = kind === undefined ? undefined : (codecs.get(kind) ?? (await load(kind)))
    messages.push(new ReceivedMessage(stored, queueOf(stored.topic, stored.queueId), codec))
  }
  return messages
}

async function load(kind: Compression): Promise<BodyCodec> {
  const codec = await loadBodyCodec(kind)
  codecs.set(kind, codec)
  return codec
}
