import { parseArgs } from 'node:util'
import { Millrace, MillraceError } from 'millrace'
import { Board } from './board.js'
import { delayBoard, delaysTopic } from './delay-board.js'
import { Feeder } from './feeder.js'
import { flightsTopic, readFlights } from './flights.js'
import { Screen } from './screen.js'

const HELP = `Sends real flights to a topic and shows the delays that a pipeline computes from them.

  --once                    end when all flights have been processed
  --data <dir>              where everything is kept (default: ./data/flight-delays)
  --rate <n>                flights per second (default: 1000; with --once as fast as possible)
  --limit <n>               only the first flights (default: all 20,000)
  --nameserver-port <port>  default 9876; 0 picks a free one
  --broker-port <port>      default 10911; 0 picks a free one
`

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    data: { type: 'string', default: './data/flight-delays' },
    rate: { type: 'string' },
    limit: { type: 'string' },
    'nameserver-port': { type: 'string', default: '9876' },
    'broker-port': { type: 'string', default: '10911' },
    help: { type: 'boolean', default: false },
  },
})

/** Flights per second when somebody watches: fast, and slow enough to see the table grow. */
const WATCHED_RATE = 1000
const QUEUES = 8
/** npm passes a Ctrl-C on that the terminal has sent already: two in so short a time are one. */
const SAME_SIGNAL_MS = 500

async function main(): Promise<void> {
  const stop = new AbortController()
  let stoppedAt = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (!stop.signal.aborted) {
        stoppedAt = performance.now()
        stop.abort()
      } else if (performance.now() - stoppedAt > SAME_SIGNAL_MS) process.exit(130)
    })

  await using millrace = await Millrace.start({
    dataDir: options.data,
    listen: { nameserverPort: Number(options['nameserver-port']), brokerPort: Number(options['broker-port']) },
  })
  for (const { name } of [flightsTopic, delaysTopic]) await millrace.admin.createTopic(name, { queues: QUEUES })

  const flights = (await readFlights()).slice(0, options.limit === undefined ? undefined : Number(options.limit))
  const feeder = new Feeder(millrace, flightsTopic, flights)
  const stored = await feeder.resume()
  const resumed = feeder.sentCount
  if (resumed > 0) console.log(`resuming: ${count(resumed)} of ${count(flights.length)} flights were sent before`)
  console.log(`millrace listens on ${millrace.nameserver}; from another terminal:`)
  console.log(`  npx millrace tail ${delaysTopic.name} --nameserver ${millrace.nameserver}\n`)

  const board = new Board()
  let receivedCount = 0
  const results = millrace.consumer({
    group: 'delay-board-screen',
    topics: [delaysTopic.name],
    model: 'broadcasting',
    from: 'first',
  })
  await results.run(message => {
    receivedCount++
    board.add(delaysTopic.value.deserialize(message.body))
  })
  const pipeline = await millrace.run(delayBoard)

  const startedAt = performance.now()
  let sentAll: number | undefined
  const screen = new Screen(
    () => {
      const seconds = ((sentAll ?? performance.now()) - startedAt) / 1000
      const rate = Math.round((feeder.sentCount - resumed) / seconds)
      const pace = sentAll === undefined ? `, ${count(rate)}/s` : ' (all; Ctrl-C stops the service)'
      return `flights sent ${count(feeder.sentCount)} of ${count(flights.length)}${pace}; pipeline ${count(pipeline.metrics().lag)} behind`
    },
    () => board.lines(),
  )
  try {
    const rate = options.rate === undefined ? (options.once ? undefined : WATCHED_RATE) : Number(options.rate)
    await feeder.send(stored, { rate, signal: stop.signal })
    if (feeder.isDone) sentAll = performance.now()
    const isProcessed = async (): Promise<boolean> => {
      const { lag, inFlight } = pipeline.metrics()
      if (lag > 0 || inFlight > 0) return false
      const queues = await millrace.admin.describeTopic(delaysTopic.name)
      return receivedCount >= queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0)
    }
    while (!stop.signal.aborted && !(options.once && (await isProcessed()))) await sleep(200)
  } finally {
    screen.end()
  }
  if (stop.signal.aborted) console.log('stopping; the next start goes on from here')
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const count = (value: number): string => value.toLocaleString('en-US')

// A reader that went away (`npm start | head`) ends the demo, quietly.
process.stdout.on('error', () => process.exit(0))

if (options.help) process.stdout.write(HELP)
else
  await main().catch(error => {
    if (!(error instanceof MillraceError)) throw error
    console.error(`error ${error.code}: ${error.message}`)
    if (error.code === 'ADDRESS_IN_USE')
      console.error('fix: npm start -- --nameserver-port 0 --broker-port 0 picks free ports')
    process.exitCode = 1
  })
