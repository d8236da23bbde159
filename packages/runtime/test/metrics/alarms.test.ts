import { createActorSystem } from '@millrace/core'
import { simulate } from '@millrace/core/testkit'
import { expect, it } from 'vitest'
import { AlarmBoard, alarms } from '../../src/metrics/alarms.js'
import type { Lag } from '../../src/metrics/lag-metrics.js'

it('tells once when something is wrong, and once when it is over', async () => {
  const simulation = simulate({ seed: 1 })
  const system = createActorSystem('test', simulation)
  const told: string[] = []
  const board = new AlarmBoard(sentence => told.push(sentence))
  let free = 50
  let refusal: Error | undefined
  let late: Lag[] = []
  const config = { alarmDiskUsedRatio: 90, alarmLagSeconds: 60, storePathRootDir: '/data' }
  const space = () => ({ freeBytes: free, totalBytes: 100 })
  system.spawn('alarms', alarms({ config, space, refusal: () => refusal, lags: () => late }, board))
  const rounds = (): Promise<unknown> =>
    simulation.runUntilSettled(new Promise(resolve => simulation.scheduler.after(35_000, () => resolve(undefined))))

  await rounds()
  expect(told).toEqual([])
  free = 5
  refusal = new Error('the disk is full')
  late = [
    { group: 'fast', topic: 'orders', messages: 3, ms: 1_000 },
    { group: 'slow', topic: 'orders', messages: 70, ms: 90_000 },
  ]
  await rounds()
  expect(told.splice(0)).toEqual([
    'messages are refused: the disk is full',
    expect.stringContaining('"/data" is 95 % full'),
    'group "slow" is 90 s and 70 messages behind in topic "orders" (alarmLagSeconds=60)',
  ])
  expect(board.metrics()[0]?.samples[0]?.value).toBe(3)
  free = 50
  refusal = undefined
  late = []
  await rounds()
  expect(told).toEqual([
    'over: store takes no messages',
    'over: disk nearly full',
    'over: group "slow" late in "orders"',
  ])
  await simulation.runUntilSettled(system.stop())
})
