import { crc32, deflateSync } from 'node:zlib'

export interface RegistrationOptions {
  /** Topic → queues. */
  readonly topics: Readonly<Record<string, number>>
  readonly counter?: number
  readonly isCompressed?: boolean
  readonly heartbeatTimeoutMillis?: number
}

/** What a broker named broker-b at 10.0.0.2 would send with [103]. */
export function registration({
  counter = 1,
  heartbeatTimeoutMillis,
  isCompressed = false,
  topics,
}: RegistrationOptions): {
  readonly fields: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly dataVersion: object
} {
  const dataVersion = { counter, stateVersion: 0, timestamp: 1_700_000_000_000 }
  const body = isCompressed ? compressed(dataVersion, topics) : plain(dataVersion, topics)
  const fields = {
    brokerName: 'broker-b',
    brokerAddr: '10.0.0.2:10911',
    clusterName: 'other',
    brokerId: '0',
    haServerAddr: '10.0.0.2:10912',
    compressed: String(isCompressed),
    bodyCrc32: String(crc32(body) | 0),
    ...(heartbeatTimeoutMillis && { heartbeatTimeoutMillis: String(heartbeatTimeoutMillis) }),
  }
  return { fields, body, dataVersion }
}

function plain(dataVersion: object, topics: Readonly<Record<string, number>>): Buffer {
  const topicConfigTable = Object.fromEntries(
    Object.entries(topics).map(([topicName, queues]) => [
      topicName,
      {
        topicName,
        readQueueNums: queues,
        writeQueueNums: queues,
        perm: 6,
        topicFilterType: 'SINGLE_TAG',
        order: false,
      },
    ]),
  )
  return Buffer.from(
    JSON.stringify({ filterServerList: [], topicConfigSerializeWrapper: { dataVersion, topicConfigTable } }),
  )
}

function compressed(dataVersion: object, topics: Readonly<Record<string, number>>): Buffer {
  const lines = Object.entries(topics).map(([name, queues]) => `${name} ${queues} ${queues} 6 SINGLE_TAG {}`)
  return deflateSync(
    Buffer.concat([text(JSON.stringify(dataVersion)), length(lines.length), ...lines.map(text), text('[]'), length(0)]),
  )
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([length(bytes.length), bytes])
}

function length(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
