import type { ActorSystem, Environment } from '@millrace/core'
import type { LogStore, MetadataStore } from '@millrace/storage'
import type { BrokerControl } from '../broker/broker-control.js'
import type { BrokerCounters } from '../broker/counters.js'
import type { BrokerConfig } from '../config/index.js'
import type { Listener } from '../listener/listener.js'
import type { RequestGuard } from '../security/request-guard.js'
import { actorMetrics } from './actor-metrics.js'
import { type AlarmBoard, type AlarmOptions, alarms } from './alarms.js'
import type { BrokenFrames } from './broken-frames.js'
import { brokerMetrics } from './broker-metrics.js'
import { type LagOptions, lagMetrics, lags } from './lag-metrics.js'
import { type Collector, counter, gauge, type Labels } from './metric.js'
import { spaceOf, storeMetrics } from './store-metrics.js'

export interface ServiceMetricsOptions {
  readonly system: ActorSystem
  readonly environment: Environment
  readonly guard: RequestGuard | undefined
  readonly brokenFrames: BrokenFrames
  readonly listener: () => Listener
  readonly board: AlarmBoard
  /** Present when this process is a broker. */
  readonly broker: BrokerParts | undefined
}

/** What there is to look at in a broker. */
export interface BrokerParts {
  readonly config: BrokerConfig
  readonly control: BrokerControl
  readonly counters: BrokerCounters
  readonly metadata: MetadataStore
  readonly store: LogStore
}

/** Everything there is to measure in this process, read when somebody asks. */
export function serviceMetrics(options: ServiceMetricsOptions): Collector {
  const { board, broker, brokenFrames, environment, guard, listener, system } = options
  const actors = actorMetrics(system)
  return () => [
    gauge('millrace_connections', 'Connections that are open', listener().connectionCount),
    counter('millrace_broken_frames_total', 'Connections that ended by sending what is no frame', brokenFrames.count),
    counter('millrace_requests_unauthorized_total', 'Requests that security refused', guard?.refused ?? 0),
    ...actors(),
    ...board.metrics(),
    ...(broker === undefined
      ? []
      : [
          ...brokerMetrics(broker),
          ...storeMetrics(broker.store, broker.config.storePathRootDir, environment),
          ...lagMetrics(lagsOf(broker, environment)),
        ]),
  ]
}

function lagsOf({ control, metadata, store }: BrokerParts, { clock }: Environment): LagOptions {
  const { groups, topicTable } = control
  return { clock, offsets: metadata.offsets, registry: groups.registry, store, topics: topicTable }
}

/** Starts to look for what people should know of. */
export function startAlarms(broker: BrokerParts, system: ActorSystem, board: AlarmBoard): void {
  const { environment } = system
  const { config, store } = broker
  const options: AlarmOptions = {
    config,
    refusal: () => store.refusal,
    space: () => spaceOf(environment.disk, config.storePathRootDir),
    lags: () => lags(lagsOf(broker, environment)),
  }
  system.spawn('alarms', alarms(options, board), { supervision: { kind: 'resume' } })
}

/** Labels of every metric, RocketMQ's and those of `metricsLabel`. */
export function commonLabels(config: BrokerConfig, isBroker: boolean): Labels {
  return {
    ...pairs(config.metricsLabel),
    cluster: config.brokerClusterName,
    node_id: isBroker ? config.brokerName : 'nameserver',
    node_type: isBroker ? 'broker' : 'nameserver',
    otel_scope_name: 'broker-meter',
  }
}

/** `name:value,name:value` → the pairs; what is written otherwise is left out, as RocketMQ does. */
export function pairs(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const item of text.split(',')) {
    const colon = item.indexOf(':')
    if (colon > 0) found[item.slice(0, colon).trim()] = item.slice(colon + 1).trim()
  }
  return found
}
