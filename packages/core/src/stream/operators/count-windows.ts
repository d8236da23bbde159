import type { EmitPlan } from '../emit.js'
import type { ErrorPolicy } from '../error-policy.js'
import type { Aggregation } from './aggregation.js'
import type { OperatorFactory } from './operator.js'

type Filling = [count: number, first: number, last: number, states: unknown[]]

/** Aggregates every `size` values of a key, in the order in which they come. */
export function countWindowOperator(
  size: number,
  aggregation: Aggregation,
  emit: EmitPlan,
  policy?: ErrorPolicy,
): OperatorFactory {
  return (host, next) => {
    const store = host.keyStore<Filling>()
    return {
      inputs: [
        value => {
          const { timestamp, key } = host.context
          const entry = store.entry(key!)
          const filling = (entry.state ??= [0, timestamp, timestamp, aggregation.init()])
          store.touch(entry)
          try {
            aggregation.add(filling[3], value)
          } catch (cause) {
            host.failed(cause, value, policy)
            return
          }
          filling[0]++
          filling[1] = Math.min(filling[1], timestamp)
          filling[2] = Math.max(filling[2], timestamp)
          const [count, first, last, states] = filling
          if (count === size) entry.state = undefined
          if (count === size || emit.kind === 'updates')
            next({ key, window: { start: first, end: last + 1 }, value: aggregation.result(states) })
        },
      ],
    }
  }
}
