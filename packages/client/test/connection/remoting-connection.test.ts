import { FRAME_BYTES_MAX, RequestCode, ResponseCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConnectionPool } from '../../src/connection/connection-pool.js'
import { FakeServer, type Handler } from '../support/fake-server.js'

const ADDRESS = { host: '10.0.0.1', port: 9876 }
const WHERE = '10.0.0.1:9876'
const PING = 999

describe('RemotingConnection', () => {
  let sim: Simulation
  let server: FakeServer
  let pool: ConnectionPool
  let served: number[]

  beforeEach(async () => {
    sim = simulate({ seed: 3, latencyMs: 1 })
    served = []
    await serve(request => ({ code: 0, remark: request.extFields['n'], body: request.body }))
    pool = new ConnectionPool(sim, request => {
      served.push(request.code)
      return request.code === PING ? { code: 0, remark: 'pong' } : undefined
    })
  })

  afterEach(() => pool.close())

  async function serve(handler: Handler): Promise<void> {
    server = await FakeServer.listen(sim, ADDRESS, handler)
  }

  function request(n: number, timeoutMs = 3_000) {
    return pool.request(WHERE, { code: 1, fields: { n: `${n}` } }, { timeoutMs })
  }

  function wait(ms: number): Promise<void> {
    return sim.run(sim.clock.now() + ms)
  }

  it('matches answers that come in another order', async () => {
    server.script(1, async () => {
      await new Promise<void>(resolve => sim.scheduler.after(100, resolve))
      return { code: 0, remark: 'slow' }
    })
    const order: string[] = []
    const both = [request(1), request(2)].map(each => each.then(({ remark }) => order.push(remark ?? '')))
    await sim.runUntilSettled(Promise.all(both))
    expect(order).toEqual(['2', 'slow'])
  })

  it('shares one connection among callers that need it at the same time', async () => {
    await sim.runUntilSettled(Promise.all([request(1), request(2), request(3)]))
    expect(server.peers.size).toBe(1)
    expect(server.chunks).toBe(1)
  })

  it('carries bodies of any size both ways', async () => {
    for (const size of [1, 70_000, 5_000_000]) {
      const body = Buffer.alloc(size, size % 251)
      const answer = await sim.runUntilSettled(pool.request(WHERE, { code: 1, body }))
      expect(answer.body?.equals(body)).toBe(true)
    }
  })

  it('refuses a request over the frame limit and stays usable', async () => {
    const body = Buffer.alloc(FRAME_BYTES_MAX)
    await expect(sim.runUntilSettled(pool.request(WHERE, { code: 1, body }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect((await sim.runUntilSettled(request(1))).remark).toBe('1')
  })

  it('fails a request at its own deadline and leaves the others', async () => {
    server.script(1, () => 'silent')
    server.script(1, () => 'silent')
    const begin = sim.clock.now()
    const ends: [string, number][] = []
    const ended = (name: string) => () => ends.push([name, Math.round((sim.clock.now() - begin) / 100)])
    const late = request(1, 2_000).catch(ended('late'))
    const early = request(2, 500).catch(ended('early'))
    await sim.runUntilSettled(Promise.all([late, early, request(3)]))
    expect(ends).toEqual([
      ['early', 5],
      ['late', 20],
    ])
  })

  it('ignores an answer that comes too late', async () => {
    server.script(1, async () => {
      await new Promise<void>(resolve => sim.scheduler.after(800, resolve))
      return { code: 0, remark: 'late' }
    })
    await expect(sim.runUntilSettled(request(1, 500))).rejects.toMatchObject({ code: 'TIMEOUT' })
    await wait(500)
    expect((await sim.runUntilSettled(request(2))).remark).toBe('2')
  })

  it('fails what is in flight when the connection is lost, and connects again for the next request', async () => {
    server.script(1, (_request, peer) => {
      peer.destroy()
      return 'silent'
    })
    await expect(sim.runUntilSettled(request(1))).rejects.toMatchObject({ code: 'CONNECTION_LOST', isRetryable: true })
    expect((await sim.runUntilSettled(request(2))).remark).toBe('2')
  })

  it('closes a connection that brings a broken frame', async () => {
    server.script(1, (_request, peer) => {
      peer.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
      return 'silent'
    })
    await expect(sim.runUntilSettled(request(1))).rejects.toMatchObject({ code: 'PROTOCOL' })
    await wait(10)
    expect(server.peers.size).toBe(0)
  })

  it('says that nothing listens', async () => {
    const away = pool.request('10.0.0.7:9876', { code: 1 })
    await expect(sim.runUntilSettled(away)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  })

  it('moves to a new connection when the server goes away, and lets the old one end its work', async () => {
    let release = (): void => {}
    server.script(1, async () => {
      await new Promise<void>(resolve => {
        release = resolve
      })
      return { code: 0, remark: 'old' }
    })
    server.script(1, () => ({ code: ResponseCode.GO_AWAY }))
    const held = request(1, 60_000)
    expect((await sim.runUntilSettled(request(2))).code).toBe(ResponseCode.GO_AWAY)
    await sim.runUntilSettled(request(3))
    expect(server.peers.size).toBe(2)
    release()
    expect((await sim.runUntilSettled(held)).remark).toBe('old')
    await wait(10)
    expect(server.peers.size).toBe(1)
  })

  it('answers requests of the server: its own, and those it does not serve with code 3', async () => {
    await sim.runUntilSettled(request(1))
    const [peer] = server.peers
    peer.call(PING, {})
    peer.call(RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: 'g' })
    peer.notify(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: 'g' })
    await wait(10)
    expect(served).toEqual([PING, RequestCode.GET_CONSUMER_RUNNING_INFO, RequestCode.NOTIFY_CONSUMER_IDS_CHANGED])
    expect(peer.answers.map(({ code, remark, opaque }) => [code, remark, opaque])).toEqual([
      [0, 'pong', 2],
      [
        ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        ` request type ${RequestCode.GET_CONSUMER_RUNNING_INFO} not supported`,
        2,
      ],
    ])
  })

  it('aborts a request and can be used on', async () => {
    server.script(1, () => 'silent')
    const abort = new AbortController()
    const aborted = pool.request(WHERE, { code: 1 }, { signal: abort.signal })
    sim.scheduler.after(10, () => abort.abort())
    await expect(sim.runUntilSettled(aborted)).rejects.toMatchObject({ code: 'ABORTED' })
    expect((await sim.runUntilSettled(request(2))).remark).toBe('2')
  })

  it('fails what is in flight when the pool is closed, and connects no more', async () => {
    server.script(1, () => 'silent')
    const held = request(1)
    held.catch(() => {})
    await wait(20)
    pool.close()
    await expect(held).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(request(2)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
