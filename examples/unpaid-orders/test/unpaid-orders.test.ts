import { testPipeline } from 'millrace/testkit'
import { expect, it } from 'vitest'
import { decisions, orders, PAYMENT_MS, payments, unpaidOrders } from '../pipeline.js'

const START = Date.UTC(2026, 0, 1)

it.each([1, 3])('cancels what is not paid in time, over %i queues and a crash', queues => {
  const driver = testPipeline(unpaidOrders, { startTime: START, queues, commitInterval: '1 min' })
  for (const id of ['a', 'b', 'c']) driver.send(orders, { id, amount: 1, at: START })
  driver.advance(PAYMENT_MS - 60_000)
  driver.send(payments, { order: 'b', at: driver.now })
  driver.commit()
  driver.crash()
  expect(driver.read(decisions)).toEqual([])
  driver.advance('2 min')
  // Too late to matter.
  driver.send(payments, { order: 'c', at: driver.now })
  const decided = driver.read(decisions).map(({ value }) => `${value.order} ${value.outcome}`)
  expect(decided.sort()).toEqual(['a cancelled', 'b paid', 'c cancelled'])
})
