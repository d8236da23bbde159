import type { NetAddress, RemotingCommand } from '@millrace/core'

/**
 * The other end of one remoting connection, as request handlers see it.
 * None of the calls throws; on a closed connection they do nothing (`call` rejects).
 */
export interface Peer {
  /** Unique in this process, never reused. */
  readonly id: number
  /** Our end: the address that the client used to reach us. */
  readonly local: NetAddress
  readonly remote: NetAddress
  readonly isOpen: boolean
  /** Answers `request`: opaque and serialization are taken from it. One-way requests are not answered. */
  reply(request: RemotingCommand, response: Reply): void
  /** Sends a one-way request of ours, such as NOTIFY_CONSUMER_IDS_CHANGED. */
  notify(request: OutgoingRequest): void
  /** Sends a request of ours and waits for the answer. @throws MillraceError TIMEOUT | CONNECTION_LOST */
  call(request: OutgoingRequest, deadlineMs: number): Promise<RemotingCommand>
  /** Calls back once when the connection has closed (at once if it has). */
  onClose(listener: (peer: Peer) => void): void
}

export interface Reply {
  readonly code: number
  readonly remark?: string | undefined
  readonly extFields?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
}

export interface OutgoingRequest {
  readonly code: number
  readonly extFields?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** One decoded request on its way to the actor that serves its code. */
export interface RemotingRequest {
  readonly command: RemotingCommand
  readonly peer: Peer
}
