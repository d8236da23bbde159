import { createInterface } from 'node:readline'
import type { Message, Producer, SendResult } from '@millrace/client'
import type { Command } from 'commander'
import {
  type CommandContext,
  type ConnectingOptions,
  collect,
  collectKeyValue,
  command,
  connecting,
  handle,
  wholeNumber,
} from '../common.js'
import { connect } from '../connect.js'
import { Interrupted, UsageError } from '../failure.js'
import type { CommandIo } from '../io.js'
import { ProgressLine } from '../progress.js'
import { formatCount } from '../table.js'

interface SendCommandOptions extends ConnectingOptions {
  readonly key?: readonly string[]
  readonly tag?: string
  readonly property?: readonly (readonly [string, string])[]
  readonly shardingKey?: string
  readonly count: number
}

/** Sends that may wait for their answer at a time. */
const IN_FLIGHT_MAX = 64

export function sendCommand(context: CommandContext): Command {
  const target = connecting(
    command('send', 'Send messages: one from the command line, or each line of stdin', [
      'millrace send hello "first message"',
      'millrace send orders \'{"id":7}\' --key order-7 --tag created --property source=shop',
      'cat events.jsonl | millrace send events',
      'millrace send load x --count 10000 --json | tail -1',
    ]),
  )
    .argument('<topic>', 'topic; it is created if the broker allows that')
    .argument('[body]', 'text of the message; without it, each line of stdin is a message')
    .option('--key <key>', 'key to find the message by; may be repeated', collect)
    .option('--tag <tag>', 'tag, for filters of consumers')
    .option('--property <name=value>', 'property of the message; may be repeated', collectKeyValue)
    .option('--sharding-key <key>', 'messages with the same one go to the same queue')
    .option('--count <n>', 'send each message this many times', wholeNumber, 1)
  return handle<SendCommandOptions>(target, context, async (io, options, [topic, body]) => {
    if (body === undefined && io.input.isTTY)
      throw new UsageError('no message; give a body after the topic, or pipe lines into this command')
    await using client = await connect(options)
    const producer = client.producer()
    const message = {
      topic,
      tag: options.tag,
      keys: options.key,
      shardingKey: options.shardingKey,
      properties: Object.fromEntries(options.property ?? []),
    }
    await sendAll(io, options, producer, message, body === undefined ? linesOf(io) : [body])
  })
}

async function* linesOf(io: CommandIo): AsyncGenerator<string> {
  for await (const line of createInterface({ input: io.input, signal: io.stopSignal })) if (line !== '') yield line
}

async function sendAll(
  io: CommandIo,
  options: SendCommandOptions,
  producer: Producer,
  message: Omit<Message, 'body'>,
  bodies: Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  const waiting = new Set<Promise<void>>()
  let sentCount = 0
  let last: SendResult | undefined
  let failure: { readonly error: unknown } | undefined
  const progress = new ProgressLine(io, () => `${formatCount(sentCount)} sent`)
  const sendOne = async (body: string): Promise<void> => {
    try {
      last = await producer.send({ ...message, body }, { timeoutMs: options.timeout * 1000 })
      sentCount++
      if (options.json) io.out(`${JSON.stringify(describeSent(message.topic, last))}\n`)
    } catch (error) {
      failure ??= { error }
    }
  }
  try {
    for await (const body of bodies)
      for (let turn = 0; turn < options.count && !failure && !io.stopSignal.aborted; turn++) {
        const sending = sendOne(body).then(() => void waiting.delete(sending))
        waiting.add(sending)
        if (waiting.size >= IN_FLIGHT_MAX) await Promise.race(waiting)
      }
    await Promise.all(waiting)
  } finally {
    progress.end()
  }
  if (failure) {
    if (sentCount > 0) io.talk(`${formatCount(sentCount)} sent before this error\n`)
    throw failure.error
  }
  if (!options.json) {
    const place =
      sentCount === 1 && last
        ? ` (${last.queue.brokerName}, queue ${last.queue.queueId}, offset ${last.queueOffset})`
        : ''
    io.out(`sent ${formatCount(sentCount)} to ${message.topic}${place}\n`)
  }
  if (io.stopSignal.aborted) throw new Interrupted()
}

const describeSent = (
  topic: string,
  { messageId, offsetMessageId, queue, queueOffset, status }: SendResult,
): object => ({
  topic,
  broker: queue.brokerName,
  queueId: queue.queueId,
  queueOffset,
  messageId,
  offsetMessageId,
  status,
})
