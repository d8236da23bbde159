import { testPipeline } from 'millrace/testkit'
import { describe, expect, it } from 'vitest'
import { alerts, FOLLOW_UP_MS, followUps, fraudDetection, payments } from '../pipeline.js'

const START = Date.UTC(2026, 0, 1)

describe('fraud detection', () => {
  it('raises one alert for a burst, and follows it up later, also when it crashes in between', () => {
    const driver = testPipeline(fraudDetection, { startTime: START })
    const pay = (card: string, amount: number, second: number): void =>
      driver.send(payments, { card, amount, at: START + second * 1_000 })
    pay('a', 400, 0)
    pay('b', 5_000, 1)
    pay('a', 400, 30)
    expect(driver.read(alerts)).toEqual([])
    driver.crash()
    pay('a', 400, 31)
    pay('a', 400, 32)
    const raised = { card: 'a', payments: 3, total: 1_200, at: START + 31_000 }
    expect(driver.read(alerts).map(({ value }) => value)).toEqual([raised])
    driver.advance(31_000 + FOLLOW_UP_MS - 200)
    expect(driver.read(followUps)).toEqual([])
    driver.advance(400)
    expect(driver.read(followUps).map(({ value }) => value)).toEqual([raised])
  })

  it('is silent about payments far apart', () => {
    const driver = testPipeline(fraudDetection, { startTime: START })
    for (const minute of [0, 2, 4, 6]) driver.send(payments, { card: 'a', amount: 900, at: START + minute * 60_000 })
    expect(driver.read(alerts)).toEqual([])
  })
})
