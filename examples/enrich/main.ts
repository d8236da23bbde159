import { input, runDemo } from '../support/demo.js'
import { countries, customers, enrich, enriched, visits } from './pipeline.js'

await runDemo({
  pipeline: enrich,
  inputs: [
    input(countries, { code: 'CH', currency: 'CHF' }),
    input(customers, { id: 1, name: 'Ada', country: 'CH' }),
    input(visits, { customer: 1, page: '/books' }),
    input(visits, { customer: 2, page: '/help' }),
  ],
  outputs: [enriched],
  resultCount: 2,
})
