import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { testPipeline } from 'millrace/testkit'
import { expect, it } from 'vitest'
import { Feed } from '../feed.js'
import { liveDashboard, load, requests } from '../pipeline.js'

it('updates a window about once a second while it is open, then gives its result', () => {
  const driver = testPipeline(liveDashboard)
  for (const at of [100, 200, 1_100, 1_200, 2_500, 4_900, 6_100])
    driver.send(requests, { route: '/', durationMs: at / 100, at })
  expect(driver.read(load).map(({ value: { window, value } }) => [window.start, value.requests])).toEqual([
    [0, 3],
    [0, 5],
    [0, 6],
    [0, 6],
  ])
})

it('reaches browsers as server-sent events', async () => {
  const feed = new Feed()
  feed.server.listen(0, '127.0.0.1')
  await once(feed.server, 'listening')
  try {
    const { port } = feed.server.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/events`)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe(': hello\n\n')
    feed.send({ key: '/', window: { start: 0, end: 5_000 }, value: { requests: 1, meanMs: 2 } })
    expect((await reader.read()).value).toBe(
      'data: {"key":"/","window":{"start":0,"end":5000},"value":{"requests":1,"meanMs":2}}\n\n',
    )
    await reader.cancel()
  } finally {
    feed.close()
  }
})
