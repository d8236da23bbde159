import { RequestCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../requests/control-world.js'
import { WireServer } from './wire-nameserver.js'

const { REGISTER_BROKER, REGISTER_TOPIC_IN_NAMESRV, UNREGISTER_BROKER } = RequestCode
const FIRST = { host: '10.0.0.1', port: 9876 }
const SECOND = { host: '10.0.0.2', port: 9876 }

let simulation: Simulation
const worlds: World[] = []
const servers: WireServer[] = []

beforeEach(() => {
  simulation = simulate({ seed: 7, latencyMs: 1 })
})
afterEach(async () => {
  for (const world of worlds.splice(0).reverse()) await world.stop()
  for (const server of servers.splice(0)) await simulation.runUntilSettled(server.close())
})

async function startNameserver(address: { host: string; port: number }): Promise<{ world: World; server: WireServer }> {
  const world = await createWorld({ roles: ['nameserver'], simulation })
  const server = new WireServer()
  await simulation.runUntilSettled(server.listen(simulation, address, world.plane))
  worlds.push(world)
  servers.push(server)
  return { world, server }
}

async function startBroker(namesrvAddr = '10.0.0.1:9876'): Promise<World> {
  const world = await createWorld({ roles: ['broker'], simulation, broker: { namesrvAddr, brokerIP1: '10.9.9.9' } })
  worlds.push(world)
  return world
}

const create = (broker: World, topic: string) =>
  broker.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, { topic, readQueueNums: '2', writeQueueNums: '2', perm: '6' })

async function addressOf(nameserver: World, topic: string): Promise<string | undefined> {
  const reply = await nameserver.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic })
  if (reply.code !== 0) return undefined
  const route = JSON.parse(Buffer.from(reply.body ?? '').toString()) as {
    brokerDatas: { brokerAddrs: Record<string, string> }[]
  }
  return route.brokerDatas[0]?.brokerAddrs['0']
}

describe('a broker and nameservers of other processes', () => {
  it('registers with all of them, at start and again every period', async () => {
    const first = await startNameserver(FIRST)
    const second = await startNameserver(SECOND)
    await startBroker('10.0.0.1:9876;10.0.0.2:9876')
    await first.world.pass(100)
    for (const { world } of [first, second]) expect(await addressOf(world, 'TBW102')).toBe('10.9.9.9:10911')
    await first.world.pass(60_000)
    for (const { server } of [first, second])
      expect(server.codes.filter(code => code === REGISTER_BROKER)).toHaveLength(3)
  })

  it('has a new topic routed there before the creating request is answered', async () => {
    const { server, world } = await startNameserver(FIRST)
    const broker = await startBroker()
    await world.pass(100)
    expect(await create(broker, 'orders')).toMatchObject({ code: 0 })
    expect(await addressOf(world, 'orders')).toBe('10.9.9.9:10911')
    expect(server.codes).toEqual([REGISTER_BROKER, REGISTER_TOPIC_IN_NAMESRV])
    await broker.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: 'orders' })
    expect(await addressOf(world, 'orders')).toBeUndefined()
  })

  it('sends many changes together', async () => {
    const { server, world } = await startNameserver(FIRST)
    const broker = await startBroker()
    await world.pass(100)
    await Promise.all(Array.from({ length: 200 }, (_, i) => create(broker, `t${i}`)))
    expect(await addressOf(world, 't199')).toBe('10.9.9.9:10911')
    expect(server.codes.length).toBeLessThan(20)
  })

  it('is not held up by one that is down, and registers when it comes up', async () => {
    const first = await startNameserver(FIRST)
    const broker = await startBroker('10.0.0.1:9876;10.0.0.2:9876')
    await first.world.pass(100)
    const before = simulation.clock.now()
    expect(await create(broker, 'orders')).toMatchObject({ code: 0 })
    expect(simulation.clock.now() - before).toBeLessThan(100)
    const second = await startNameserver(SECOND)
    await second.world.pass(25_000)
    expect(await addressOf(second.world, 'orders')).toBe('10.9.9.9:10911')
  })

  it('is held up for a second at most by one that hangs', async () => {
    const { server, world } = await startNameserver(FIRST)
    const broker = await startBroker()
    await world.pass(100)
    server.isSilent = true
    const before = simulation.clock.now()
    expect(await create(broker, 'orders')).toMatchObject({ code: 0 })
    expect(simulation.clock.now() - before).toBeLessThan(1_500)
    server.isSilent = false
    await world.pass(30_000)
    expect(await addressOf(world, 'orders')).toBe('10.9.9.9:10911')
  })

  it('comes back after the connection was lost', async () => {
    const { server, world } = await startNameserver(FIRST)
    const broker = await startBroker()
    await world.pass(100)
    await simulation.runUntilSettled(server.close())
    await world.pass(100)
    expect(await addressOf(world, 'TBW102')).toBeUndefined()
    await create(broker, 'meanwhile')
    await simulation.runUntilSettled(server.listen(simulation, FIRST, world.plane))
    await world.pass(25_000)
    expect(await addressOf(world, 'meanwhile')).toBe('10.9.9.9:10911')
  })

  it('says goodbye when it stops', async () => {
    const { server, world } = await startNameserver(FIRST)
    const broker = await startBroker()
    await world.pass(100)
    await broker.stop()
    worlds.splice(worlds.indexOf(broker), 1)
    expect(server.codes.at(-1)).toBe(UNREGISTER_BROKER)
    expect(await addressOf(world, 'TBW102')).toBeUndefined()
  })

  it('registers the address it reaches the nameserver from, when none is configured', async () => {
    const { world } = await startNameserver(FIRST)
    const broker = await createWorld({ roles: ['broker'], simulation, broker: { namesrvAddr: '10.0.0.1:9876' } })
    worlds.push(broker)
    await world.pass(100)
    expect(await addressOf(world, 'TBW102')).toMatch(/^[^:]+:10911$/)
  })
})
