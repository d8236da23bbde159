import { type BrokerData, isReadable, isWriteable, type MessageQueue, type TopicRouteData } from '@millrace/core'

/** Id of a broker's master among its nodes. */
export const MASTER_ID = '0'

/** Queues of one broker that are taken from a route: a larger number is nonsense, and costs memory. */
const QUEUES_MAX = 65_536

/** Where the queues of a topic are. */
export interface TopicRoute {
  readonly topic: string
  /** Queues that take messages: of brokers with write permission and a master; by broker name, then queue id. */
  readonly writeQueues: readonly MessageQueue[]
  /** Queues that can be consumed. */
  readonly readQueues: readonly MessageQueue[]
  /** By broker name. */
  readonly brokers: ReadonlyMap<string, BrokerData>
}

/** A route as clients use it. behaviour.md §1 */
export function topicRoute(topic: string, { queueDatas, brokerDatas }: TopicRouteData): TopicRoute {
  const brokers = new Map(brokerDatas.map(broker => [broker.brokerName, broker]))
  const writeQueues: MessageQueue[] = []
  const readQueues: MessageQueue[] = []
  const byName = [...queueDatas].sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1))
  for (const { brokerName, perm, writeQueueNums, readQueueNums } of byName) {
    const broker = brokers.get(brokerName)
    if (!broker) continue
    if (isWriteable(perm) && broker.brokerAddrs[MASTER_ID] !== undefined)
      addQueues(writeQueues, topic, brokerName, writeQueueNums)
    if (isReadable(perm)) addQueues(readQueues, topic, brokerName, readQueueNums)
  }
  return { topic, writeQueues, readQueues, brokers }
}

function addQueues(queues: MessageQueue[], topic: string, brokerName: string, count: number): void {
  for (let queueId = 0; queueId < Math.min(count, QUEUES_MAX); queueId++) queues.push({ topic, brokerName, queueId })
}
