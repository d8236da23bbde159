import { MillraceError } from '@millrace/core'
import type { CollectionResult, MetricData, PushMetricExporter } from '@opentelemetry/sdk-metrics'
import type { Collector, Labels, Metric } from './metric.js'

export interface OtlpOptions {
  readonly protocol: 'grpc' | 'http'
  /** URL of the collector. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly collect: Collector
  readonly common: Labels
}

const SCOPE = 'broker-meter'

/**
 * Sends metrics to a collector of OpenTelemetry, through its SDK, which users install themselves. Resolves with what
 * sends once more and ends it.
 * @throws MillraceError INVALID_CONFIG when the SDK is not installed
 */
export async function startOtlp(options: OtlpOptions): Promise<() => Promise<void>> {
  const { collect, common, intervalMs, timeoutMs } = options
  const [sdk, { resourceFromAttributes }] = await installed(() =>
    Promise.all([import('@opentelemetry/sdk-metrics'), import('@opentelemetry/resources')]),
  )
  const startTime = hrTime(Date.now())
  const producer = {
    collect: (): Promise<CollectionResult> => {
      const endTime = hrTime(Date.now())
      const metrics = collect()
        .filter(metric => metric.samples.length > 0)
        .map(metric => dataOf(metric, common, { startTime, endTime, sdk }))
      const resource = resourceFromAttributes({ 'service.name': 'millrace' })
      return Promise.resolve({
        resourceMetrics: { resource, scopeMetrics: [{ scope: { name: SCOPE }, metrics }] },
        errors: [],
      })
    },
  }
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: await exporterOf(options),
    exportIntervalMillis: Math.max(intervalMs, timeoutMs),
    exportTimeoutMillis: timeoutMs,
    metricProducers: [producer],
  })
  const provider = new sdk.MeterProvider({ readers: [reader] })
  // A collector that is away at the end must not keep the broker from stopping.
  return () => provider.shutdown({ timeoutMillis: timeoutMs }).catch(() => undefined)
}

async function exporterOf({ headers, protocol, target, timeoutMs }: OtlpOptions): Promise<PushMetricExporter> {
  const base = /^https?:\/\//.test(target) ? target : `https://${target}`
  if (protocol === 'grpc') {
    const { OTLPMetricExporter } = await installed(() => import('@opentelemetry/exporter-metrics-otlp-grpc'))
    const { Metadata } = await installed(() => import('@grpc/grpc-js'))
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    return new OTLPMetricExporter({ url: base, metadata, timeoutMillis: timeoutMs })
  }
  const { OTLPMetricExporter } = await installed(() => import('@opentelemetry/exporter-metrics-otlp-proto'))
  const url = new URL(base).pathname === '/' ? new URL('/v1/metrics', base).href : base
  return new OTLPMetricExporter({ url, headers, timeoutMillis: timeoutMs })
}

async function installed<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new MillraceError(
      'INVALID_CONFIG',
      `metricsExporterType asks for OpenTelemetry, which is not installed (${(cause as Error).message}); run npm install @opentelemetry/sdk-metrics@2 @opentelemetry/resources@2 @opentelemetry/exporter-metrics-otlp-grpc@0.223 (or -proto for OTLP_HTTP)`,
      { cause },
    )
  }
}

const UNITS = { bytes: 'By', milliseconds: 'ms', seconds: 's' } as const

interface Collection {
  readonly startTime: [number, number]
  readonly endTime: [number, number]
  readonly sdk: typeof import('@opentelemetry/sdk-metrics')
}

function dataOf(metric: Metric, common: Labels, { startTime, endTime, sdk }: Collection): MetricData {
  const descriptor = {
    name: metric.name,
    description: metric.help,
    unit: metric.unit === undefined ? '' : UNITS[metric.unit],
    valueType: 1,
  }
  const { otel_scope_name: _scope, ...shared } = common
  const dataPoints = metric.samples.map(({ labels, value }) => ({
    startTime,
    endTime,
    attributes: { ...shared, ...labels },
    value,
  }))
  const aggregationTemporality = sdk.AggregationTemporality.CUMULATIVE
  return metric.kind === 'counter'
    ? { dataPointType: sdk.DataPointType.SUM, descriptor, dataPoints, aggregationTemporality, isMonotonic: true }
    : { dataPointType: sdk.DataPointType.GAUGE, descriptor, dataPoints, aggregationTemporality }
}

function hrTime(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000)
  return [seconds, (milliseconds - seconds * 1000) * 1e6]
}
