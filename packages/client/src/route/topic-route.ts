import { isReadable, isWriteable, type MessageQueue } from '@millrace/core'

/** Id of a broker's master among its nodes. */
export const MASTER_ID = '0'

/** Where the queues of a topic are. */
export interface TopicRoute {
  readonly topic: string
  /** Queues that take messages: of brokers with write permission and a master; by broker name, then queue id. */
  readonly writeQueues: readonly MessageQueue[]
  /** Queues that can be consumed. */
  readonly readQueues: readonly MessageQueue[]
  /** Broker name → broker id ("0" is the master) → `host:port`. */
  readonly brokers: ReadonlyMap<string, BrokerAddresses>
}

export type BrokerAddresses = Readonly<Record<string, string>>

interface QueueData {
  readonly brokerName: string
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
}

interface BrokerData {
  readonly brokerName: string
  readonly brokerAddrs: BrokerAddresses
}

/** Queues of one broker that a route may name: a larger number is taken for nonsense. */
const QUEUES_MAX = 65_536

/** Reads the body of a route answer (strict JSON, as we ask for); undefined when it is no route. behaviour.md §1 */
export function parseTopicRoute(topic: string, body: Buffer | undefined): TopicRoute | undefined {
  const data = parseJson(body) as { queueDatas?: unknown; brokerDatas?: unknown } | undefined
  if (!Array.isArray(data?.queueDatas) || !Array.isArray(data.brokerDatas)) return undefined
  if (!data.queueDatas.every(isQueueData) || !data.brokerDatas.every(isBrokerData)) return undefined
  return topicRoute(topic, data.queueDatas, data.brokerDatas)
}

function topicRoute(topic: string, queueDatas: readonly QueueData[], brokerDatas: readonly BrokerData[]): TopicRoute {
  const brokers = new Map(brokerDatas.map(({ brokerName, brokerAddrs }) => [brokerName, brokerAddrs]))
  const writeQueues: MessageQueue[] = []
  const readQueues: MessageQueue[] = []
  const byName = [...queueDatas].sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1))
  for (const { brokerName, perm, writeQueueNums, readQueueNums } of byName) {
    const addresses = brokers.get(brokerName)
    if (addresses === undefined) continue
    if (isWriteable(perm) && addresses[MASTER_ID] !== undefined)
      for (let queueId = 0; queueId < writeQueueNums; queueId++) writeQueues.push({ topic, brokerName, queueId })
    if (isReadable(perm))
      for (let queueId = 0; queueId < readQueueNums; queueId++) readQueues.push({ topic, brokerName, queueId })
  }
  return { topic, writeQueues, readQueues, brokers }
}

/** The JSON value of an answer's body; undefined when there is none. */
export function parseJson(body: Buffer | undefined): unknown {
  if (!body) return undefined
  try {
    return JSON.parse(body.toString())
  } catch {
    // Whoever asked says what could not be read.
    return undefined
  }
}

function isQueueData(value: unknown): value is QueueData {
  const data = value as Partial<Record<keyof QueueData, unknown>> | null
  return (
    typeof data?.brokerName === 'string' &&
    isQueueCount(data.readQueueNums) &&
    isQueueCount(data.writeQueueNums) &&
    typeof data.perm === 'number'
  )
}

function isQueueCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= QUEUES_MAX
}

export function isBrokerData(value: unknown): value is BrokerData {
  const data = value as Partial<Record<keyof BrokerData, unknown>> | null
  if (typeof data?.brokerName !== 'string' || typeof data.brokerAddrs !== 'object' || data.brokerAddrs === null)
    return false
  return Object.values(data.brokerAddrs).every(address => typeof address === 'string')
}
