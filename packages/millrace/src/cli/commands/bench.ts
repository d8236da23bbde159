import { type Command, Option } from 'commander'
import type { BenchSettings } from '../bench/modes.js'
import {
  byteCount,
  type CommandContext,
  type ConnectingOptions,
  command,
  connecting,
  handle,
  positiveNumber,
  wholeNumber,
} from '../common.js'
import { ProgressLine } from '../progress.js'
import { formatCount } from '../table.js'

interface BenchOptions extends ConnectingOptions, Omit<BenchSettings, 'nameserver' | 'timeoutMs' | 'mode'> {}

export function benchCommand(context: CommandContext): Command {
  const target = connecting(
    command('bench', 'Measure a broker: Millrace or Apache RocketMQ', [
      'millrace bench send',
      'millrace bench send --size 128 --connections 8 --in-flight 32 --duration 30',
      'millrace bench pull --topic millrace-bench',
      'millrace bench e2e --rate 1000 --json',
      'millrace bench send --nameserver 10.0.0.5:9876',
    ]),
  )
    .argument('<mode>', 'send: producers; pull: read what the topic holds; e2e: from send to receive')
    .option('--topic <topic>', 'topic, created when it does not exist', 'millrace-bench')
    .option('--queues <n>', 'queues of a topic that is created', wholeNumber, 8)
    .option('--size <bytes>', 'size of a body, such as 128 or 1KiB', byteCount, 1024)
    .option('--connections <n>', 'clients, each with its own connection', wholeNumber, 4)
    .option('--in-flight <n>', 'sends that wait for their answer at a time, per connection', wholeNumber, 64)
    .addOption(
      new Option('--rate <n>', 'messages per second in all (default: as fast as possible; e2e: 1000)').argParser(
        positiveNumber,
      ),
    )
    .option('--duration <seconds>', 'how long to measure', positiveNumber, 10)
    .option('--warmup <seconds>', 'how long to run before', positiveNumber, 1)
  return handle<BenchOptions>(target, context, async (io, options, [mode]) => {
    const { runBench, modeOf, describeSettings } = await import('../bench/modes.js')
    const { describeResult } = await import('../bench/picture.js')
    const settings: BenchSettings = { ...options, mode: modeOf(mode), timeoutMs: options.timeout * 1000 }
    if (!options.json) io.talk(`${describeSettings(settings)}\n`)
    let sofar = 'connecting'
    const progress = new ProgressLine(io, () => sofar)
    try {
      const result = await runBench(settings, io.stopSignal, (phase, messages) => {
        sofar = `${phase}: ${formatCount(messages)} messages`
      })
      progress.end()
      const { nameserver, topic, size, connections, inFlight, rate, duration } = settings
      const used = { mode: settings.mode, nameserver, topic, sizeBytes: size, connections, inFlight, rate, duration }
      io.out(options.json ? `${JSON.stringify({ settings: used, ...result })}\n` : describeResult(result))
    } finally {
      progress.end()
    }
  })
}
