import type { Aggregate, Aggregator } from '../aggregator.js'

/**
 * Several named aggregators as one. The stored state of each is an element of an array, in the order of their names in the
 * spec; what is in front of them belongs to the operator.
 */
export class Aggregation {
  readonly #names: readonly string[]
  readonly #aggregators: readonly Aggregator<unknown, unknown, unknown>[]
  /** With a single aggregator its result is the value itself. */
  readonly #isSingle: boolean

  constructor(spec: Aggregate<unknown>) {
    if (isAggregator(spec)) {
      this.#names = ['']
      this.#aggregators = [spec]
      this.#isSingle = true
    } else {
      this.#names = Object.keys(spec)
      this.#aggregators = Object.values(spec)
      this.#isSingle = false
    }
  }

  /** Number of aggregators. */
  get size(): number {
    return this.#aggregators.length
  }

  init(): unknown[] {
    const states = new Array<unknown>(this.#aggregators.length)
    for (let i = 0; i < states.length; i++) states[i] = this.#aggregators[i]!.init()
    return states
  }

  add(states: unknown[], value: unknown): void {
    const aggregators = this.#aggregators
    for (let i = 0; i < aggregators.length; i++) states[i] = aggregators[i]!.add(states[i], value)
  }

  subtract(states: unknown[], value: unknown): void {
    const aggregators = this.#aggregators
    for (let i = 0; i < aggregators.length; i++) states[i] = aggregators[i]!.subtract!(states[i], value)
  }

  merge(first: readonly unknown[], second: readonly unknown[]): unknown[] {
    return this.#aggregators.map((aggregator, i) => aggregator.merge!(first[i], second[i]))
  }

  result(states: readonly unknown[]): unknown {
    if (this.#isSingle) return this.#aggregators[0]!.result(states[0])
    const value: Record<string, unknown> = {}
    for (let i = 0; i < this.#aggregators.length; i++) value[this.#names[i]!] = this.#aggregators[i]!.result(states[i])
    return value
  }
}

/** A bare aggregator where a spec may stand too. */
export function isAggregator(spec: Aggregate<never>): spec is Aggregator<never, unknown, unknown> {
  return typeof (spec as Aggregator<never, unknown, unknown>).add === 'function'
}

/** `n: count, top: max`. */
export function describeSpec(spec: Aggregate<never>): string {
  if (isAggregator(spec)) return spec.kind
  return Object.entries(spec)
    .map(([name, aggregator]) => `${name}: ${(aggregator as Aggregator<never, unknown, unknown>).kind}`)
    .join(', ')
}
