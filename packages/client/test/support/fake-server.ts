import {
  CommandFlag,
  decodeFrame,
  type Environment,
  encodeRequest,
  encodeResponse,
  FrameReader,
  type NetAddress,
  type NetConnection,
  type RemotingCommand,
  type ResponseToEncode,
} from '@millrace/core'

/** `silent`: the request is never answered. */
export type Answer = ResponseToEncode | 'silent' | Promise<ResponseToEncode | 'silent'>
export type Handler = (request: RemotingCommand, peer: FakePeer) => Answer

/** A connection as the fake server sees it. */
export class FakePeer {
  writes = 0
  readonly #net: NetConnection
  readonly #answers: RemotingCommand[] = []

  constructor(net: NetConnection) {
    this.#net = net
  }

  /** Answers of the client to requests of ours. */
  get answers(): readonly RemotingCommand[] {
    return this.#answers
  }

  notify(code: number, fields: Record<string, string>): void {
    this.#net.write(encodeRequest({ code, opaque: 1, extFields: fields, isOneway: true }))
  }

  call(code: number, fields: Record<string, string>): void {
    this.#net.write(encodeRequest({ code, opaque: 2, extFields: fields }))
  }

  write(bytes: Uint8Array): void {
    this.#net.write(bytes)
  }

  destroy(): void {
    this.#net.destroy()
  }

  answered(answer: RemotingCommand): void {
    this.#answers.push(answer)
  }
}

/** A remoting server whose answers a test decides: by handler, or for the next requests of a code by script. */
export class FakeServer {
  readonly address: NetAddress
  /** Every request so far, one-way ones included. */
  readonly requests: RemotingCommand[] = []
  readonly peers = new Set<FakePeer>()
  /** Chunks that arrived: the client's writes. */
  chunks = 0
  onClose: (peer: FakePeer) => void = () => {}
  readonly #handler: Handler
  readonly #scripts = new Map<number, Handler[]>()
  #close: () => Promise<void> = () => Promise.resolve()

  private constructor(address: NetAddress, handler: Handler) {
    this.address = address
    this.#handler = handler
  }

  static async listen(environment: Environment, address: NetAddress, handler: Handler): Promise<FakeServer> {
    const server = new FakeServer(address, handler)
    const listener = await environment.net.listen(address, connection => server.#accept(connection))
    server.#close = () => listener.close()
    return server
  }

  get name(): string {
    return `${this.address.host}:${this.address.port}`
  }

  /** Answers the next request of this code in another way. */
  script(code: number, handler: Handler): void {
    const scripts = this.#scripts.get(code) ?? []
    this.#scripts.set(code, [...scripts, handler])
  }

  requestsOf(code: number): RemotingCommand[] {
    return this.requests.filter(request => request.code === code)
  }

  /** Closes the listener and every connection. */
  async stop(): Promise<void> {
    await this.#close()
    for (const peer of this.peers) peer.destroy()
  }

  #accept(net: NetConnection): void {
    const reader = new FrameReader()
    const peer = new FakePeer(net)
    this.peers.add(peer)
    net.start({
      data: chunk => {
        this.chunks++
        reader.feed(chunk)
        while (reader.next()) {
          const frame = decodeFrame(reader.buffer, reader.start, reader.end)
          if (!frame.ok) throw new Error(frame.reason)
          const { body } = frame.command
          const command = body ? { ...frame.command, body: Buffer.from(body) } : frame.command
          if (command.flag & CommandFlag.RESPONSE) peer.answered(command)
          else void this.#serve(command, peer, net)
        }
      },
      drain: () => {},
      close: () => {
        this.peers.delete(peer)
        this.onClose(peer)
      },
    })
  }

  async #serve(request: RemotingCommand, peer: FakePeer, net: NetConnection): Promise<void> {
    this.requests.push(request)
    const handler = this.#scripts.get(request.code)?.shift() ?? this.#handler
    const answer = await handler(request, peer)
    if (answer !== 'silent' && (request.flag & CommandFlag.ONEWAY) === 0) net.write(encodeResponse(request, answer))
  }
}
