import { describe, expect, it } from 'vitest'
import { memoryNet } from '../../src/net/memory-net.js'
import { nodeNet } from '../../src/node/node-net.js'
import { nodeScheduler } from '../../src/node/node-scheduler.js'
import type { Net, NetConnection, NetEvents } from '../../src/ports/net.js'

const LOCAL = { host: '127.0.0.1', port: 0 }
const NETS: readonly (readonly [string, () => Net])[] = [
  ['tcp', () => nodeNet],
  ['tcp that may be tls', () => withTls('plain')],
  ['tls', () => withTls('tls')],
  ['memory', () => memoryNet(nodeScheduler)],
  ['memory with latency', () => memoryNet(nodeScheduler, { latencyMs: 1 })],
]

function withTls(client: 'plain' | 'tls'): Net {
  const server = { mode: 'permissive', identity: () => undefined } as const
  return {
    listen: (address, onConnection) => nodeNet.listen(address, onConnection, { tls: server }),
    connect: (address, options) =>
      nodeNet.connect(address, { ...options, ...(client === 'tls' && { tls: { isChecked: false } }) }),
  }
}

describe.each(NETS)('%s net', (name, make) => {
  it('carries bytes both ways and closes each end once', async () => {
    await using pair = await connected(make())
    const { client, server } = pair
    client.connection.write(Buffer.from('hello '))
    client.connection.write(Buffer.from('there'))
    await until(() => server.text() === 'hello there')
    server.connection.write(Buffer.from('and back'))
    server.connection.end()
    await until(() => client.closes === 1 && server.closes === 1)
    expect(client.text()).toBe('and back')
    expect([client.error, server.error]).toEqual([undefined, undefined])
  })

  it('tells each end the address the other one uses', async () => {
    await using pair = await connected(make())
    expect(pair.client.connection.remote).toEqual(pair.address)
    expect(pair.server.connection.local).toEqual(pair.address)
    expect(pair.server.connection.remote).toEqual(pair.client.connection.local)
  })

  // The handshake of TLS begins with start, and connecting ends with the handshake.
  it.skipIf(name === 'tls')('keeps what arrives before start', async () => {
    const net = make()
    let accepted: NetConnection | undefined
    const listener = await net.listen(LOCAL, connection => {
      accepted = connection
    })
    const client = new End(await net.connect(listener.address))
    client.connection.write(Buffer.from('early'))
    await until(() => accepted !== undefined)
    await new Promise(resolve => nodeScheduler.after(10, () => resolve(undefined)))
    const server = new End(accepted!)
    await until(() => server.text() === 'early')
    client.connection.destroy()
    await until(() => server.closes === 1)
    await listener.close()
  })

  it('pushes back on the writer while the reader is paused, and loses nothing', async () => {
    await using pair = await connected(make())
    const { client, server } = pair
    server.connection.pause()
    const block = Buffer.alloc(64 * 1024, 7)
    let written = 0
    let sent = 0
    let accepted = true
    while (accepted && written < 1_000) {
      accepted = client.connection.write(block, () => sent++)
      written++
      await new Promise(resolve => nodeScheduler.turn(() => resolve(undefined)))
    }
    expect(accepted).toBe(false)
    expect(client.connection.bufferedBytes).toBeGreaterThan(0)
    expect(client.drains).toBe(0)
    expect(server.lengthBytes).toBe(0)
    server.connection.resume()
    await until(() => server.lengthBytes === written * block.length && client.drains === 1)
    await until(() => sent === written)
    expect(client.connection.bufferedBytes).toBe(0)
  })

  it('sends what is queued before it ends', async () => {
    await using pair = await connected(make())
    const { client, server } = pair
    const block = Buffer.alloc(3_000_000, 1)
    client.connection.write(block)
    client.connection.end()
    await until(() => server.closes === 1 && client.closes === 1)
    expect(server.lengthBytes).toBe(block.length)
  })

  it('answers onSent for bytes that are lost, and refuses writes after the end', async () => {
    await using pair = await connected(make())
    const { client, server } = pair
    server.connection.pause()
    let sent = 0
    for (let i = 0; i < 200; i++) client.connection.write(Buffer.alloc(64 * 1024), () => sent++)
    client.connection.destroy()
    expect(client.connection.write(Buffer.from('late'), () => sent++)).toBe(false)
    await until(() => sent === 201 && client.closes === 1)
    server.connection.resume()
    await until(() => server.closes === 1)
  })

  it('closes an end whose peer is destroyed', async () => {
    await using pair = await connected(make())
    pair.client.connection.destroy()
    await until(() => pair.client.closes === 1 && pair.server.closes === 1)
  })

  it('refuses an address twice, naming it', async () => {
    const net = make()
    const listener = await net.listen(LOCAL, () => {})
    const { host, port } = listener.address
    await expect(net.listen({ host, port }, () => {})).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      message: expect.stringContaining(`${host}:${port}`),
    })
    await listener.close()
  })

  it('refuses a connection when nothing listens, and when the listener closed', async () => {
    const net = make()
    const listener = await net.listen(LOCAL, () => {})
    await listener.close()
    await expect(net.connect(listener.address, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringContaining(`127.0.0.1:${listener.address.port}`),
    })
  })

  it('carries many small writes of many connections in order', async () => {
    const net = make()
    const servers: End[] = []
    const listener = await net.listen(LOCAL, connection => servers.push(new End(connection)))
    const clients: End[] = []
    for (let i = 0; i < 20; i++) clients.push(new End(await net.connect(listener.address)))
    let expected = ''
    for (let i = 0; i < 100; i++) {
      expected += `${i},`
      for (const client of clients) client.connection.write(Buffer.from(`${i},`))
      if (i % 10 === 0) await new Promise(resolve => nodeScheduler.turn(() => resolve(undefined)))
    }
    for (const client of clients) client.connection.end()
    await until(() => servers.length === 20 && servers.every(server => server.closes === 1))
    for (const server of servers) expect(server.text()).toBe(expected)
    await listener.close()
  })
})

describe('tcp net', () => {
  it('reads in chunks larger than the stream machinery gives', async () => {
    await using pair = await connected(nodeNet)
    const { client, server } = pair
    server.connection.pause()
    client.connection.write(Buffer.alloc(2_000_000))
    await new Promise(resolve => nodeScheduler.after(50, () => resolve(undefined)))
    server.connection.resume()
    await until(() => server.lengthBytes === 2_000_000)
    expect(server.largestChunkBytes).toBeGreaterThan(64 * 1024)
  })

  it('explains a host it cannot bind', async () => {
    await expect(nodeNet.listen({ host: '203.0.113.1', port: 0 }, () => {})).rejects.toMatchObject({
      code: 'NETWORK',
      message: expect.stringContaining('203.0.113.1:0'),
    })
  })
})

describe('memory net', () => {
  it('lets a wildcard listener answer for every host', async () => {
    const net = memoryNet(nodeScheduler)
    const listener = await net.listen({ host: '0.0.0.0', port: 9876 }, () => {})
    const connection = await net.connect({ host: 'broker-a', port: 9876 })
    expect(connection.remote).toEqual({ host: 'broker-a', port: 9876 })
    connection.destroy()
    await listener.close()
  })
})

class End implements NetEvents {
  readonly connection: NetConnection
  readonly #chunks: Buffer[] = []
  lengthBytes = 0
  largestChunkBytes = 0
  drains = 0
  closes = 0
  error: Error | undefined

  constructor(connection: NetConnection) {
    this.connection = connection
    connection.start(this)
  }

  data(chunk: Buffer): void {
    this.lengthBytes += chunk.length
    this.largestChunkBytes = Math.max(this.largestChunkBytes, chunk.length)
    this.#chunks.push(Buffer.from(chunk))
  }

  drain(): void {
    this.drains++
  }

  close(error?: Error): void {
    this.closes++
    this.error = error
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString()
  }
}

async function connected(net: Net) {
  let server: End | undefined
  const listener = await net.listen(LOCAL, connection => {
    server = new End(connection)
  })
  const client = new End(await net.connect(listener.address, { timeoutMs: 5_000 }))
  await until(() => server !== undefined)
  return {
    address: listener.address,
    client,
    server: server!,
    [Symbol.asyncDispose]: async () => {
      client.connection.destroy()
      server!.connection.destroy()
      await listener.close()
    },
  }
}

async function until(fact: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!fact()) {
    if (performance.now() > deadline) throw new Error('waited 5 s in vain')
    await new Promise(resolve => nodeScheduler.after(1, () => resolve(undefined)))
  }
}
