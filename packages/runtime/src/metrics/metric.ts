/** Names and values that tell samples of one metric apart. */
export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** One metric as it is now. Counters grow, and begin at 0 with the process. */
export interface Metric {
  /** RocketMQ's name where it has one; ours begin with `millrace_`. */
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  /** Prometheus adds it to the name. */
  readonly unit?: 'bytes' | 'milliseconds' | 'seconds' | undefined
  readonly samples: readonly Sample[]
}

/** Reads figures out of some part of the service, when somebody asks. */
export type Collector = () => readonly Metric[]

const NO_LABELS: Labels = {}

export function gauge(
  name: string,
  help: string,
  value: number | undefined,
  { labels = NO_LABELS, unit }: { readonly labels?: Labels; readonly unit?: Metric['unit'] } = {},
): Metric {
  return { name, help, kind: 'gauge', unit, samples: value === undefined ? [] : [{ labels, value }] }
}

export function counter(name: string, help: string, value: number): Metric {
  return { name, help, kind: 'counter', samples: [{ labels: NO_LABELS, value }] }
}
