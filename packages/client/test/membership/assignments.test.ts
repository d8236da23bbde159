import { type MessageQueue, RequestCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Client } from '../../src/index.js'
import { FakeCluster } from '../support/fake-cluster.js'

describe('Assignments', () => {
  let sim: Simulation
  let cluster: FakeCluster
  const clients: Client[] = []

  beforeEach(async () => {
    sim = simulate({ seed: 4, latencyMs: 1 })
    cluster = await FakeCluster.start(sim, ['broker-a', 'broker-b'])
    cluster.createTopic('flights', 4)
  })

  afterEach(async () => {
    await sim.runUntilSettled(Promise.all(clients.splice(0).map(client => client.close())))
  })

  /** A member that keeps a log of what it is told. */
  async function join(clientId: string, log: string[] = []) {
    const client = await sim.runUntilSettled(
      Client.connect({ nameservers: cluster.nameservers, environment: sim, clientId }),
    )
    clients.push(client)
    const listener = {
      assigned: (queues: readonly MessageQueue[]) => void log.push(`+${queues.length}`),
      revoked: (queues: readonly MessageQueue[]) => void log.push(`-${queues.length}`),
    }
    const options = { group: 'g', topics: ['flights'], from: 'first', onError: () => {} } as const
    return sim.runUntilSettled(client.assignments(options, listener))
  }

  function wait(ms: number): Promise<void> {
    return sim.run(sim.clock.now() + ms)
  }

  it('gives all queues to the only member before it resolves', async () => {
    const log: string[] = []
    const member = await join('c1', log)
    expect(log).toEqual(['+8'])
    expect(member.queues).toHaveLength(8)
  })

  it('shares queues without overlap as members come and go, and tells each change once', async () => {
    const logs: string[][] = [[], [], []]
    const members = [await join('c1', logs[0]), await join('c2', logs[1]), await join('c3', logs[2])]
    await wait(100)
    const all = members.flatMap(({ queues }) => queues.map(({ brokerName, queueId }) => `${brokerName}:${queueId}`))
    expect(members.map(({ queues }) => queues.length)).toEqual([3, 3, 2])
    expect(new Set(all).size).toBe(8)

    await sim.runUntilSettled(members[0].close())
    await wait(100)
    expect(members.slice(1).map(({ queues }) => queues.length)).toEqual([4, 4])
    expect(logs[0].at(-1)).toBe('-3')
  })

  it('hears of new queues with the next route', async () => {
    const log: string[] = []
    await join('c1', log)
    cluster.createTopic('flights', 6)
    await wait(31_000)
    expect(log).toEqual(['+8', '+4'])
  })

  it('keeps its queues while no broker answers', async () => {
    const log: string[] = []
    await join('c1', log)
    for (const { server } of cluster.brokers)
      for (let n = 0; n < 20; n++) server.script(RequestCode.GET_CONSUMER_LIST_BY_GROUP, () => 'silent')
    await wait(45_000)
    expect(log).toEqual(['+8'])
  })

  it('never tells of the next change before the listener is done with the last', async () => {
    const client = await sim.runUntilSettled(
      Client.connect({ nameservers: cluster.nameservers, environment: sim, clientId: 'c1' }),
    )
    clients.push(client)
    let running = 0
    let most = 0
    const slow = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await new Promise<void>(resolve => sim.scheduler.after(50, resolve))
      running--
    }
    await sim.runUntilSettled(
      client.assignments({ group: 'g', topics: ['flights'] }, { assigned: slow, revoked: slow }),
    )
    await join('c2')
    for (const broker of cluster.brokers) broker.notifyMembers('g')
    await wait(500)
    expect(most).toBe(1)
  })

  it("reads a queue and stores its offset at the caller's will", async () => {
    const member = await join('c1')
    const queue = { topic: 'flights', brokerName: 'broker-b', queueId: 2 }
    for (const body of ['a', 'b', 'c'])
      cluster.brokers[1].store('flights', 2, { body: Buffer.from(body), properties: {} })

    const begin = await sim.runUntilSettled(member.startOffset(queue))
    const pulled = await sim.runUntilSettled(member.pull(queue, begin, { max: 2 }))
    expect(pulled.messages.map(({ body }) => body.toString())).toEqual(['a', 'b'])
    expect([pulled.status, pulled.nextOffset, pulled.maxOffset]).toEqual(['found', 2, 3])

    await sim.runUntilSettled(member.commit(queue, 1))
    expect(await sim.runUntilSettled(member.startOffset(queue))).toBe(1)
    await sim.runUntilSettled(member.pull(queue, 2, { commitOffset: 2 }))
    expect(cluster.brokers[1].offsets.get('g@flights:2')).toBe(2)
  })

  it('waits for a message as long as it is told to', async () => {
    const member = await join('c1')
    const queue = { topic: 'flights', brokerName: 'broker-a', queueId: 0 }
    const begin = sim.clock.now()
    const nothing = await sim.runUntilSettled(member.pull(queue, 0, { suspendMs: 200 }))
    expect([nothing.status, nothing.messages, nothing.nextOffset]).toEqual(['no-new', [], 0])
    expect(sim.clock.now() - begin).toBeGreaterThanOrEqual(200)

    const held = member.pull(queue, 0)
    sim.scheduler.after(300, () => cluster.brokers[0].store('flights', 0, { body: Buffer.from('x'), properties: {} }))
    expect((await sim.runUntilSettled(held)).messages).toHaveLength(1)
  })

  it('leaves the group when it is closed', async () => {
    const member = await join('c1')
    await sim.runUntilSettled(member.close())
    expect(cluster.brokers.map(({ groups }) => groups.get('g')?.size)).toEqual([0, 0])
    expect(member.queues).toEqual([])
  })
})
