import { connect, type Socket } from 'node:net'
import {
  CommandFlag,
  decodeFrame,
  encodeRequest,
  FrameReader,
  type RemotingCommand,
  type Serialization,
} from '@millrace/core'
import { Lost } from './target.js'

interface Request {
  readonly code: number
  readonly extFields: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly serialization?: Serialization
}

/** One connection to a broker, no retries, no routes: what is asked is sent, what comes is returned. */
export class FrameClient {
  readonly #socket: Socket
  readonly #reader = new FrameReader()
  readonly #waiting = new Map<number, { answer: (response: RemotingCommand) => void; lose: (error: Lost) => void }>()
  /** Hears of requests that the server starts. Their bodies are its own. */
  onRequest: (request: RemotingCommand) => void = () => undefined
  #opaque = 0
  #lost: Lost | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#take(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#lost = new Lost('the connection is gone')
      for (const { lose } of this.#waiting.values()) lose(this.#lost)
      this.#waiting.clear()
    })
  }

  static connect(address: string): Promise<FrameClient> {
    const { hostname, port } = new URL(`tcp://${address}`)
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new FrameClient(socket)))
    })
  }

  /** @throws Lost when the connection ends before the answer */
  ask(request: Request): Promise<RemotingCommand> {
    return new Promise((answer, lose) => {
      if (this.#lost) return lose(this.#lost)
      const opaque = ++this.#opaque
      this.#waiting.set(opaque, { answer, lose })
      this.#socket.write(encodeRequest({ ...request, opaque }))
    })
  }

  /** Sends a request that is not answered. */
  notify(request: Request): void {
    this.#socket.write(encodeRequest({ ...request, opaque: ++this.#opaque, isOneway: true }))
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#reader.feed(chunk)
    while (this.#reader.next()) {
      const frame = decodeFrame(this.#reader.buffer, this.#reader.start, this.#reader.end)
      if (!frame.ok) throw new Error(`a bad frame came: ${frame.reason}`)
      const { command } = frame
      // The bytes of the frame are the reader's only until the next one.
      const kept = { ...command, body: command.body && Buffer.from(command.body) }
      if (command.flag & CommandFlag.RESPONSE) {
        const waiting = this.#waiting.get(command.opaque)
        this.#waiting.delete(command.opaque)
        waiting?.answer(kept)
      } else this.onRequest(kept)
    }
    if (this.#reader.failure) throw new Error(`not frames: ${this.#reader.failure.reason}`)
  }
}
