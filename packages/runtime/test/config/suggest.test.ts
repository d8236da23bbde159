import { expect, it } from 'vitest'
import { didYouMean, nearest } from '../../src/config/index.js'

it.each([
  ['flihgts', 'flights'],
  ['FLIGHTS', 'flights'],
  ['flight', 'flights'],
  ['orders', undefined],
])('takes %s for %s', (text, meant) => {
  expect(nearest(text, ['delays-by-airport', 'flights'])).toBe(meant)
})

it('says nothing when nothing is near', () => {
  expect(didYouMean('x', ['flights'])).toBe('')
  expect(didYouMean('flihgts', ['flights'])).toBe('; did you mean "flights"?')
})
