import { testPipeline } from 'millrace/testkit'
import { expect, it } from 'vitest'
import { countries, customers, enrich, enriched, visits } from '../pipeline.js'

it.each([1, 4])('gives each visit what is known of its customer at that time (%i queues)', queues => {
  const driver = testPipeline(enrich, { queues })
  const visit = (customer: number): string[] => {
    driver.commit()
    driver.send(visits, { customer, page: '/' })
    return driver.read(enriched).map(({ value }) => `${value.name} ${value.currency}`)
  }
  driver.send(countries, { code: 'CH', currency: 'CHF' })
  expect(visit(1)).toEqual(['a stranger EUR'])
  driver.send(customers, { id: 1, name: 'Ada', country: 'CH' })
  expect(visit(1)).toEqual(['Ada CHF'])
  driver.crash()
  driver.send(customers, { id: 1, name: 'Ada', country: 'NZ' })
  expect(visit(1)).toEqual(['Ada EUR'])
  driver.send(customers, null, { key: 1 })
  expect(visit(1)).toEqual(['a stranger EUR'])
})
