import { input, runDemo } from '../support/demo.js'
import { clicks, dedup, uniqueClicks } from './pipeline.js'

const at = Date.now()
await runDemo({
  pipeline: dedup,
  inputs: ['a', 'b', 'a', 'a', 'c', 'b'].map(id => input(clicks, { id, url: `/${id}`, at })),
  outputs: [uniqueClicks],
  resultCount: 3,
})
