import { RequestCode, ResponseCode } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { Meter } from '../../src/broker/stats/meter.js'
import { SampleTimes } from '../../src/broker/stats/sample-times.js'
import { DayTotals } from '../../src/broker/stats/sampler.js'
import type { Topic } from '../../src/broker/topics/topic.js'
import { createWorld, type World } from '../requests/control-world.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Counts one message a second, sampled every ten, for as long as asked. */
function run(seconds: number): { readonly meter: Meter; readonly times: SampleTimes; readonly now: number } {
  const times = new SampleTimes(0)
  const meter = new Meter(1)
  for (let second = 1; second <= seconds; second++) {
    meter.now[0] += 1
    if (second % 10 === 0) for (const slot of times.due(second * SECOND)) meter.sample(slot)
  }
  return { meter, times, now: seconds * SECOND }
}

describe('moving windows', () => {
  it('begin with the broker and show what was counted at once', () => {
    const { meter, now, times } = run(3)
    expect(meter.growth(times, 'minute', now, 0, 0)).toEqual({ sum: 3, tps: 1, avgpt: 1 })
    expect(meter.growth(times, 'day', now, 0, 0).sum).toBe(3)
  })

  it.each([
    ['minute', MINUTE, 10 * SECOND],
    ['hour', HOUR, 10 * MINUTE],
    ['day', 24 * HOUR, HOUR],
  ] as const)('cover the last %s, to within one sample', (name, spanMs, everyMs) => {
    const { meter, now, times } = run((3 * spanMs) / SECOND + 7)
    const { sum, tps } = meter.growth(times, name, now, 0, 0)
    expect(sum * SECOND).toBeLessThanOrEqual(spanMs + SECOND)
    expect(sum * SECOND).toBeGreaterThan(spanMs - everyMs)
    expect(tps).toBeCloseTo(1, 2)
  })

  it('fall to nothing when nothing is counted any more', () => {
    const { meter, now, times } = run(120)
    for (let at = now; at <= now + 2 * MINUTE; at += 10 * SECOND) for (const slot of times.due(at)) meter.sample(slot)
    expect(meter.growth(times, 'minute', now + 2 * MINUTE, 0, 0).sum).toBe(0)
    expect(meter.rate(times, 10 * SECOND, now + 2 * MINUTE, 0)).toBe(0)
    expect(meter.growth(times, 'hour', now + 2 * MINUTE, 0, 0).sum).toBe(120)
  })

  it('take a sample that comes a little early', () => {
    const times = new SampleTimes(0)
    expect(times.due(9_990).length).toBe(1)
    expect(times.due(12_000)).toEqual([])
  })
})

describe('totals of the day', () => {
  it('move on at midnight, local time', () => {
    const evening = new Date(2026, 4, 3, 23, 59, 50).getTime()
    const totals = new DayTotals(evening)
    totals.noteDay(evening + 5 * SECOND, { messagesIn: 5, messagesOut: 1 })
    expect(totals.todayMorning.messagesIn).toBe(0)
    totals.noteDay(evening + 15 * SECOND, { messagesIn: 7, messagesOut: 2 })
    expect(totals.todayMorning).toEqual({ messagesIn: 7, messagesOut: 2 })
    totals.noteDay(evening + 25 * HOUR, { messagesIn: 9, messagesOut: 3 })
    expect(totals.yesterdayMorning).toEqual({ messagesIn: 7, messagesOut: 2 })
  })
})

describe('the broker', () => {
  const view = (world: World, statsName: string, statsKey: string) =>
    world.ask(RequestCode.VIEW_BROKER_STATS_DATA, { statsName, statsKey })
  const minute = async (world: World, statsName: string, statsKey: string): Promise<unknown> => {
    const { body, code, remark } = await view(world, statsName, statsKey)
    if (code !== 0) return remark
    return (JSON.parse(Buffer.from(body ?? '').toString()) as { readonly statsMinute: unknown }).statsMinute
  }

  it('counts by topic, by group and in all, and forgets deleted topics', async () => {
    const world = await createWorld()
    const { counters, plane } = world
    const fields = { topic: 'orders', readQueueNums: '1', writeQueueNums: '1', perm: '6', order: 'false' }
    await world.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, fields)
    await world.ask(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group: 'billing' })
    const topic = plane.broker?.topicTable.find('orders') as Topic
    await world.pass(1000)
    counters.put(topic, 4, 400)
    counters.put(topic, 2, 200)
    counters.got(counters.readerOf(topic, 'billing'), 3, 300, 6)
    counters.sentBack(topic, 'billing', false)
    expect(await minute(world, 'TOPIC_PUT_NUMS', 'orders')).toMatchObject({ sum: 6, avgpt: 3 })
    expect(await minute(world, 'TOPIC_PUT_SIZE', 'orders')).toMatchObject({ sum: 600 })
    expect(await minute(world, 'GROUP_GET_NUMS', 'orders@billing')).toMatchObject({ sum: 3 })
    expect(await minute(world, 'GROUP_GET_SIZE', 'orders@billing')).toMatchObject({ sum: 300 })
    expect(await minute(world, 'GROUP_GET_LATENCY', '0@orders@billing')).toMatchObject({ sum: 6 })
    expect(await minute(world, 'SNDBCK_PUT_NUMS', 'orders@billing')).toMatchObject({ sum: 1 })
    expect(await minute(world, 'BROKER_PUT_NUMS', 'DefaultCluster')).toMatchObject({ sum: 6 })
    expect(await minute(world, 'BROKER_GET_NUMS', 'DefaultCluster')).toMatchObject({ sum: 3 })
    expect(await minute(world, 'DLQ_PUT_NUMS', 'orders@billing')).toMatch('not exist')
    expect(await view(world, 'constructor', 'orders')).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })

    const { table } = (await world.read(RequestCode.GET_BROKER_RUNTIME_INFO)) as {
      readonly table: Readonly<Record<string, string>>
    }
    expect(table['putTps']).toMatch(/^\d+(\.\d+)? \d+(\.\d+)? \d+(\.\d+)?$/)
    expect(Number.parseFloat(table['putTps'])).toBeGreaterThan(0)
    expect(table['msgPutTotalTodayNow']).toBe('6')

    await world.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: 'orders' })
    await world.pass(11_000)
    await world.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, fields)
    expect(await minute(world, 'TOPIC_PUT_NUMS', 'orders')).toMatch('not exist')
    expect([...counters.topics()].length).toBe(0)
    await world.stop()
  })
})
