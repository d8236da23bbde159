import { describe, expect, it } from 'vitest'
import { type Answer, answerOf, expectedAnswers } from '../answers.js'
import { lateOrder, orderHash, shuffledOrder } from '../events.js'
import { lateBids, QUERIES } from '../queries.js'
import { nexmarkBodies, runQuery } from '../run-query.js'

const EVENTS = 10_000
const expected = expectedAnswers(EVENTS)
const bodies = nexmarkBodies(EVENTS)
const shuffled = shuffledOrder(EVENTS)

describe('Nexmark over 10,000 events', () => {
  it('has the order of events that the workload names', () => {
    expect(orderHash(shuffled)).toBe(expected.orderHash)
    expect(orderHash(lateOrder(EVENTS))).toBe(expected.late.orderHash)
  })

  it.each(Object.entries(QUERIES))('%s has the right answer', (name, query) => {
    expect(answerOf(runQuery(query, bodies, shuffled).rows)).toEqual(answer(name))
  })

  it.each([
    [0, 'lateness0'],
    ['5 s', 'lateness5s'],
  ] as const)('has the right windows and late bids with lateness %s', (lateness, name) => {
    const { rows, late } = runQuery(lateBids(lateness), bodies, lateOrder(EVENTS))
    expect(answerOf(rows)).toEqual(plain(expected.late[name].main))
    expect(answerOf(late)).toEqual(plain(expected.late[name].side))
  })

  it.each(['q4', 'q5', 'q8'])('%s has the right answer across crashes, with little in memory', name => {
    const { rows } = runQuery(QUERIES[name]!, bodies, shuffled, {
      crashes: true,
      cacheEntriesMax: 200,
      outputsMax: 50,
    })
    expect(answerOf(rows)).toEqual(answer(name))
  })
})

const answer = (name: string): Answer => plain(expected[name] as Answer)
const plain = ({ count, digest }: Answer): Answer => ({ count, digest })
