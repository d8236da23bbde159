import { MillraceError } from './errors.js'

/** States a fact the code relies on. Stays on in production. @throws MillraceError INVARIANT */
export function assert(fact: unknown, what: string, detail?: object): asserts fact {
  if (!fact)
    throw new MillraceError(
      'INVARIANT',
      `broken invariant: ${what}${detail ? ` ${JSON.stringify(detail)}` : ''}`,
      detail ? { detail } : {},
    )
}

/** Ends a switch over a union: a new member without a case is a compile error. */
export function assertNever(value: never): never {
  throw new MillraceError('INVARIANT', `unexpected value ${JSON.stringify(value)}`)
}
