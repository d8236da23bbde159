import { type OperatorFunction as RxOperator, Subject } from 'rxjs'
import { type ErrorPolicy, operatorFailed } from '../error-policy.js'
import type { OperatorFactory, Push } from './operator.js'

/** One output per input. */
export function mapOperator(apply: (value: unknown) => unknown, policy?: ErrorPolicy): OperatorFactory {
  return (host, next) => ({
    inputs: [
      value => {
        let result: unknown
        try {
          result = apply(value)
        } catch (cause) {
          host.failed(cause, value, policy)
          return
        }
        next(result)
      },
    ],
  })
}

export function filterOperator(test: (value: unknown) => boolean, policy?: ErrorPolicy): OperatorFactory {
  return (host, next) => ({
    inputs: [
      value => {
        let passes: boolean
        try {
          passes = test(value)
        } catch (cause) {
          host.failed(cause, value, policy)
          return
        }
        if (passes) next(value)
      },
    ],
  })
}

/** All outputs are made before the first is passed on: a failure in between leaves none. */
export function flatMapOperator(apply: (value: unknown) => Iterable<unknown>, policy?: ErrorPolicy): OperatorFactory {
  return (host, next) => ({
    inputs: [
      value => {
        let results: readonly unknown[]
        try {
          const made = apply(value)
          results = Array.isArray(made) ? made : [...made]
        } catch (cause) {
          host.failed(cause, value, policy)
          return
        }
        for (const result of results) next(result)
      },
    ],
  })
}

export function peekOperator(effect: (value: unknown) => void, policy?: ErrorPolicy): OperatorFactory {
  return (host, next) => ({
    inputs: [
      value => {
        try {
          effect(value)
        } catch (cause) {
          host.failed(cause, value, policy)
          return
        }
        next(value)
      },
    ],
  })
}

/** Sends each value to the first branch whose test it passes; each branch is an output port of its name. */
export function branchOperator(
  branches: readonly (readonly [name: string, test: (value: unknown) => boolean])[],
  policy?: ErrorPolicy,
): OperatorFactory {
  return (host, _, port) => {
    const targets = branches.map(([name, test]) => ({ test, push: port(name) }))
    const rest = port('rest')
    return {
      inputs: [
        value => {
          let target: Push = rest
          try {
            for (const branch of targets)
              if (branch.test(value)) {
                target = branch.push
                break
              }
          } catch (cause) {
            host.failed(cause, value, policy)
            return
          }
          target(value)
        },
      ],
    }
  }
}

/** All inputs into one output. With one input: gives an output port a name in the graph. */
export function mergeOperator(inputCount: number): OperatorFactory {
  return (_, next) => ({ inputs: new Array<Push>(inputCount).fill(next) })
}

/** Feeds RxJS operators one value at a time and takes what they answer before the next. */
export function rxOperator(operators: readonly RxOperator<unknown, unknown>[]): OperatorFactory {
  return (host, next) => {
    const input = new Subject<unknown>()
    const answers: unknown[] = []
    let failure: unknown
    let hasFailed = false
    let isFeeding = false
    const chain = operators.reduce((stream, operator) => operator(stream), input.asObservable())
    const subscription = chain.subscribe({
      next(value) {
        if (isFeeding) {
          answers.push(value)
          return
        }
        hasFailed = true
        failure = new Error(
          'it emitted asynchronously; only operators that answer at once are supported inside .pipe(); use mapAsync for promises',
        )
      },
      error(error: unknown) {
        hasFailed = true
        failure = error
      },
    })
    host.onClose(() => subscription.unsubscribe())
    return {
      inputs: [
        value => {
          // An exception from `next` inside the subscription would be lost to RxJS' global handler: answers are passed on out here.
          isFeeding = true
          input.next(value)
          isFeeding = false
          if (hasFailed) throw operatorFailed(host.id, failure)
          if (answers.length === 0) return
          if (answers.length === 1) {
            const only = answers[0]
            answers.length = 0
            next(only)
          } else for (const answer of answers.splice(0)) next(answer)
        },
      ],
    }
  }
}
