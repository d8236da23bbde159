import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, answerOf, expectedAnswers } from '../../examples/nexmark/answers.js'
import { lateOrder, shuffledOrder } from '../../examples/nexmark/events.js'
import { lateBids, QUERIES } from '../../examples/nexmark/queries.js'
import { nexmarkBodies, runQuery } from '../../examples/nexmark/run-query.js'

const plain = ({ count, digest }: Answer): Answer => ({ count, digest })

/** `NEXMARK_EVENTS=1000000 npm run test:slow -- nexmark` runs another size of `expected.json`, with every query. */
const asked = process.env['NEXMARK_EVENTS']

describe.each([Number(asked ?? 100_000)])('Nexmark over %i events', events => {
  let bodies: Uint8Array[] = []
  beforeAll(() => {
    bodies = nexmarkBodies(events)
  })
  afterAll(() => {
    bodies = []
  })
  const shuffled = shuffledOrder(events)
  const expected = expectedAnswers(events)

  // q6 tells all of a seller's averages with every change: minutes here, a quarter of an hour for the largest size.
  const queries = Object.entries(QUERIES).filter(([name]) => name !== 'q6' || asked !== undefined)

  it.each(queries)('%s has the right answer', (name, query) => {
    expect(answerOf(runQuery(query, bodies, shuffled).rows)).toEqual(plain(expected[name] as Answer))
  })

  it.each([
    [0, 'lateness0'],
    ['5 s', 'lateness5s'],
  ] as const)('has the right windows and late bids with lateness %s', (lateness, name) => {
    const { rows, late } = runQuery(lateBids(lateness), bodies, lateOrder(events))
    expect(answerOf(rows)).toEqual(plain(expected.late[name].main))
    expect(answerOf(late)).toEqual(plain(expected.late[name].side))
  })
})
