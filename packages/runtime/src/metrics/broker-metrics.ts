import { isSystemGroup, isSystemTopic } from '@millrace/core'
import type { BrokerControl } from '../broker/broker-control.js'
import { type BrokerCounters, GROUP, TOPIC } from '../broker/counters.js'
import type { BrokerConfig } from '../config/index.js'
import { counter, gauge, type Labels, type Metric, type Sample } from './metric.js'

export interface BrokerMetricsOptions {
  readonly config: BrokerConfig
  readonly control: BrokerControl
  readonly counters: BrokerCounters
}

/** Counts, connections and transactions. RocketMQ `BrokerMetricsManager` */
export function brokerMetrics({ config, control, counters }: BrokerMetricsOptions): Metric[] {
  const { groups, topicTable, transactions } = control
  return [
    gauge('rocketmq_broker_permission', 'Broker permission', config.brokerPermission),
    gauge('rocketmq_topic_number', 'Active topic number', count(topicTable.all())),
    gauge(
      'rocketmq_consumer_group_number',
      'Active subscription group number',
      groups.subscriptionGroups.names().length,
    ),
    ...throughput(counters, control),
    ...connections(control),
    ...endedTransactions(control),
    gauge('rocketmq_half_messages', 'Half messages of all topics', transactions.pending()),
    counter('millrace_sends_refused_total', 'Sends that were answered with an error', counters.sendsRefused),
  ]
}

function count(items: Iterable<unknown>): number {
  let found = 0
  for (const _item of items) found++
  return found
}

const TYPES: Readonly<Record<string, string>> = {
  NORMAL: 'normal',
  FIFO: 'fifo',
  DELAY: 'delay',
  TRANSACTION: 'transaction',
}

function throughput(counters: BrokerCounters, { topicTable }: BrokerControl): Metric[] {
  const messagesIn: Sample[] = []
  const bytesIn: Sample[] = []
  const messagesOut: Sample[] = []
  const bytesOut: Sample[] = []
  const deadLetters: Sample[] = []
  for (const meter of counters.topics()) {
    const { name } = meter.topic
    const type = topicTable.find(name)?.attributes['message.type'] ?? 'NORMAL'
    const into = { topic: name, message_type: TYPES[type] ?? 'unspecified', is_system: String(meter.isSystem) }
    messagesIn.push({ labels: into, value: meter.now[TOPIC.messages]! })
    bytesIn.push({ labels: into, value: meter.now[TOPIC.bytes]! })
    for (const [group, reader] of meter.groups) {
      const labels = readerLabels(group, name)
      messagesOut.push({ labels, value: reader.now[GROUP.messages]! })
      bytesOut.push({ labels, value: reader.now[GROUP.bytes]! })
      if (reader.now[GROUP.deadLetters]! > 0) deadLetters.push({ labels, value: reader.now[GROUP.deadLetters]! })
    }
  }
  const of = (name: string, help: string, samples: Sample[]): Metric => ({ name, help, kind: 'counter', samples })
  return [
    of('rocketmq_messages_in_total', 'Total number of incoming messages', messagesIn),
    of('rocketmq_throughput_in_total', 'Total traffic of incoming messages', bytesIn),
    of('rocketmq_messages_out_total', 'Total number of outgoing messages', messagesOut),
    of('rocketmq_throughput_out_total', 'Total traffic of outgoing messages', bytesOut),
    of('rocketmq_send_to_dlq_messages_total', 'Consumer send to DLQ messages', deadLetters),
  ]
}

/** How RocketMQ labels what a group does with a topic. */
export function readerLabels(group: string, topic: string): Labels {
  return {
    consumer_group: group,
    topic,
    is_retry: String(topic.startsWith('%RETRY%')),
    is_system: String(isSystemTopic(topic) || isSystemGroup(group)),
  }
}

const CONSUME_MODES: Readonly<Record<string, string>> = {
  CONSUME_ACTIVELY: 'pull',
  CONSUME_PASSIVELY: 'push',
  CONSUME_POP: 'pop',
}

function connections({ groups }: BrokerControl): Metric[] {
  const producers = new Tally()
  for (const group of groups.producers.groups())
    for (const { language, version } of groups.producers.members(group) ?? [])
      producers.add({ language: language.toLowerCase(), version: String(version), protocol_type: 'remoting' })
  const consumers = new Tally()
  for (const group of groups.registry.all())
    for (const { language, version } of group.members.values())
      consumers.add({
        consumer_group: group.name,
        language: language.toLowerCase(),
        version: String(version),
        consume_mode: CONSUME_MODES[group.consumeType] ?? 'push',
        protocol_type: 'remoting',
        is_system: String(isSystemGroup(group.name)),
      })
  return [
    {
      name: 'rocketmq_producer_connections',
      help: 'Producer connections',
      kind: 'gauge',
      samples: producers.samples(),
    },
    {
      name: 'rocketmq_consumer_connections',
      help: 'Consumer connections',
      kind: 'gauge',
      samples: consumers.samples(),
    },
  ]
}

function endedTransactions({ transactions }: BrokerControl): Metric[] {
  const entries = [...transactions.topics]
  const of = (name: string, help: string, key: 'committed' | 'rolledBack'): Metric => ({
    name,
    help,
    kind: 'counter',
    samples: entries.map(([topic, counts]) => ({ labels: { topic }, value: counts[key] })),
  })
  return [
    of('rocketmq_commit_messages_total', 'Total number of commit messages', 'committed'),
    of('rocketmq_rollback_messages_total', 'Total number of rollback messages', 'rolledBack'),
  ]
}

/** Counts equal labels. */
class Tally {
  readonly #counts = new Map<string, { readonly labels: Labels; value: number }>()

  add(labels: Labels): void {
    const key = JSON.stringify(labels)
    const known = this.#counts.get(key)
    if (known) known.value++
    else this.#counts.set(key, { labels, value: 1 })
  }

  samples(): Sample[] {
    return [...this.#counts.values()]
  }
}
