import type { Key } from '../key.js'
import type { OperatorFactory } from './operator.js'
import { type Change, deletedKey, publishValues } from './table.js'

export type JoinKind = 'inner' | 'left' | 'outer'

type Joiner = (left: unknown, right: unknown) => unknown

/** Two tables with the same keys. Each side's change gives the new joined row, or its deletion. */
export function tableTableJoin(kind: JoinKind, joiner: Joiner): OperatorFactory {
  const joined = (left: unknown, right: unknown): unknown => {
    if (left === undefined ? kind !== 'outer' || right === undefined : kind === 'inner' && right === undefined)
      return undefined
    return joiner(left, right)
  }
  return (host, next) => {
    const lefts = host.keyStore<unknown>('left')
    const rights = host.keyStore<unknown>('right')
    const give = (old: unknown, value: unknown): void => {
      if (old !== undefined || value !== undefined) next({ old, value } satisfies Change)
    }
    return {
      inputs: [
        change => {
          const { old, value } = change as Change
          const key = host.context.key!
          lefts.set(key, value)
          const right = rights.get(key)
          give(joined(old, right), joined(value, right))
        },
        change => {
          const { old, value } = change as Change
          const key = host.context.key!
          rights.set(key, value)
          const left = lefts.get(key)
          give(joined(left, old), joined(left, value))
        },
      ],
    }
  }
}

/** Looks each value of a stream up in a table. Only the stream's side gives results. */
export function streamTableJoin(
  kind: 'inner' | 'left',
  joiner: Joiner,
  /** For global tables, where the key need not be the stream's. */
  keyOf?: (value: unknown) => Key | undefined,
): OperatorFactory {
  return (host, next) => {
    const table = host.keyStore<unknown>()
    publishValues(host, table)
    return {
      inputs: [
        value => {
          const key = keyOf === undefined ? host.context.key : keyOf(value)
          const row = key === undefined ? undefined : table.get(key)
          if (row !== undefined || kind === 'left') next(joiner(value, row))
        },
        keyOf === undefined
          ? change => table.set(host.context.key!, (change as Change).value)
          : value => {
              if (value === null || value === undefined) table.set(deletedKey(table, host.context.key!), undefined)
              else table.set(host.context.key!, value)
            },
      ],
    }
  }
}

/** What the left table tells the task of the foreign key. `row` undefined: the reference is gone. */
export interface Reference {
  readonly foreignKey: Key
  readonly key: Key
  /** Counts the changes of the left row: answers to older ones are dropped. */
  readonly version: number
  readonly row: unknown
  /** Whether the row itself is gone, so that the result is deleted; otherwise another reference follows. */
  readonly isDeleted: boolean
}

/** First part of a foreign-key join, where the left rows are: tells references as they come and go. */
export function referencesOperator(foreignKeyOf: (row: unknown) => Key | undefined): OperatorFactory {
  return (host, next) => {
    const versions = host.keyStore<[version: number, foreignKey: Key | null]>()
    return {
      inputs: [
        change => {
          const { value } = change as Change
          const key = host.context.key!
          const before = versions.get(key)
          const version = (before?.[0] ?? 0) + 1
          const foreignKey = value === undefined ? undefined : foreignKeyOf(value)
          const left = before?.[1]
          // The version outlives the row: a late answer to a deleted one must not bring it back.
          versions.set(key, [version, foreignKey ?? null])
          const tell = (to: Key, row: unknown, isDeleted: boolean): void =>
            next({ foreignKey: to, key, version, row, isDeleted } satisfies Reference)
          if (left !== undefined && left !== null && left !== foreignKey)
            tell(left, undefined, foreignKey === undefined)
          if (foreignKey !== undefined) tell(foreignKey, value, false)
        },
      ],
    }
  }
}

/** A joined row on its way back to the task of its key. */
export interface ReferenceResult {
  readonly key: Key
  readonly version: number
  readonly value: unknown
}

/** Second part, where the right rows are. */
export function foreignKeyJoin(kind: 'inner' | 'left', joiner: Joiner): OperatorFactory {
  return (host, next) => {
    const references = host.keyStore<[key: Key, version: number, row: unknown][]>('references')
    const rights = host.keyStore<unknown>('right')
    const give = (key: Key, version: number, row: unknown, right: unknown): void => {
      const value = right === undefined && kind === 'inner' ? undefined : joiner(row, right)
      next({ key, version, value } satisfies ReferenceResult)
    }
    return {
      inputs: [
        input => {
          const { foreignKey, key, version, row, isDeleted } = input as Reference
          const others = (references.get(foreignKey) ?? []).filter(([other]) => other !== key)
          if (row !== undefined) others.push([key, version, row])
          references.set(foreignKey, others.length > 0 ? others : undefined)
          if (row !== undefined) give(key, version, row, rights.get(foreignKey))
          else if (isDeleted) next({ key, version, value: undefined } satisfies ReferenceResult)
        },
        change => {
          const { value } = change as Change
          const foreignKey = host.context.key!
          rights.set(foreignKey, value)
          for (const [key, version, row] of references.get(foreignKey) ?? []) give(key, version, row, value)
        },
      ],
    }
  }
}

/** Last part, where the left rows are again: keeps the result of the newest version. */
export function referenceResults(): OperatorFactory {
  return (host, next) => {
    const results = host.keyStore<[version: number, value: unknown]>()
    host.publish({
      get: key => results.get(key)?.[1] ?? undefined,
      *range(from, to, limit) {
        for (const [key, [, value]] of results.range(from, to, limit)) if (value !== null) yield [key, value] as const
      },
      fetch: () => [],
    })
    return {
      inputs: [
        input => {
          const { version, value } = input as ReferenceResult
          const key = host.context.key!
          const before = results.get(key)
          if (before !== undefined && before[0] > version) return
          const old = before?.[1] ?? undefined
          results.set(key, [version, value ?? null])
          if (old !== undefined || value !== undefined) next({ old, value } satisfies Change)
        },
      ],
    }
  }
}
