import { choice, integer, milliseconds, text } from './setting.js'

/** Who gets the metrics, under RocketMQ's names. `/metrics` is served on every port whatever is chosen here. */
export const metricsSettings = {
  metricsExporterType: choice(
    ['DISABLE', 'PROM', 'OTLP_GRPC', 'OTLP_HTTP'],
    'DISABLE',
    'PROM serves /metrics on a port of its own too; OTLP_GRPC and OTLP_HTTP send to metricsGrpcExporterTarget.',
  ),
  metricsPromExporterHost: text('', 'Address of that port; empty means bindAddress (RocketMQ: brokerIP1).'),
  metricsPromExporterPort: integer(5557, { min: 0, max: 65535 }, 'Port of its own for /metrics; 0 picks a free one.'),
  metricsGrpcExporterTarget: text('', 'Collector of OpenTelemetry, such as http://127.0.0.1:4317 (HTTP: 4318).'),
  metricsGrpcExporterHeader: text('', 'Headers for the collector, as name:value joined by commas.', { isSecret: true }),
  metricGrpcExporterTimeOutInMills: milliseconds(3_000, 'How long sending may take.'),
  metricGrpcExporterIntervalInMills: milliseconds(60_000, 'How often metrics are sent.'),
  alarmDiskUsedRatio: integer(90, { min: 1, max: 100 }, 'Percent of the disk in use from which the log says so.'),
  alarmLagSeconds: integer(
    0,
    { min: 0, max: 31_536_000 },
    'Seconds a group may be behind before the log says so; 0 never looks.',
  ),
  metricsLabel: text('', 'Labels for every metric, as name:value joined by commas.'),
} as const
