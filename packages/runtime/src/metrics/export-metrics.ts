import type { BrokerConfig } from '../config/index.js'
import type { Listener } from '../listener/listener.js'
import type { Collector, Labels } from './metric.js'
import { pairs } from './service-metrics.js'

/**
 * Sends metrics where the configuration says, beyond `/metrics`. Returns what ends it.
 * @throws MillraceError ADDRESS_IN_USE | NETWORK for the port of its own
 */
export async function exportMetrics(
  config: BrokerConfig,
  listener: Listener,
  collect: Collector,
  common: Labels,
): Promise<() => unknown> {
  switch (config.metricsExporterType) {
    case 'DISABLE':
      break
    case 'PROM':
      await listener.listen({
        host: config.metricsPromExporterHost || config.bindAddress,
        port: config.metricsPromExporterPort,
      })
      break
    case 'OTLP_GRPC':
    case 'OTLP_HTTP': {
      // Loaded only now: it takes longer to load than a broker takes to start.
      const { startOtlp } = await import('./node-otlp.js')
      return startOtlp({
        protocol: config.metricsExporterType === 'OTLP_GRPC' ? 'grpc' : 'http',
        target: config.metricsGrpcExporterTarget,
        headers: pairs(config.metricsGrpcExporterHeader),
        intervalMs: config.metricGrpcExporterIntervalInMills,
        timeoutMs: config.metricGrpcExporterTimeOutInMills,
        collect,
        common,
      })
    }
  }
  return () => undefined
}
