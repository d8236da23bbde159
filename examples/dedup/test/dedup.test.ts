import { testPipeline } from 'millrace/testkit'
import { expect, it } from 'vitest'
import { clicks, dedup, uniqueClicks } from '../pipeline.js'

it.each([1, 3])('passes each click once an hour, across crashes (%i queues)', queues => {
  const driver = testPipeline(dedup, { queues, cacheEntriesMax: 1 })
  const minutes = [0, 1, 59, 60, 61, 119, 130]
  for (const minute of minutes)
    for (const id of ['a', 'b']) {
      driver.send(clicks, { id, url: '/', at: minute * 60_000 })
      driver.crash(minute % 2 === 0 ? 'uncommitted' : 'sent')
    }
  const passed = driver.read(uniqueClicks).map(({ value }) => `${value.id}${value.at / 60_000}`)
  expect(passed.sort()).toEqual(['a0', 'a130', 'a60', 'b0', 'b130', 'b60'])
})
