import type { Labels, Metric } from './metric.js'

/** Metrics in Prometheus' text format, version 0.0.4; `common` labels are added to every sample. */
export function prometheusText(metrics: readonly Metric[], common: Labels): string {
  const lines: string[] = []
  for (const metric of metrics) {
    const { help, kind, samples } = metric
    if (samples.length === 0) continue
    const name = nameOf(metric)
    lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${kind}`)
    for (const { labels, value } of samples) lines.push(`${name}${labelText({ ...common, ...labels })} ${value}`)
  }
  return `${lines.join('\n')}\n`
}

/** The official exporter ends names with their unit, unless it is there already. */
function nameOf({ name, unit }: Metric): string {
  return unit === undefined || name.split('_').includes(unit) ? name : `${name}_${unit}`
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
