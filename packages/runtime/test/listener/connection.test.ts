import {
  decodeFrame,
  type Environment,
  encodeRequest,
  FrameReader,
  memoryNet,
  type NetConnection,
  type RemotingCommand,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FrameServer, RemotingConnection, Taken } from '../../src/listener/connection.js'
import { Listener } from '../../src/listener/listener.js'
import type { RemotingRequest } from '../../src/listener/peer.js'

/** Answers every request with its own code as remark; can be told to have no room. */
class EchoServer implements FrameServer {
  isFull = false
  readonly waiting: RemotingConnection[] = []
  last: RemotingRequest | undefined

  hot(connection: RemotingConnection): Taken {
    if (!this.isFull) return 'unusual'
    this.waiting.push(connection)
    return 'no room'
  }
  request(request: RemotingRequest): void {
    this.last = request
    request.peer.reply(request.command, { code: 0, remark: `code ${request.command.code}`, body: request.command.body })
  }
}

class TestClient {
  readonly answers: RemotingCommand[] = []
  isClosed = false
  private readonly reader = new FrameReader()

  constructor(readonly net: NetConnection) {
    net.start({
      data: chunk => {
        this.reader.feed(chunk)
        while (this.reader.next()) {
          const decoded = decodeFrame(
            Buffer.from(this.reader.buffer.subarray(this.reader.start, this.reader.end)),
            0,
            this.reader.end - this.reader.start,
          )
          if (decoded.ok) this.answers.push(decoded.command)
        }
      },
      drain: () => {},
      close: () => {
        this.isClosed = true
      },
    })
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error('not true within 5 s')
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

let environment: Environment
let server: EchoServer
let listener: Listener
let port: number

beforeEach(async () => {
  const real = nodeEnvironment()
  environment = { ...real, net: memoryNet(real.scheduler) }
  server = new EchoServer()
  listener = new Listener(environment, server, { connectionsMax: 3, frameBytesMax: 1024 * 1024, idleMs: 60_000 })
  port = (await listener.listen({ host: '127.0.0.1', port: 0 })).port
})
afterEach(async () => {
  listener.closeAll()
  await listener.stopAccepting()
})

async function connect(): Promise<TestClient> {
  return new TestClient(await environment.net.connect({ host: '127.0.0.1', port }))
}

describe('a remoting connection', () => {
  it('answers each request by its opaque, however the frames are cut', async () => {
    const client = await connect()
    const frames = Buffer.concat(
      [1, 2, 3].map(opaque => encodeRequest({ code: 900 + opaque, opaque, body: Buffer.alloc(100, opaque) })),
    )
    for (let at = 0; at < frames.length; at += 7) client.net.write(Buffer.from(frames.subarray(at, at + 7)))
    await until(() => client.answers.length === 3)
    expect(client.answers.map(answer => [answer.opaque, answer.remark, answer.body?.[0]])).toEqual([
      [1, 'code 901', 1],
      [2, 'code 902', 2],
      [3, 'code 903', 3],
    ])
  })

  it('does not answer one-way requests', async () => {
    const client = await connect()
    client.net.write(encodeRequest({ code: 15, opaque: 1, isOneway: true }))
    client.net.write(encodeRequest({ code: 16, opaque: 2 }))
    await until(() => client.answers.length > 0)
    expect(client.answers.map(answer => answer.opaque)).toEqual([2])
  })

  it.each([
    ['a negative length', Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
    ['a length over the limit', Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
    ['a header longer than its frame', Buffer.from([0, 0, 0, 8, 0, 0, 0, 200, 1, 2, 3, 4])],
    ['an unknown serialization', Buffer.from([0, 0, 0, 8, 9, 0, 0, 4, 1, 2, 3, 4])],
    ['a header that is no JSON', Buffer.from([0, 0, 0, 8, 0, 0, 0, 4, 1, 2, 3, 4])],
  ])('closes on %s, and disturbs nobody else', async (_what, bytes) => {
    const bad = await connect()
    const good = await connect()
    bad.net.write(bytes)
    await until(() => bad.isClosed)
    good.net.write(encodeRequest({ code: 34, opaque: 7 }))
    await until(() => good.answers.length === 1)
    expect(good.isClosed).toBe(false)
    expect(listener.connectionCount).toBe(1)
  })

  it('waits with a frame that there is no room for, and loses nothing of what follows', async () => {
    const client = await connect()
    server.isFull = true
    for (let opaque = 1; opaque <= 20; opaque++)
      client.net.write(encodeRequest({ code: 10, opaque, body: Buffer.alloc(5000) }))
    await until(() => server.waiting.length > 0)
    expect(client.answers).toEqual([])
    server.isFull = false
    for (const connection of server.waiting.splice(0)) connection.resume()
    await until(() => client.answers.length === 20)
    expect(client.answers.map(answer => answer.opaque)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it('closes connections over the limit at once', async () => {
    const clients = [await connect(), await connect(), await connect(), await connect()]
    await until(() => clients[3]!.isClosed)
    expect(clients.slice(0, 3).some(client => client.isClosed)).toBe(false)
    expect(listener.connectionCount).toBe(3)
  })

  it('asks the client and hears the answer; fails the call when the client does not answer or leaves', async () => {
    const client = await connect()
    client.net.write(encodeRequest({ code: 34, opaque: 1 }))
    await until(() => server.last !== undefined)
    const { peer } = server.last!
    const silent = peer.call({ code: 307 }, 20)
    await expect(silent).rejects.toMatchObject({ code: 'TIMEOUT' })
    const lost = peer.call({ code: 307 }, 5000)
    client.net.destroy()
    await expect(lost).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
  })
})
