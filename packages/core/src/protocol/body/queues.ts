import { formatJsonBody, type LenientJson } from '../json/lenient-json.js'
import type { MessageQueue } from '../message/rebalance.js'
import {
  asJson,
  booleanOf,
  type Decoded,
  decodeObject,
  entriesOf,
  type Members,
  numberOf,
  objectsOf,
  textOf,
  textsOf,
} from './fields.js'

/** Body of LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42). */
export interface LockBatchRequest {
  readonly clientId: string
  readonly consumerGroup: string
  readonly mqSet: readonly MessageQueue[]
  readonly onlyThisBroker: boolean
}

export function readMessageQueue(members: Members): MessageQueue {
  return {
    topic: textOf(members['topic']),
    brokerName: textOf(members['brokerName']),
    queueId: numberOf(members['queueId']),
  }
}

export function decodeLockBatch(body: Uint8Array | undefined): Decoded<LockBatchRequest> {
  return decodeObject(body, members => ({
    clientId: textOf(members['clientId']),
    consumerGroup: textOf(members['consumerGroup']),
    mqSet: objectsOf(members['mqSet'], readMessageQueue),
    onlyThisBroker: booleanOf(members['onlyThisBroker']),
  }))
}

export function encodeLockBatch(request: LockBatchRequest): Buffer {
  return formatJsonBody(asJson(request))
}

/** Body of the answer to LOCK_BATCH_MQ: the queues that are now locked for the client. */
export function decodeLockedQueues(body: Uint8Array | undefined): Decoded<MessageQueue[]> {
  return decodeObject(body, members => objectsOf(members['lockOKMQSet'], readMessageQueue))
}

export function encodeLockedQueues(queues: readonly MessageQueue[]): Buffer {
  return formatJsonBody({ lockOKMQSet: queues.map(asJson) })
}

/** Body of the answer to GET_CONSUMER_LIST_BY_GROUP (38). */
export function decodeConsumerIds(body: Uint8Array | undefined): Decoded<string[]> {
  return decodeObject(body, members => textsOf(members['consumerIdList']))
}

export function encodeConsumerIds(clientIds: readonly string[]): Buffer {
  return formatJsonBody({ consumerIdList: clientIds })
}

/**
 * A map from queues, as bodies 220–223 carry it under `name` (offsetTable, messageQueueTable): offsets by queue.
 * Written with objects as keys, which is what the Java readers need. remoting.md §9
 */
export function decodeQueueOffsets(body: Uint8Array | undefined, name: string): Decoded<Map<MessageQueue, number>> {
  return decodeObject(body, members =>
    entriesOf(members[name], readMessageQueue, (value: LenientJson) => numberOf(value)),
  )
}

export function encodeQueueOffsets(name: string, offsets: ReadonlyMap<MessageQueue, number>): Buffer {
  return formatJsonBody({ [name]: offsets })
}
