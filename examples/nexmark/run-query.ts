import type { Pipeline } from 'millrace'
import { type TestPipelineOptions, testPipeline } from 'millrace/testkit'
import { standingRows } from './answers.js'
import { BASE_TIME, Generator } from './events.js'
import { lateRowsTopic, nexmark, type Row, rowsTopic, type Standing, sideTable, standingTopic } from './topics.js'

/** Bodies of the first events, by their numbers. */
export function nexmarkBodies(events: number): Uint8Array[] {
  const generator = new Generator()
  return Array.from({ length: events }, (_, n) => nexmark.value.serialize(generator.event(n)))
}

/**
 * Runs a query in the test driver over bodies in an order, and gives the rows that stand in the end. `crashes`: every so often the task dies, at
 * each of the moments in turn.
 */
export function runQuery(
  query: Pipeline,
  bodies: readonly Uint8Array[],
  order: Int32Array,
  { crashes = false, ...options }: TestPipelineOptions & { readonly crashes?: boolean } = {},
): { readonly rows: readonly Row[]; readonly late: readonly Row[] } {
  const driver = testPipeline(query, { commitInterval: '1 s', startTime: BASE_TIME, ...options })
  if (query.id === 'q13') for (let key = 0; key < 10_000; key++) driver.send(sideTable, { key, value: String(key) })
  for (const [place, n] of order.entries()) {
    driver.sendBytes(nexmark, bodies[n]!)
    // One event a millisecond is what the query in processing time is about.
    if (query.id === 'q12') driver.advance(1)
    if (!crashes || place % 997 !== 996) continue
    if (place % 3 === 0) driver.crash('committed')
    else driver.crash(place % 3 === 1 ? 'sent' : 'uncommitted')
  }
  driver.finish()
  const read = <T>(records: readonly { readonly value: T }[]): T[] => records.map(({ value }) => value)
  const standing: Standing[] = read(driver.read(standingTopic))
  return { rows: [...read(driver.read(rowsTopic)), ...standingRows(standing)], late: read(driver.read(lateRowsTopic)) }
}
