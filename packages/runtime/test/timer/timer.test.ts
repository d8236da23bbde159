import { formatProperties, parseProperties, parseRecallHandle, RequestCode, ResponseCode } from '@millrace/core'
import { type Simulation, simulate } from '@millrace/core/testkit'
import { memoryKeyValue } from '@millrace/storage'
import { afterEach, describe, expect, it } from 'vitest'
import { recallHandleOf } from '../../src/broker/delay/delay-schedule.js'
import { createWorld, type World } from '../requests/control-world.js'
import { message } from '../requests/memory-message-store.js'

const TIMER = 'rmq_sys_wheel_timer'

let world: World
afterEach(() => world.stop())

async function start(options: Parameters<typeof createWorld>[0] = {}): Promise<void> {
  world = await createWorld(options)
  for (const topic of ['orders', 'others'])
    await world.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, { ...TOPIC_FIELDS, topic })
}

const TOPIC_FIELDS = {
  defaultTopic: 'TBW102',
  readQueueNums: '4',
  writeQueueNums: '4',
  perm: '6',
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: '0',
  order: 'false',
}

const now = () => world.simulation.clock.now()
let sent = 0

/** Sends the way the general path does; returns the recall handle. */
async function send(properties: Record<string, string>, options: Parameters<typeof message>[1] = {}) {
  const text = formatProperties({ UNIQ_KEY: `key-${++sent}`, ...properties })
  const scheduled = delay().schedule(message('orders', { text, ...options }))
  await world.store.append(scheduled)
  return recallHandleOf(scheduled, world.config.brokerName)
}

const delay = () => (world.plane.broker ?? expect.fail('no broker')).delay
const delivered = (topic = 'orders', queueId = 0) => world.store.messages(topic, queueId)
const bodies = (topic = 'orders') => delivered(topic).map(({ body }) => body.toString())
const recall = (recallHandle: string | undefined, topic = 'orders') =>
  world.ask(RequestCode.RECALL_MESSAGE, { topic, recallHandle: recallHandle ?? '', producerGroup: 'p' })

/** The same world later: what was stored is there, everything else is new. */
async function restart(afterMs = 0, options: Parameters<typeof createWorld>[0] = {}): Promise<void> {
  const { keyValue, simulation, store } = world
  await world.stop()
  await simulation.run(simulation.clock.now() + afterMs)
  await start({ keyValue, simulation, store, ...options })
}

/** A simulation whose wall clock can be set. */
function jumpable(): { readonly simulation: Simulation; readonly jump: (ms: number) => void } {
  const inner = simulate({ seed: 1 })
  let shift = 0
  const clock = { now: () => inner.clock.now() + shift, monotonic: () => inner.clock.monotonic() }
  const simulation = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'clock') return clock
      if (name === 'run') return (until: number) => target.run(until - shift)
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { simulation, jump: ms => (shift += ms) }
}

describe('a timer message', () => {
  it('waits in the topic of Apache with its destination, and gives a handle', async () => {
    await start()
    const due = now() + 60_000
    const handle = await send({ TIMER_DELIVER_MS: String(due), UNIQ_KEY: 'K' }, { queueId: 2 })
    const [stored] = world.store.messages(TIMER, 0)
    expect(parseProperties(stored?.properties ?? '')).toEqual({
      UNIQ_KEY: 'K',
      TIMER_DELIVER_MS: String(due),
      TIMER_OUT_MS: String(due - 1),
      REAL_TOPIC: 'orders',
      REAL_QID: '2',
    })
    expect(parseRecallHandle(handle ?? '')).toEqual({
      topic: 'orders',
      brokerName: 'broker-a',
      deliverTime: due,
      uniqueKey: 'K',
    })
  })

  it.each([
    ['TIMER_DELAY_SEC', '2', 2000],
    ['TIMER_DELAY_MS', '1234', 1234],
    ['TIMER_DELAY_MS', '1', 1],
  ])('comes at its time to the millisecond, never before (%s=%s)', async (name, value, delayMs) => {
    await start()
    const sentAt = now()
    await send({ [name]: value }, { queueId: 1 })
    await world.pass(delayMs - 1)
    expect(delivered('orders', 1)).toEqual([])
    await world.pass(30)
    const [first] = delivered('orders', 1)
    expect(first?.storeTimestamp).toBeGreaterThanOrEqual(sentAt + delayMs)
    const properties = parseProperties(first?.properties ?? '')
    expect(properties).toMatchObject({ [name]: value, REAL_TOPIC: 'orders', REAL_QID: '1' })
    expect(Number(properties['TIMER_DEQUEUE_MS'])).toBeGreaterThanOrEqual(sentAt + delayMs)
    expect(Number(properties['TIMER_ENQUEUE_MS'])).toBeGreaterThanOrEqual(sentAt)
  })

  it('looks at seconds, then milliseconds, then the absolute time', async () => {
    await start()
    await send({ TIMER_DELAY_SEC: '1', TIMER_DELAY_MS: '1', TIMER_DELIVER_MS: String(now() + 2) })
    await send({ TIMER_DELAY_MS: '500', TIMER_DELIVER_MS: String(now() + 2) })
    await world.pass(490)
    expect(delivered()).toHaveLength(0)
    await world.pass(300)
    expect(delivered()).toHaveLength(1)
    await world.pass(300)
    expect(delivered()).toHaveLength(2)
  })

  it('is an ordinary one when its time has passed, and with a delay level', async () => {
    await start()
    const past = message('orders', { text: `TIMER_DELIVER_MS\u0001${now()}\u0002` })
    expect(delay().schedule(past)).toBe(past)
    const both = delay().schedule(message('orders', { text: 'DELAY\u00011\u0002TIMER_DELAY_SEC\u00019\u0002' }))
    expect(both.topic).toBe('SCHEDULE_TOPIC_XXXX')
    expect(parseProperties(both.properties)).not.toHaveProperty('TIMER_DELAY_SEC')
  })

  it('is refused beyond the limit, which the remark names, and without a number', async () => {
    await start({ broker: { timerMaxDelaySec: 100 } })
    const remark = (text: string) => {
      try {
        delay().schedule(message('orders', { text }))
        return 'taken'
      } catch (error) {
        expect(error).toHaveProperty('responseCode', ResponseCode.MESSAGE_ILLEGAL)
        return (error as Error).message
      }
    }
    expect(remark('TIMER_DELAY_SEC\u0001100\u0002')).toBe('taken')
    expect(remark('TIMER_DELAY_MS\u0001100001\u0002')).toContain('max delay 100000ms (timerMaxDelaySec=100)')
    expect(remark('TIMER_DELAY_SEC\u0001soon\u0002')).toContain('"soon"')
    expect(remark('TIMER_DELIVER_MS\u00011.5\u0002')).toContain('whole number')
  })

  it('may be due in a year', async () => {
    const { jump, simulation } = jumpable()
    await start({ simulation })
    await send({ TIMER_DELAY_SEC: String(365 * 86_400) }, { body: Buffer.from('late') })
    await world.pass(100)
    jump(365 * 86_400_000 - 2_000)
    await world.pass(1_800)
    expect(delivered()).toEqual([])
    await world.pass(200)
    expect(bodies()).toEqual(['late'])
  })

  it('is refused with code 1 when timers are off', async () => {
    await start({ broker: { timerWheelEnable: false } })
    expect(() => delay().schedule(message('orders', { text: 'TIMER_DELAY_SEC\u00011\u0002' }))).toThrow(
      /timerWheelEnable is false/,
    )
  })
})

describe('delivery', () => {
  it('goes by due time, and by arrival for one time', async () => {
    await start()
    const at = now() + 1000
    for (let i = 0; i < 50; i++) await send({ TIMER_DELIVER_MS: String(at) }, { body: Buffer.from(String(i)) })
    await send({ TIMER_DELIVER_MS: String(at - 1) }, { body: Buffer.from('first') })
    await world.pass(1100)
    expect(bodies()).toEqual(['first', ...Array.from({ length: 50 }, (_, i) => String(i))])
  })

  it('is late by less than 50 ms for each of many', async () => {
    await start()
    const began = now()
    for (let i = 0; i < 400; i++) await send({ TIMER_DELAY_MS: String(100 + ((i * 7919) % 2000)) })
    await world.pass(2_500)
    expect(delivered()).toHaveLength(400)
    for (const stored of delivered()) {
      const { TIMER_DELAY_MS: asked } = parseProperties(stored.properties)
      const late = stored.storeTimestamp - began - Number(asked)
      expect(late).toBeGreaterThanOrEqual(0)
      expect(late).toBeLessThan(50)
    }
  })

  it('goes on after a restart, with what became due meanwhile, without repeats', async () => {
    await start()
    await send({ TIMER_DELAY_SEC: '1' }, { body: Buffer.from('before') })
    await send({ TIMER_DELAY_SEC: '5' }, { body: Buffer.from('meanwhile') })
    await send({ TIMER_DELAY_SEC: '60' }, { body: Buffer.from('after') })
    await world.pass(2000)
    await restart(10_000)
    await world.pass(100)
    expect(bodies()).toEqual(['before', 'meanwhile'])
    await world.pass(60_000)
    expect(bodies()).toEqual(['before', 'meanwhile', 'after'])
  })

  it('needs no index: it is built anew from the log, and the log says what was delivered', async () => {
    await start()
    for (const [delay, body] of [
      ['1', 'a'],
      ['3', 'b'],
      ['30', 'c'],
    ] as const)
      await send({ TIMER_DELAY_SEC: delay }, { body: Buffer.from(body) })
    const handle = await send({ TIMER_DELAY_SEC: '40' }, { body: Buffer.from('taken back') })
    expect(await recall(handle)).toMatchObject({ code: 0 })
    await world.pass(2000)
    await restart(2000, { keyValue: memoryKeyValue() })
    await world.pass(60_000)
    expect(bodies()).toEqual(['a', 'b', 'c'])
  })

  it('does not repeat what was delivered just before a crash', async () => {
    await start()
    for (let i = 0; i < 5; i++) await send({ TIMER_DELAY_SEC: '1' }, { body: Buffer.from(String(i)) })
    await world.pass(500)
    // The index as it was before the delivery, the log as it was after.
    const { simulation, store } = world
    const keyValue = memoryKeyValue()
    await copyTimers(world, keyValue)
    await world.pass(1000)
    expect(bodies()).toHaveLength(5)
    await world.stop()
    await start({ simulation, store, keyValue })
    await world.pass(5000)
    expect(bodies()).toEqual(['0', '1', '2', '3', '4'])
  })

  it('tries again while the disk is full, and loses nothing', async () => {
    await start()
    await send({ TIMER_DELAY_SEC: '1' }, { body: Buffer.from('a') })
    world.store.isFull = true
    await world.pass(5000)
    expect(delivered()).toEqual([])
    world.store.isFull = false
    await world.pass(1500)
    expect(bodies()).toEqual(['a'])
  })

  it('forgets what a log that lost its tail does not have any more', async () => {
    await start()
    for (let i = 0; i < 3; i++) await send({ TIMER_DELAY_SEC: '5' })
    await world.pass(1000)
    const { keyValue, simulation } = world
    await world.stop()
    await start({ keyValue, simulation })
    await send({ TIMER_DELAY_SEC: '1' }, { body: Buffer.from('new') })
    await world.pass(20_000)
    expect(bodies()).toEqual(['new'])
  })

  it('passes over records that are no timers', async () => {
    await start()
    await world.store.append(message(TIMER, { text: 'TIMER_OUT_MS\u0001soon\u0002REAL_TOPIC\u0001orders\u0002' }))
    await world.store.append(message(TIMER, { text: 'TIMER_OUT_MS\u00015\u0002' }))
    await world.store.append(message(TIMER))
    await send({ TIMER_DELAY_SEC: '1' })
    await world.pass(2000)
    expect(delivered()).toHaveLength(1)
  })
})

describe('a clock that jumps', () => {
  it('forward delivers what is due then', async () => {
    const { jump, simulation } = jumpable()
    await start({ simulation })
    await send({ TIMER_DELAY_SEC: '3600' })
    await send({ DELAY: '18' }, { body: Buffer.from('level') })
    await world.pass(100)
    jump(3_600_000)
    await world.pass(1_000)
    expect(delivered()).toHaveLength(1)
    jump(3_600_000)
    await world.pass(1_500)
    expect(bodies()).toContain('level')
  })

  it('backward keeps everything until its own time, and does not stall', async () => {
    const { jump, simulation } = jumpable()
    await start({ simulation })
    const due = now() + 2000
    await send({ TIMER_DELIVER_MS: String(due) }, { body: Buffer.from('old') })
    await world.pass(1000)
    jump(-60_000)
    await send({ TIMER_DELAY_SEC: '1' }, { body: Buffer.from('new') })
    await world.pass(1_100)
    expect(bodies()).toEqual(['new'])
    await world.pass(due - now() - 1)
    expect(bodies()).toEqual(['new'])
    await world.pass(50)
    expect(bodies()).toEqual(['new', 'old'])
  })
})

describe('recall', () => {
  it('takes a message back for good, also when asked twice and after a restart', async () => {
    await start()
    const handle = await send({ TIMER_DELAY_SEC: '5', UNIQ_KEY: 'K' })
    await send({ TIMER_DELAY_SEC: '5' }, { body: Buffer.from('other') })
    expect(await recall(handle)).toMatchObject({ code: 0, extFields: { msgId: 'K' } })
    expect(await recall(handle)).toMatchObject({ code: 0 })
    await restart(1000)
    await world.pass(10_000)
    expect(bodies()).toEqual(['other'])
  })

  it('works after a restart', async () => {
    await start()
    const handle = await send({ TIMER_DELAY_SEC: '5' })
    await restart(1000)
    expect(await recall(handle)).toMatchObject({ code: 0 })
    await world.pass(10_000)
    expect(delivered()).toEqual([])
  })

  it('comes too late when the message is due', async () => {
    await start()
    const handle = await send({ TIMER_DELAY_SEC: '1' })
    await world.pass(1_100)
    expect(await recall(handle)).toMatchObject({
      code: ResponseCode.ILLEGAL_OPERATION,
      remark: 'recall failed, timestamp invalid',
    })
  })

  it('succeeds for a key that nobody sent, as at Apache', async () => {
    await start()
    const handle = await send({ TIMER_DELAY_SEC: '5', UNIQ_KEY: 'K' })
    const text = Buffer.from(handle ?? '', 'base64url')
      .toString()
      .replace(' K', ' L')
    expect(await recall(Buffer.from(text).toString('base64'))).toMatchObject({ code: 0 })
    await world.pass(6000)
    expect(delivered()).toHaveLength(1)
  })

  it('is refused as Apache refuses it', async () => {
    await start()
    const handle = await send({ TIMER_DELAY_SEC: '5' })
    expect(await recall(handle, 'unknown')).toMatchObject({
      code: ResponseCode.TOPIC_NOT_EXIST,
      remark: 'recall failed, the topic[unknown] not exist',
    })
    expect(await recall(handle, 'others')).toMatchObject({ code: 604, remark: 'recall failed, topic not match' })
    expect(await recall('nonsense')).toMatchObject({ code: 604, remark: 'recall handle is invalid' })
    const text = Buffer.from(handle ?? '', 'base64url')
      .toString()
      .replace('broker-a', 'broker-b')
    expect(await recall(Buffer.from(text).toString('base64'))).toMatchObject({ code: 604 })
    const far = Buffer.from(`v1 orders broker-a ${now() + 400 * 86_400_000} K`).toString('base64')
    expect(await recall(far)).toMatchObject({ code: 604, remark: 'recall failed, timestamp invalid' })
    ;(world.config as { recallMessageEnable: boolean }).recallMessageEnable = false
    expect(await recall(handle)).toMatchObject({ code: ResponseCode.NO_PERMISSION })
  })

  it('leaves the message when the log refuses', async () => {
    await start()
    const handle = await send({ TIMER_DELAY_SEC: '2' })
    world.store.isFull = true
    expect((await recall(handle)).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE)
    world.store.isFull = false
    await world.pass(3500)
    expect(delivered()).toHaveLength(1)
  })
})

describe('metrics', () => {
  it('count what is pending, by topic', async () => {
    await start()
    for (const seconds of ['1', '50', '60']) await send({ TIMER_DELAY_SEC: seconds })
    const count = async () => {
      const body = (await world.read(RequestCode.GET_TIMER_METRICS)) as {
        timingCount: Record<string, { count: number }>
      }
      return body.timingCount['orders']?.count ?? 0
    }
    await world.pass(300)
    expect(await count()).toBe(3)
    await world.pass(2000)
    expect(await count()).toBe(2)
    await restart(0)
    expect(await count()).toBe(2)
    await world.pass(70_000)
    expect(await count()).toBe(0)
  })
})

describe('a repeated message', () => {
  const keys = () => delivered().map(({ properties }) => parseProperties(properties)['UNIQ_KEY'])

  it('comes again and again, each time with a key of its own, also across restarts', async () => {
    await start()
    await send({ MILLRACE_REPEAT_MS: '1000', UNIQ_KEY: 'R' })
    const first = now() + 1000
    await world.pass(2100)
    expect(keys()).toEqual([`R-${first}`, `R-${first + 1000}`])
    await restart(0)
    await world.pass(1000)
    expect(keys()).toHaveLength(3)
    // What a broker misses while it is down comes once.
    await restart(5_500)
    await world.pass(100)
    expect(keys()).toHaveLength(4)
    await world.pass(1000)
    expect(new Set(keys()).size).toBe(5)
  })

  it('ends at its last time, and when it is recalled, however late', async () => {
    await start()
    await send({ MILLRACE_REPEAT_MS: '1000', MILLRACE_REPEAT_UNTIL_MS: String(now() + 2500) })
    await world.pass(10_000)
    expect(delivered()).toHaveLength(2)
    const handle = await send({ MILLRACE_CRON: '*/2 * * * * *' })
    await world.pass(6_100)
    const before = delivered().length
    expect(before).toBe(5)
    expect(await recall(handle)).toMatchObject({ code: 0 })
    await world.pass(10_000)
    expect(delivered()).toHaveLength(before)
    expect(await recall(handle)).toMatchObject({ code: 604 })
    const { timingCount } = (await world.read(RequestCode.GET_TIMER_METRICS)) as { timingCount: object }
    expect(timingCount).toEqual({})
  })

  it('is one message however often its producer tries, and survives the loss of the index', async () => {
    await start()
    for (let i = 0; i < 3; i++) await send({ MILLRACE_REPEAT_MS: '1000', UNIQ_KEY: 'R' })
    await world.pass(1_100)
    expect(delivered()).toHaveLength(1)
    await restart(0, { keyValue: memoryKeyValue() })
    await world.pass(1_000)
    expect(delivered()).toHaveLength(2)
  })
})

describe('when retention wants the log file of a pending message', () => {
  const timerPin = () => world.plane.broker?.pins[1] ?? expect.fail('no pin')

  it('the message moves to the end of the log first, and comes once, at its time', async () => {
    await start()
    const due = now() + 3_600_000
    for (let i = 0; i < 5; i++)
      await send({ TIMER_DELIVER_MS: String(due), UNIQ_KEY: `k${i}` }, { body: Buffer.from(String(i)) })
    const repeated = await send({ MILLRACE_REPEAT_MS: '1800000', UNIQ_KEY: 'R' }, { queueId: 1 })
    const handle = await send({ TIMER_DELIVER_MS: String(due), UNIQ_KEY: 'recalled' })
    const wanted = world.store.logEnd
    await world.pass(100)
    expect(timerPin().keepFrom(wanted)).toBeLessThan(wanted)
    await world.pass(2_000)
    expect(timerPin().keepFrom(wanted)).toBe(wanted)
    const moved = world.store.messages(TIMER, 0).slice(7)
    expect(moved).toHaveLength(7)
    expect(parseProperties(moved[1]?.properties ?? '')).toMatchObject({
      TIMER_ROLL_TIMES: '1',
      MILLRACE_ROLLED_FROM: '0',
      TIMER_OUT_MS: String(due - 1),
    })
    world.store.forgetBefore(wanted)
    expect(await recall(handle)).toMatchObject({ code: 0 })
    await restart(0)
    await world.pass(1_900_000)
    expect(delivered('orders', 1)).toHaveLength(1)
    expect(await recall(repeated)).toMatchObject({ code: 0 })
    await world.pass(1_800_000)
    expect(bodies()).toEqual(['0', '1', '2', '3', '4'])
    expect(delivered('orders', 1)).toHaveLength(1)
    expect(timerPin().keepFrom(world.store.logEnd)).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('can happen again, and loses the index as well', async () => {
    await start()
    await send({ TIMER_DELAY_SEC: '7200' }, { body: Buffer.from('patient') })
    for (let i = 0; i < 3; i++) {
      const wanted = world.store.logEnd
      timerPin().keepFrom(wanted)
      await world.pass(2_000)
      expect(timerPin().freeTo).toBe(wanted)
      world.store.forgetBefore(wanted)
    }
    await restart(0, { keyValue: memoryKeyValue() })
    await world.pass(7_200_000)
    expect(bodies()).toEqual(['patient'])
  })

  it('files with messages of the delay levels stay until those are delivered', async () => {
    await start()
    await send({ DELAY: '3' })
    await world.pass(100)
    const pin = world.plane.broker?.pins[0] ?? expect.fail('no pin')
    const wanted = world.store.logEnd
    pin.keepFrom(wanted)
    await world.pass(2_000)
    expect(pin.keepFrom(wanted)).toBe(0)
    await world.pass(12_000)
    expect(pin.keepFrom(wanted)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

/** Copies the tables of the timer index. */
async function copyTimers(from: World, to: World['keyValue']): Promise<void> {
  for (const name of ['timers', 'timer-recalls', 'timer-repeats', 'timer-counts', 'timer-state']) {
    const options = { encoding: 'binary', keys: 'binary' } as const
    const target = to.table<Uint8Array, Uint8Array>(name, options)
    for (const { key, value } of from.keyValue.table<Uint8Array, Uint8Array>(name, options).range())
      await target.put(Buffer.from(key), Buffer.from(value))
  }
}
