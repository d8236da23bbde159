import { formatProperties, MillraceError, PropertyName, validateTopic } from '@millrace/core'
import type { ClientContext } from '../client-context.js'
import type { ReceivedMessage } from '../consumer/received-message.js'

/** Properties of a request message: where the reply goes, and what it answers. behaviour.md §14 */
export function requestProperties(context: ClientContext, correlationId: string, timeoutMs: number): string {
  return formatProperties({
    [PropertyName.CORRELATION_ID]: correlationId,
    [PropertyName.REPLY_TO_CLIENT]: context.clientId,
    [PropertyName.TTL]: String(timeoutMs),
  })
}

/** Where the reply to a message goes, and its properties. @throws MillraceError INVALID_ARGUMENT when it asks for none */
export function replyTarget(request: ReceivedMessage): { readonly topic: string; readonly properties: string } {
  const {
    CLUSTER: cluster,
    CORRELATION_ID: correlationId,
    REPLY_TO_CLIENT: client,
    TTL: timeToLive,
  } = request.properties
  if (cluster === undefined || correlationId === undefined || client === undefined)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `message ${request.messageId} asks for no reply: it lacks ${PropertyName.CORRELATION_ID}, ${PropertyName.REPLY_TO_CLIENT} or ${PropertyName.CLUSTER}; reply to messages that were sent with Producer.request`,
    )
  const topic = `${cluster}_REPLY_TOPIC`
  const valid = validateTopic(topic)
  if (!valid.ok) throw new MillraceError('INVALID_ARGUMENT', valid.reason)
  return {
    topic,
    properties: formatProperties({
      [PropertyName.MSG_TYPE]: 'reply',
      [PropertyName.CORRELATION_ID]: correlationId,
      [PropertyName.REPLY_TO_CLIENT]: client,
      [PropertyName.TTL]: timeToLive,
    }),
  }
}

/**
 * Waits for a reply. `send` is called once the wait has begun; its failure ends it.
 * @throws MillraceError TIMEOUT; what `send` throws
 */
export function awaitReply(
  context: ClientContext,
  correlationId: string,
  timeoutMs: number,
  send: () => Promise<unknown>,
): Promise<ReceivedMessage> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      cancel()
      end()
      outcome()
    }
    const end = context.served.onReply(correlationId, reply => settle(() => resolve(reply)))
    const cancel = context.environment.scheduler.after(timeoutMs, () =>
      settle(() =>
        reject(
          new MillraceError(
            'TIMEOUT',
            `no reply came within ${timeoutMs} ms; the request may have been handled: check that a consumer replies`,
          ),
        ),
      ),
    )
    send().catch((error: Error) => settle(() => reject(error)))
  })
}
