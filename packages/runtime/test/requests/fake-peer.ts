import type { NetAddress, RemotingCommand } from '@millrace/core'
import type { OutgoingRequest, Peer, RemotingRequest, Reply } from '../../src/listener/peer.js'
import type { Handler } from '../../src/requests/answer.js'

let lastId = 0
let lastOpaque = 0

/** A client that keeps what it is sent. */
export class FakePeer implements Peer {
  readonly id = ++lastId
  readonly notified: OutgoingRequest[] = []
  isOpen = true
  readonly #listeners: ((peer: Peer) => void)[] = []
  readonly #waiting = new Map<number, (reply: Reply) => void>()

  constructor(
    readonly local: NetAddress = { host: '127.0.0.1', port: 9876 },
    readonly remote: NetAddress = { host: '127.0.0.1', port: 40_000 + lastId },
  ) {}

  reply(request: RemotingCommand, response: Reply): void {
    this.#waiting.get(request.opaque)?.(response)
  }

  notify(request: OutgoingRequest): void {
    this.notified.push(request)
  }

  /** What this client answers to requests of the broker. */
  answerCall: (request: OutgoingRequest, deadlineMs: number) => Promise<Reply> = () =>
    Promise.reject(new Error('not expected'))

  async call(request: OutgoingRequest, deadlineMs: number): Promise<RemotingCommand> {
    const { body, code, extFields, remark } = await this.answerCall(request, deadlineMs)
    const answer = command(code, extFields, { body })
    return { ...answer, flag: 1, remark }
  }

  onClose(listener: (peer: Peer) => void): void {
    if (this.isOpen) this.#listeners.push(listener)
    else listener(this)
  }

  close(): void {
    this.isOpen = false
    for (const listener of this.#listeners) listener(this)
  }

  /** Hands a request to its handler and resolves with the answer. */
  ask(handler: Handler, command: RemotingCommand): Promise<Reply> {
    return new Promise(resolve => {
      this.#waiting.set(command.opaque, resolve)
      const request: RemotingRequest = { command, peer: this }
      handler(request)
    })
  }
}

export interface RequestOptions {
  readonly body?: string | Uint8Array | undefined
  readonly version?: number
  readonly isOneway?: boolean
  readonly language?: string
}

/** A decoded request. */
export function command(
  code: number,
  extFields: Readonly<Record<string, string>> = {},
  { body, isOneway = false, language = 'JAVA', version = 493 }: RequestOptions = {},
): RemotingCommand {
  return {
    code,
    language,
    version,
    opaque: ++lastOpaque,
    flag: isOneway ? 2 : 0,
    remark: undefined,
    extFields,
    body: body === undefined ? undefined : Buffer.from(body as Uint8Array),
    serialization: 'JSON',
  }
}
