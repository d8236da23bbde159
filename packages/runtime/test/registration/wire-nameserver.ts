import {
  decodeFrame,
  type Environment,
  encodeResponse,
  FrameReader,
  type NetAddress,
  type NetConnection,
  type NetListener,
} from '@millrace/core'
import type { ControlPlane } from '../../src/control-plane.js'
import { FakePeer } from '../requests/fake-peer.js'

/** Serves a control plane on a socket, as the listener does, and counts what is asked. */
export class WireServer {
  /** Codes of all requests, in order. */
  readonly codes: number[] = []
  /** While true, requests are read and not answered. */
  isSilent = false
  readonly #connections = new Set<NetConnection>()
  #listener: NetListener | undefined

  async listen(environment: Environment, address: NetAddress, plane: ControlPlane): Promise<NetAddress> {
    this.#listener = await environment.net.listen(address, connection => this.#serve(connection, plane))
    return this.#listener.address
  }

  async close(): Promise<void> {
    await this.#listener?.close()
    for (const connection of this.#connections) connection.destroy()
  }

  #serve(connection: NetConnection, plane: ControlPlane): void {
    const reader = new FrameReader()
    const peer = new FakePeer(connection.local, connection.remote)
    this.#connections.add(connection)
    connection.start({
      data: chunk => {
        reader.feed(chunk)
        while (reader.next())
          this.#answer(connection, peer, Buffer.from(reader.buffer.subarray(reader.start, reader.end)), plane)
      },
      drain: () => undefined,
      close: () => {
        this.#connections.delete(connection)
        peer.close()
      },
    })
  }

  #answer(connection: NetConnection, peer: FakePeer, frame: Buffer, plane: ControlPlane): void {
    const decoded = decodeFrame(frame, 0, frame.length)
    if (!decoded.ok) {
      connection.destroy()
      return
    }
    const { command } = decoded
    this.codes.push(command.code)
    if (this.isSilent) return
    const handler = plane.handlers.get(command.code)
    if (!handler) connection.write(encodeResponse(command, { code: 3 }))
    else void peer.ask(handler, command).then(reply => connection.write(encodeResponse(command, reply)))
  }
}
