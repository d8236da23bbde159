import { allocateQueues, type MessageQueue, type RebalanceStrategy } from '@millrace/core'

/** Strategies that the broker shares queues out by; clients may know more. */
export function serverStrategy(name: string): RebalanceStrategy | undefined {
  return name === 'AVG' || name === 'AVG_BY_CIRCLE' ? name : undefined
}

/**
 * Queues of one client that pops. With `shareCount` of 0 or less, or when nearly all clients would share a queue anyway,
 * each pops any queue (id −1) of every broker; otherwise its own queues and those of the `shareCount` clients after it.
 * @see RocketMQ `QueryAssignmentProcessor#allocate4Pop`
 */
export function allocateForPop(
  strategy: RebalanceStrategy,
  clientId: string,
  clientIds: readonly string[],
  queues: readonly MessageQueue[],
  shareCount: number,
): MessageQueue[] {
  if (shareCount <= 0 || shareCount >= clientIds.length - 1)
    return distinct(queues.map(({ brokerName, topic }) => ({ topic, brokerName, queueId: -1 })))
  const sorted = [...clientIds].sort()
  const index = sorted.indexOf(clientId)
  if (index < 0 || queues.length === 0) return []
  // More clients than queues: nobody is left without one.
  if (sorted.length > queues.length) return [sortQueues(queues)[index % queues.length]]
  const sharing = Array.from({ length: shareCount + 1 }, (_, i) => sorted[(index + i) % sorted.length])
  return distinct(sharing.flatMap(client => allocateQueues(strategy, client, sorted, queues)))
}

function sortQueues(queues: readonly MessageQueue[]): MessageQueue[] {
  return allocateQueues('AVG', '', [''], queues)
}

function distinct(queues: readonly MessageQueue[]): MessageQueue[] {
  return [...new Map(queues.map(queue => [`${queue.topic}@${queue.brokerName}@${queue.queueId}`, queue])).values()]
}
