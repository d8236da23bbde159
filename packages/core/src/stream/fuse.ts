import { MillraceError } from '../errors.js'
import { operatorFailed } from './error-policy.js'
import type { KeyByNode, OperatorNode, SinkNode, StreamNode } from './graph.js'
import type { Key } from './key.js'
import type { OperatorHost, Push, RecordContext, TimedOperator } from './operators/operator.js'

/** What a stage needs of its task. */
export interface FusionHost {
  readonly context: RecordContext
  isRepartitioned(node: KeyByNode): boolean
  repartition(node: KeyByNode, key: Key, value: unknown): void
  sink(node: SinkNode): Push
  hostOf(node: OperatorNode): OperatorHost
  /** Event time of a stage input; infinite while it has stepped aside. */
  watermarkOf(input: string): number
}

/** A timed operator and where the watermark in front of it is read. */
export interface FusedTimed {
  readonly id: string
  readonly operator: TimedOperator
  readonly input: () => number
}

/** Operators compiled into one closure per input. */
export interface FusedOperators {
  readonly inputs: ReadonlyMap<string, Push>
  /** In topological order: those before give their results before those behind them move on. */
  readonly timed: readonly FusedTimed[]
  /** The watermark in front of each operator. */
  readonly watermarks: ReadonlyMap<string, () => number>
}

/**
 * Fuses the operators of a stage into closures over the value.
 * @see design notes on fused closures: three times as fast as a Subject per record, within noise of generated code
 */
export function fuse(inputs: readonly string[], nodes: readonly StreamNode[], host: FusionHost): FusedOperators {
  const compiled = new Map<string, { readonly inputs: readonly Push[]; readonly timed: TimedOperator | undefined }>()

  function consumers(id: string, port: string): Push {
    const targets: Push[] = []
    for (const node of nodes)
      node.inputs.forEach((input, place) => {
        if (input.id === id && input.port === port) targets.push(compiled.get(node.id)!.inputs[place]!)
      })
    return fanOut(targets)
  }

  for (const node of [...nodes].reverse()) {
    const next = consumers(node.id, 'out')
    switch (node.role) {
      case 'operator': {
        const operator = node.make(host.hostOf(node), next, port => consumers(node.id, port))
        compiled.set(node.id, { inputs: operator.inputs, timed: operator.timed })
        break
      }
      case 'key-by':
        compiled.set(node.id, { inputs: [keyBy(node, host, next)], timed: undefined })
        break
      case 'sink':
        compiled.set(node.id, { inputs: [host.sink(node)], timed: undefined })
        break
      case 'source':
        throw new MillraceError('INVARIANT', `source "${node.id}" is an input of its stage`)
    }
  }

  const outputs = new Map<string, () => number>()
  for (const input of inputs) outputs.set(input, () => host.watermarkOf(input))
  const watermarks = new Map<string, () => number>()
  const timed: FusedTimed[] = []
  for (const node of nodes) {
    const timing = node.role === 'operator' && node.isTimedByFirst ? node.inputs.slice(0, 1) : node.inputs
    const before = least(timing.map(input => outputs.get(input.id)!))
    watermarks.set(node.id, before)
    const operator = compiled.get(node.id)!.timed
    if (operator === undefined) outputs.set(node.id, before)
    else {
      timed.push({ id: node.id, operator, input: before })
      outputs.set(node.id, () => operator.watermark)
    }
    // Behind a key-by that moved, the topic has a watermark of its own.
    if (node.role === 'key-by' && host.isRepartitioned(node)) outputs.set(node.id, () => host.watermarkOf(node.id))
  }
  return { inputs: new Map(inputs.map(input => [input, consumers(input, 'out')])), timed, watermarks }
}

function keyBy(node: KeyByNode, host: FusionHost, next: Push): Push {
  const { context } = host
  const keyOf = (value: unknown): Key => {
    if (node.key === undefined) return context.key!
    let key: unknown
    try {
      key = node.key(value)
    } catch (cause) {
      throw operatorFailed(node.id, cause)
    }
    if (typeof key === 'string' || typeof key === 'number') return key
    const what = key === null ? 'null' : typeof key
    throw operatorFailed(node.id, new TypeError(`the key is ${what}; it must be a string or a number`))
  }
  if (host.isRepartitioned(node)) return value => host.repartition(node, keyOf(value), value)
  return value => {
    const outer = context.key
    context.key = keyOf(value)
    next(value)
    context.key = outer
  }
}

function fanOut(targets: readonly Push[]): Push {
  const [first, second] = targets
  if (first === undefined) return () => {}
  if (second === undefined) return first
  return value => {
    for (const target of targets) target(value)
  }
}

function least(watermarks: readonly (() => number)[]): () => number {
  const [first, second, third] = watermarks
  if (first === undefined) throw new MillraceError('INVARIANT', 'an operator has an input')
  if (second === undefined || second === first) return first
  if (third === undefined) return () => Math.min(first(), second())
  return () => {
    let minimum = first()
    for (const watermark of watermarks) minimum = Math.min(minimum, watermark())
    return minimum
  }
}
