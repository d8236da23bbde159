import { RequestCode, ResponseCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Client, type ConsumerOptions, type Delivery, type ReceivedMessage } from '../../src/index.js'
import { type FakeBroker, FakeCluster } from '../support/fake-cluster.js'

const QUEUES = 4

describe('Consumer', () => {
  let sim: Simulation
  let cluster: FakeCluster
  let broker: FakeBroker
  let client: Client
  const clients: Client[] = []
  const errors: Error[] = []

  beforeEach(async () => {
    sim = simulate({ seed: 2, latencyMs: 1 })
    cluster = await FakeCluster.start(sim)
    cluster.createTopic('orders', QUEUES)
    broker = cluster.brokers[0]
    errors.length = 0
    client = await connect()
  })

  afterEach(async () => {
    await sim.runUntilSettled(Promise.all(clients.splice(0).map(open => open.close())))
  })

  async function connect(clientId?: string): Promise<Client> {
    const made = await sim.runUntilSettled(
      Client.connect({ nameservers: cluster.nameservers, environment: sim, clientId }),
    )
    clients.push(made)
    return made
  }

  function options(more: Partial<ConsumerOptions> = {}): ConsumerOptions {
    return { group: 'g', topics: ['orders'], from: 'first', onError: error => errors.push(error), ...more }
  }

  function fill(count: number): void {
    for (let n = 0; n < count; n++) store(n)
  }

  function store(n: number, properties: Record<string, string> = {}): void {
    broker.store('orders', n % QUEUES, { body: Buffer.from(`${n}`), properties })
  }

  function wait(ms: number): Promise<void> {
    return sim.run(sim.clock.now() + ms)
  }

  function numbers(count: number): string[] {
    return Array.from({ length: count }, (_, n) => `${n}`)
  }

  function sorted(bodies: readonly string[]): string[] {
    return [...bodies].sort((a, b) => Number(a) - Number(b))
  }

  it('consumes what is there and what arrives, and continues there later', async () => {
    fill(100)
    const seen: string[] = []
    const consumer = client.consumer(options())
    await sim.runUntilSettled(consumer.run(message => void seen.push(message.body.toString())))
    await wait(100)
    expect(sorted(seen)).toEqual(numbers(100))

    store(100)
    await wait(10)
    expect(seen).toHaveLength(101)

    await sim.runUntilSettled(consumer.close())
    const again: string[] = []
    await sim.runUntilSettled(client.consumer(options()).run(message => void again.push(message.body.toString())))
    store(101)
    await wait(100)
    expect(again).toEqual(['101'])
  })

  it('stores offsets every 5 s', async () => {
    fill(8)
    await sim.runUntilSettled(client.consumer(options()).run(() => {}))
    await wait(5_100)
    const stored = [...broker.offsets].filter(([key]) => key.startsWith('g@orders')).map(([, offset]) => offset)
    expect(stored).toEqual([2, 2, 2, 2])
  })

  it('begins at the end when it is told to, and at the stored offset when there is one', async () => {
    fill(8)
    broker.offsets.set('g@orders:0', 1)
    const seen: string[] = []
    await sim.runUntilSettled(
      client.consumer(options({ from: 'last' })).run(message => void seen.push(message.body.toString())),
    )
    await wait(50)
    expect(seen).toEqual(['4'])
  })

  it('runs as many handlers at a time as allowed', async () => {
    fill(50)
    let running = 0
    let most = 0
    const handler = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await new Promise<void>(resolve => sim.scheduler.after(10, resolve))
      running--
    }
    await sim.runUntilSettled(client.consumer(options({ concurrency: 5 })).run(handler))
    await wait(1_000)
    expect(most).toBe(5)
    expect(running).toBe(0)
  })

  it('stops fetching when handlers are slow, and goes on when they are done', async () => {
    fill(4_000)
    const held: (() => void)[] = []
    const consumer = client.consumer(options({ concurrency: 4_000 }))
    await sim.runUntilSettled(consumer.run(() => new Promise<void>(resolve => held.push(resolve))))
    await wait(1_000)
    const first = held.length
    expect(first).toBeGreaterThan(900)
    expect(first).toBeLessThan(4 * (256 + 32))
    for (let round = 0; round < 10; round++) {
      for (const release of held.splice(0)) release()
      await wait(500)
    }
    await sim.runUntilSettled(consumer.close())
    expect(broker.offsets.get('g@orders:0')).toBe(1_000)
  })

  it('hands a failed message back and gets it again from the retry topic under its own topic', async () => {
    fill(4)
    const seen: ReceivedMessage[] = []
    await sim.runUntilSettled(
      client.consumer(options()).run(async message => {
        seen.push(message)
        if (message.body.toString() === '2' && message.reconsumeTimes === 0) throw new Error('no luck')
      }),
    )
    await wait(12_000)
    const retried = seen.filter(message => message.body.toString() === '2')
    expect(retried.map(({ topic, reconsumeTimes }) => [topic, reconsumeTimes])).toEqual([
      ['orders', 0],
      ['orders', 1],
    ])
    expect(errors.map(({ message }) => message)).toEqual(['no luck'])
    expect(seen).toHaveLength(5)
  })

  it('sends a failed message to the retry topic itself when the broker refuses to take it back', async () => {
    fill(1)
    broker.server.script(RequestCode.CONSUMER_SEND_MSG_BACK, () => ({ code: 1, remark: 'no' }))
    let tries = 0
    await sim.runUntilSettled(
      client.consumer(options()).run(() => {
        if (++tries === 1) throw new Error('no luck')
      }),
    )
    await wait(100)
    const [retried] = broker.queue('%RETRY%g', 0)
    expect(retried.properties).toMatchObject({ RETRY_TOPIC: 'orders', RECONSUME_TIME: '1', DELAY: '3' })
    expect(tries).toBe(2)
  })

  it('tries a message again here when it can be given back nowhere', async () => {
    fill(1)
    broker.server.script(RequestCode.CONSUMER_SEND_MSG_BACK, () => ({ code: 1 }))
    broker.server.script(RequestCode.SEND_MESSAGE_V2, () => ({ code: 13, remark: 'no' }))
    let tries = 0
    await sim.runUntilSettled(
      client.consumer(options()).run(() => {
        if (++tries === 1) throw new Error('no luck')
      }),
    )
    await wait(2_000)
    expect(tries).toBe(2)
    await wait(5_000)
    expect(broker.offsets.get('g@orders:0')).toBe(1)
  })

  it('filters by tag, also where the broker lets another tag with the same hash through', async () => {
    store(0, { TAGS: 'Aa' })
    store(1, { TAGS: 'BB' })
    store(2)
    const seen: string[] = []
    const consumer = client.consumer(options({ topics: { orders: 'Aa || Zz' } }))
    await sim.runUntilSettled(consumer.run(message => void seen.push(message.body.toString())))
    await wait(100)
    expect(seen).toEqual(['0'])
    const [pull] = broker.server
      .requestsOf(RequestCode.PULL_MESSAGE)
      .filter(({ extFields }) => extFields['topic'] === 'orders')
    expect(pull.extFields).toMatchObject({ subscription: 'Aa || Zz', expressionType: 'TAG' })
  })

  it('hands out batches of one queue, which fail together', async () => {
    fill(40)
    const batches: number[] = []
    const consumer = client.consumer(options())
    await sim.runUntilSettled(
      consumer.runBatch(
        messages => {
          expect(new Set(messages.map(({ queue }) => queue.queueId)).size).toBe(1)
          batches.push(messages.length)
          if (batches.length === 1) throw new Error('whole batch')
        },
        { max: 8 },
      ),
    )
    await wait(100)
    expect(Math.max(...batches)).toBe(8)
    await wait(15_000)
    expect(broker.server.requestsOf(RequestCode.CONSUMER_SEND_MSG_BACK)).toHaveLength(batches[0])
  })

  describe('with other members', () => {
    it('shares the queues, and takes over those of a member that leaves', async () => {
      fill(100)
      const seen: string[] = []
      const other = await connect()
      const first = client.consumer(options())
      const second = other.consumer(options())
      await sim.runUntilSettled(first.run(message => void seen.push(message.body.toString())))
      await sim.runUntilSettled(second.run(message => void seen.push(message.body.toString())))
      await wait(100)
      const queuesOf = (consumer: typeof first) => consumer.queues.filter(({ topic }) => topic === 'orders').length
      expect([queuesOf(first), queuesOf(second)]).toEqual([2, 2])

      await sim.runUntilSettled(second.close())
      await wait(100)
      expect(queuesOf(first)).toBe(4)
      for (let n = 100; n < 104; n++) store(n)
      await wait(100)
      expect(sorted([...new Set(seen)])).toEqual(numbers(104))
    })

    it('takes over the queues of a member whose connection is lost', async () => {
      const other = await connect()
      const first = client.consumer(options())
      await sim.runUntilSettled(first.run(() => {}))
      await sim.runUntilSettled(other.consumer(options()).run(() => {}))
      await wait(100)
      expect(first.queues.filter(({ topic }) => topic === 'orders')).toHaveLength(2)
      broker.groups.get('g')?.delete(other.clientId)
      broker.notifyMembers('g')
      await wait(100)
      expect(first.queues.filter(({ topic }) => topic === 'orders')).toHaveLength(4)
    })

    it('refuses a second member in one client', async () => {
      await sim.runUntilSettled(client.consumer(options()).run(() => {}))
      const second = client.consumer(options()).run(() => {})
      await expect(sim.runUntilSettled(second)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await wait(100)
      expect(broker.groups.get('g')?.size).toBe(1)
    })

    it('gives every message to every broadcasting member, and stores no offset on the broker', async () => {
      fill(10)
      const other = await connect()
      const seen: string[][] = [[], []]
      for (const [index, each] of [client, other].entries()) {
        const consumer = each.consumer(options({ model: 'broadcasting' }))
        await sim.runUntilSettled(consumer.run(message => void seen[index].push(message.body.toString())))
      }
      await wait(6_000)
      expect(seen.map(sorted)).toEqual([numbers(10), numbers(10)])
      expect([...broker.offsets.keys()]).toEqual([])
    })
  })

  describe('when things break', () => {
    it('goes on after the connection was lost, and is a member again at once', async () => {
      const seen: string[] = []
      await sim.runUntilSettled(client.consumer(options()).run(message => void seen.push(message.body.toString())))
      for (const peer of broker.server.peers) peer.destroy()
      await wait(2_000)
      expect(broker.groups.get('g')?.size).toBe(1)
      fill(4)
      await wait(100)
      expect(sorted(seen)).toEqual(numbers(4))
      expect(errors.every(error => 'code' in error && error.code === 'CONNECTION_LOST')).toBe(true)
    })

    it('tells of an outage once in 10 s, not once for each queue and try', async () => {
      await sim.runUntilSettled(client.consumer(options()).run(() => {}))
      await broker.server.stop()
      await wait(9_000)
      expect(new Set(errors.map(({ message }) => message)).size).toBe(errors.length)
      expect(errors.length).toBeLessThanOrEqual(3)
    })

    it('continues where the broker says when the offset is outside the queue', async () => {
      fill(8)
      for (let id = 0; id < QUEUES; id++) broker.offsets.set(`g@orders:${id}`, 50)
      const seen: string[] = []
      await sim.runUntilSettled(client.consumer(options()).run(message => void seen.push(message.body.toString())))
      await wait(50)
      store(8)
      await wait(50)
      expect(seen).toEqual(['8'])
    })

    it('waits for a topic that does not exist yet', async () => {
      const seen: string[] = []
      const consumer = client.consumer(options({ topics: ['later'] }))
      await sim.runUntilSettled(consumer.run(message => void seen.push(message.body.toString())))
      await wait(500)
      cluster.createTopic('later', 1)
      broker.store('later', 0, { body: Buffer.from('x'), properties: {} })
      await wait(2_000)
      expect(seen).toEqual(['x'])
    })

    it('pauses after a refused pull and tries again', async () => {
      fill(4)
      broker.server.script(RequestCode.PULL_MESSAGE, () => ({ code: ResponseCode.SYSTEM_BUSY, remark: 'busy' }))
      const seen: string[] = []
      await sim.runUntilSettled(client.consumer(options()).run(message => void seen.push(message.body.toString())))
      await wait(1_500)
      expect(sorted(seen)).toEqual(numbers(4))
      expect(errors).toHaveLength(1)
    })
  })

  it('waits for running handlers when it closes, and stores what they finished', async () => {
    fill(4)
    let finished = 0
    const consumer = client.consumer(options())
    await sim.runUntilSettled(
      consumer.run(async () => {
        await new Promise<void>(resolve => sim.scheduler.after(200, resolve))
        finished++
      }),
    )
    await wait(20)
    await sim.runUntilSettled(consumer.close())
    expect(finished).toBe(4)
    expect(broker.offsets.get('g@orders:3')).toBe(1)
    expect(broker.groups.get('g')?.size).toBe(0)
  })

  it('closes when its signal is aborted', async () => {
    const abort = new AbortController()
    const consumer = client.consumer(options({ signal: abort.signal }))
    await sim.runUntilSettled(consumer.run(() => {}))
    abort.abort()
    await wait(100)
    expect(broker.groups.get('g')?.size).toBe(0)
    await expect(consumer.run(() => {})).rejects.toMatchObject({ code: 'CLOSED' })
  })

  describe('ordered', () => {
    it('handles a queue one message at a time, in order, and repeats a failed one before the next', async () => {
      fill(40)
      const seen = new Map<number, string[]>()
      const failed = new Set<string>()
      let running = 0
      const consumer = client.consumer(options({ isOrdered: true, topics: ['orders'] }))
      await sim.runUntilSettled(
        consumer.run(async message => {
          const { queueId } = message.queue
          const body = message.body.toString()
          if (Number(body) % 10 === 3 && !failed.has(body)) {
            failed.add(body)
            throw new Error('later')
          }
          running++
          await new Promise<void>(resolve => sim.scheduler.after(5, resolve))
          seen.set(queueId, [...(seen.get(queueId) ?? []), body])
          running--
        }),
      )
      await wait(10_000)
      expect(running).toBe(0)
      for (let id = 0; id < QUEUES; id++)
        expect(seen.get(id)).toEqual(numbers(40).filter(n => Number(n) % QUEUES === id))
    })

    it('leaves a queue alone whose lock another member has', async () => {
      fill(8)
      broker.locks.set('g@orders:1', 'someone else')
      const seen: string[] = []
      const consumer = client.consumer(options({ isOrdered: true }))
      await sim.runUntilSettled(consumer.run(message => void seen.push(message.body.toString())))
      await wait(3_000)
      expect(sorted(seen)).toEqual(['0', '2', '3', '4', '6', '7'])
      broker.locks.delete('g@orders:1')
      await wait(3_000)
      expect(seen.slice(-2)).toEqual(['1', '5'])
      await sim.runUntilSettled(consumer.close())
      await wait(10)
      expect([...broker.locks.keys()]).toEqual([])
    })
  })

  describe('as a stream', () => {
    it('lets no more out than may be unsettled', async () => {
      fill(100)
      const out: Delivery[] = []
      const stream = client.consumer(options()).messages$({ unsettledMax: 7 })
      const subscription = stream.subscribe(delivery => out.push(delivery))
      await wait(200)
      expect(out).toHaveLength(7)
      for (const delivery of out.slice(0, 3)) delivery.ack()
      out[0].ack()
      await wait(200)
      expect(out).toHaveLength(10)
      subscription.unsubscribe()
      for (const delivery of out) delivery.ack()
      await wait(200)
      expect(
        [...broker.offsets].filter(([key]) => key.startsWith('g@orders')).reduce((sum, [, offset]) => sum + offset, 0),
      ).toBe(10)
    })

    it('completes when the consumer is closed', async () => {
      let isComplete = false
      const consumer = client.consumer(options())
      consumer.messages$().subscribe({ complete: () => (isComplete = true) })
      await wait(100)
      await sim.runUntilSettled(consumer.close())
      expect(isComplete).toBe(true)
    })

    it('delivers a message again whose delivery says retry', async () => {
      fill(1)
      const tries: number[] = []
      const subscription = client
        .consumer(options())
        .messages$()
        .subscribe(delivery => {
          tries.push(delivery.message.reconsumeTimes)
          if (tries.length === 1) delivery.retry()
          else delivery.ack()
        })
      await wait(12_000)
      expect(tries).toEqual([0, 1])
      subscription.unsubscribe()
    })
  })

  it('is iterated, one message after another; the one at which the loop ends comes again', async () => {
    fill(12)
    const read = async (count: number): Promise<string[]> => {
      const bodies: string[] = []
      for await (const message of client.consumer(options())) {
        bodies.push(message.body.toString())
        if (bodies.length === count) break
      }
      return bodies
    }
    const first = await sim.runUntilSettled(read(6))
    const rest = await sim.runUntilSettled(read(7))
    expect(rest).toContain(first[5])
    expect(sorted([...first.slice(0, 5), ...rest])).toEqual(numbers(12))
  })

  it('ends the iteration when the consumer is closed', async () => {
    const consumer = client.consumer(options())
    const done = (async () => {
      for await (const message of consumer) expect(message).toBeUndefined()
    })()
    await wait(100)
    await sim.runUntilSettled(consumer.close())
    await sim.runUntilSettled(done)
    expect(broker.groups.get('g')?.size).toBe(0)
  })
})
