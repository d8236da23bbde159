import type { ErrorPolicy } from '../error-policy.js'
import type { Key } from '../key.js'
import type { KeyStore } from '../stores/key-store.js'
import type { Aggregation } from './aggregation.js'
import type { OperatorFactory, OperatorHost } from './operator.js'

/** What flows out of a table: the value of the context's key before and after; undefined stands for none. */
export interface Change {
  readonly old: unknown
  readonly value: unknown
}

/** Makes a store of plain values readable. */
export function publishValues(host: OperatorHost, store: KeyStore<unknown>): void {
  host.publish({
    get: key => store.get(key),
    range: (from, to, limit) => store.range(from, to, limit),
    fetch: () => [],
  })
}

/** Keeps the last value of each key; null and undefined delete. */
export function tableOperator(): OperatorFactory {
  return simple((host, next) => {
    const store = host.keyStore<unknown>()
    publishValues(host, store)
    return value => {
      const { context } = host
      if (context.key === undefined) {
        host.late()
        return
      }
      const key = value === null || value === undefined ? deletedKey(store, context.key) : context.key
      const entry = store.entry(key)
      const old = entry.state
      const now = value ?? undefined
      if (now === undefined && old === undefined) return
      entry.state = now
      store.touch(entry)
      context.key = key
      next({ old, value: now } satisfies Change)
    }
  })
}

/** Folds the values of each key into a table. */
export function aggregateOperator(aggregation: Aggregation, policy?: ErrorPolicy): OperatorFactory {
  return simple((host, next) => {
    const store = host.keyStore<unknown[]>()
    publishStates(host, store, aggregation)
    return value => {
      const entry = store.entry(host.context.key!)
      const states = entry.state
      const old = states && aggregation.result(states)
      const added = states ?? aggregation.init()
      try {
        aggregation.add(added, value)
      } catch (cause) {
        host.failed(cause, value, policy)
        return
      }
      entry.state = added
      store.touch(entry)
      next({ old, value: aggregation.result(added) } satisfies Change)
    }
  })
}

export function reduceOperator(
  reduce: (first: unknown, second: unknown) => unknown,
  policy?: ErrorPolicy,
): OperatorFactory {
  return simple((host, next) => {
    const store = host.keyStore<unknown>()
    publishValues(host, store)
    return value => {
      const entry = store.entry(host.context.key!)
      const old = entry.state
      let reduced: unknown
      try {
        reduced = old === undefined ? value : reduce(old, value)
      } catch (cause) {
        host.failed(cause, value, policy)
        return
      }
      entry.state = reduced
      store.touch(entry)
      next({ old, value: reduced } satisfies Change)
    }
  })
}

/** A row of a table on its way to its new group: `sign` is 1 for what is added, -1 for what is taken back. */
export interface GroupChange {
  readonly key: Key
  readonly sign: 1 | -1
  readonly value: unknown
}

/** Splits each change into what its old group loses and its new group gains. */
export function regroupOperator(keyOf: (value: unknown, key: Key) => Key): OperatorFactory {
  return simple((host, next) => change => {
    const { old, value } = change as Change
    const { key } = host.context
    if (old !== undefined) next({ key: keyOf(old, key!), sign: -1, value: old } satisfies GroupChange)
    if (value !== undefined) next({ key: keyOf(value, key!), sign: 1, value } satisfies GroupChange)
    host.context.key = key
  })
}

/** Folds the rows of each group; a group without rows is deleted. The number of rows lies behind the states. */
export function groupAggregateOperator(aggregation: Aggregation, policy?: ErrorPolicy): OperatorFactory {
  return simple((host, next) => {
    const store = host.keyStore<unknown[]>()
    publishStates(host, store, aggregation)
    const place = aggregation.size
    return value => {
      const { sign, value: row } = value as GroupChange
      const entry = store.entry(host.context.key!)
      const old = entry.state && aggregation.result(entry.state)
      const states = entry.state ?? [...aggregation.init(), 0]
      try {
        if (sign === 1) aggregation.add(states, row)
        else aggregation.subtract(states, row)
      } catch (cause) {
        host.failed(cause, row, policy)
        return
      }
      const rows = (states[place] as number) + sign
      states[place] = rows
      entry.state = rows > 0 ? states : undefined
      store.touch(entry)
      next({ old, value: rows > 0 ? aggregation.result(states) : undefined } satisfies Change)
    }
  })
}

export function tableFilterOperator(test: (value: unknown, key: Key) => boolean): OperatorFactory {
  return simple((host, next) => change => {
    const { key } = host.context
    const keep = (value: unknown): unknown => (value !== undefined && test(value, key!) ? value : undefined)
    const old = keep((change as Change).old)
    const value = keep((change as Change).value)
    if (old !== undefined || value !== undefined) next({ old, value } satisfies Change)
  })
}

export function mapValuesOperator(project: (value: unknown, key: Key) => unknown): OperatorFactory {
  return simple((host, next) => change => {
    const { key } = host.context
    const { old, value } = change as Change
    next({
      old: old === undefined ? undefined : project(old, key!),
      value: value === undefined ? undefined : project(value, key!),
    } satisfies Change)
  })
}

/** Changes as values of a stream: key, and the new value or undefined. */
export function toStreamOperator(): OperatorFactory {
  return simple((host, next) => change => next({ key: host.context.key, value: (change as Change).value }))
}

function publishStates(host: OperatorHost, store: KeyStore<unknown[]>, aggregation: Aggregation): void {
  host.publish({
    get(key) {
      const states = store.get(key)
      return states && aggregation.result(states)
    },
    *range(from, to, limit) {
      for (const [key, states] of store.range(from, to, limit)) yield [key, aggregation.result(states)] as const
    },
    fetch: () => [],
  })
}

/**
 * The key that a deletion means: it comes without a value to take the key from, so that it has the message's, which is text. It means
 * the number that it spells when the table has that and not the text.
 */
export function deletedKey(store: KeyStore<unknown>, key: Key): Key {
  if (typeof key !== 'string' || store.get(key) !== undefined) return key
  const number = Number(key)
  return String(number) === key && store.get(number) !== undefined ? number : key
}

/** An operator of one input without timers. */
function simple(
  make: (host: OperatorHost, next: (value: unknown) => void) => (value: unknown) => void,
): OperatorFactory {
  return (host, next) => ({ inputs: [make(host, next)] })
}
