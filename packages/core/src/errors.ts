/** What went wrong, as API: codes are added, never renamed. */
export type ErrorCode =
  | 'INVARIANT'
  | 'INVALID_ARGUMENT'
  | 'INVALID_CONFIG'
  | 'ADDRESS_IN_USE'
  | 'NETWORK'
  | 'CONNECT_FAILED'
  | 'CONNECTION_LOST'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'CLOSED'
  | 'PROTOCOL'
  | 'REQUEST_FAILED'
  | 'TOPIC_NOT_FOUND'
  | 'GROUP_NOT_FOUND'
  | 'ACTOR_STOPPED'
  | 'MAILBOX_FULL'
  | 'STORE_READ_ONLY'
  | 'STORE_CORRUPT'
  | 'STORE_LOCKED'
  | 'DISK_FULL'
  | 'DISK_FAILED'
  | 'TOPOLOGY_CHANGED'
  | 'STATE_MISSING'

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'NETWORK',
  'CONNECT_FAILED',
  'CONNECTION_LOST',
  'TIMEOUT',
  'MAILBOX_FULL',
  'DISK_FULL',
])

/** Every error that Millrace throws on purpose. The message says what happened, to what, and what to do. */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError'
  readonly code: ErrorCode
  readonly detail: object | undefined

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly detail?: object }) {
    super(message, options)
    this.code = code
    this.detail = options?.detail
  }

  /** May the same call succeed later without the caller changing anything? */
  get isRetryable(): boolean {
    return RETRYABLE.has(this.code)
  }
}
