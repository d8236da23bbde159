import { createHash } from 'node:crypto'

/** One queue of a topic. */
export interface MessageQueue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** How the queues of a topic are shared among the clients of a group. Names as on the wire. behaviour.md §3 */
export const REBALANCE_STRATEGIES = ['AVG', 'AVG_BY_CIRCLE', 'CONSISTENT_HASH'] as const
export type RebalanceStrategy = (typeof REBALANCE_STRATEGIES)[number]

const VIRTUAL_NODES = 10

/** Order by topic, broker name, queue id: the order that every client has to agree on. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  return compareText(a.topic, b.topic) || compareText(a.brokerName, b.brokerName) || a.queueId - b.queueId
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Queues of `clientId`, sorted; the inputs may be in any order. Empty when the client is not in the group. */
export function allocateQueues(
  strategy: RebalanceStrategy,
  clientId: string,
  clientIds: readonly string[],
  queues: readonly MessageQueue[],
): MessageQueue[] {
  const clients = [...clientIds].sort(compareText)
  const sorted = [...queues].sort(compareQueues)
  const index = clients.indexOf(clientId)
  if (index < 0) return []
  switch (strategy) {
    case 'AVG':
      return average(index, clients.length, sorted)
    case 'AVG_BY_CIRCLE':
      return sorted.filter((_queue, k) => k % clients.length === index)
    case 'CONSISTENT_HASH':
      return consistentHash(clientId, clients, sorted)
  }
}

function average(index: number, clientCount: number, queues: readonly MessageQueue[]): MessageQueue[] {
  const rest = queues.length % clientCount
  const size = Math.floor(queues.length / clientCount)
  const start = index * size + Math.min(index, rest)
  return queues.slice(start, start + size + (index < rest ? 1 : 0))
}

function consistentHash(clientId: string, clients: readonly string[], queues: readonly MessageQueue[]): MessageQueue[] {
  const ring = clients
    .flatMap(client =>
      Array.from({ length: VIRTUAL_NODES }, (_, i) => ({ point: ringPoint(`${client}-${i}`), client })),
    )
    .sort((a, b) => a.point - b.point)
  return queues.filter(({ topic, brokerName, queueId }) => {
    const point = ringPoint(`MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`)
    return (ring.find(node => node.point >= point) ?? ring[0]).client === clientId
  })
}

function ringPoint(text: string): number {
  return createHash('md5').update(text).digest().readUInt32BE(0)
}
