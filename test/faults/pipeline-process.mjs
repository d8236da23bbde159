// Runs one Nexmark query against a nameserver until it is killed: node pipeline-process.mjs <nameserver> <data directory> <query> [guarantee]
import { QUERIES } from '../../examples/dist/nexmark/queries.js'
import { Millrace } from '../../packages/millrace/dist/index.js'

const [nameserver, dataDir, query, guarantee = 'exactly-once'] = process.argv.slice(2)
const millrace = await Millrace.connect(nameserver, { dataDir })
await millrace.run(QUERIES[query], {
  guarantee,
  commitInterval: '50 ms',
  onError: error => console.error(error.message),
})
process.stdout.write('running\n')
