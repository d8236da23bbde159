import { parseLenientJson, type RemotingCommand } from '@millrace/core'

/** JSON body of an answer that must be a success; object-keyed maps are Maps. */
export function bodyOf<T = Readonly<Record<string, unknown>>>(answer: RemotingCommand): T {
  if (answer.code !== 0) throw new Error(`answered ${answer.code}: ${answer.remark}`)
  const parsed = parseLenientJson(answer.body ?? '')
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.value as T
}

/** An object-keyed map of queues, by queue id. */
export function byQueue<T>(table: unknown): Record<number, T> {
  if (!(table instanceof Map)) return {}
  return Object.fromEntries(
    [...(table as ReadonlyMap<{ readonly queueId: number }, T>)].map(([queue, value]) => [queue.queueId, value]),
  )
}

export function topicFields(topic: string, fields: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: '2',
    writeQueueNums: '2',
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
    ...fields,
  }
}
