import { MillraceError } from '../errors.js'
import type { Topic } from './topic.js'

/** A record that an operator could not process, as it lies in a dead-letter topic. */
export interface DeadLetterRecord {
  readonly pipeline: string
  readonly operator: string
  readonly error: string
  readonly stack: string | undefined
  readonly key: string | number | undefined
  /** Event time, milliseconds. */
  readonly timestamp: number
  /** The value that the operator was given; for a body that could not be read, its bytes as base64. */
  readonly value: unknown
}

/**
 * What happens to a record that an operator fails on. `stop` (default for operators): the task stops and is restarted from its last
 * commit, which meets the record again. `skip` (default for bodies that cannot be read): it is counted and reported.
 * `deadLetter`: it goes to that topic, with error and stack, as part of the same commit.
 */
export type ErrorPolicy = 'stop' | 'skip' | { readonly deadLetter: Topic<DeadLetterRecord> }

export function deadLettersOf(policy: ErrorPolicy | undefined): Topic<DeadLetterRecord> | undefined {
  return typeof policy === 'object' ? policy.deadLetter : undefined
}

/** The error that an operator stops its task with. */
export function operatorFailed(id: string, cause: unknown): MillraceError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MillraceError('INVALID_ARGUMENT', `operator "${id}" failed: ${reason}`, {
    cause,
    detail: { operator: id },
  })
}
