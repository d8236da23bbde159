import type { Assignments, ReceivedMessage, StartPosition } from '@millrace/client'
import type { MessageQueue } from '@millrace/core'
import { type Command, InvalidArgumentError } from 'commander'
import { type CommandContext, type ConnectingOptions, command, connecting, handle, wholeNumber } from '../common.js'
import { connect } from '../connect.js'
import type { CommandIo } from '../io.js'
import { requireTopic } from '../suggestions.js'

interface TailOptions extends ConnectingOptions {
  readonly from: StartPosition
  readonly group?: string
  readonly tag: string
  readonly count?: number
  readonly follow: boolean
  readonly details?: boolean
}

/** RocketMQ's own group for tools; brokers know it without being told. */
const TOOLS_GROUP = 'TOOLS_CONSUMER'

export function tailCommand(context: CommandContext): Command {
  const target = connecting(
    command('tail', 'Print the messages of a topic, and follow it', [
      'millrace tail hello --from first',
      'millrace tail orders --tag "created || paid" --details',
      'millrace tail orders --from 2025-01-31T08:00 --no-follow --json',
      'millrace tail orders --group audit --count 100',
    ]),
  )
    .argument('<topic>', 'topic to read')
    .option('--from <position>', 'first, last or a time such as 2025-01-31T08:00', startPosition, 'last')
    .option('--group <group>', 'read as a member of this group: go on where it was, and store how far it got')
    .option('--tag <expression>', 'only these tags: "a || b"', '*')
    .option('--count <n>', 'end after this many messages', wholeNumber)
    .option('--no-follow', 'end at what is the end of the topic now')
    .option('--details', 'print time, place and key before each body')
  return handle<TailOptions>(target, context, async (io, options, [topic]) => {
    const { QueueReaders } = await import('../queue-readers.js')
    await using client = await connect(options)
    await requireTopic(client, topic)
    let left = options.count ?? Number.POSITIVE_INFINITY
    const readers = new QueueReaders({
      isFollowing: options.follow,
      signal: io.stopSignal,
      start: (assignments, queue) => startOf(assignments, queue, options),
      onMessages: (messages, done) => {
        const taken = messages.slice(0, left)
        for (const message of taken) print(io, options, message)
        left -= taken.length
        if (left === 0) done()
        return taken.length
      },
      isCommitting: options.group !== undefined,
    })
    const assignments = await client.assignments(
      {
        group: options.group ?? TOOLS_GROUP,
        topics: { [topic]: options.tag },
        model: options.group === undefined ? 'broadcasting' : 'clustering',
        from: options.from,
        onError: error => io.talk(`warning: ${error.message}\n`),
      },
      readers,
    )
    await readers.run(assignments)
  })
}

function startOf(assignments: Assignments, queue: MessageQueue, options: TailOptions): Promise<number> {
  return options.group === undefined ? assignments.offsets.at(queue, options.from) : assignments.startOffset(queue)
}

function startPosition(text: string): StartPosition {
  if (text === 'first' || text === 'last') return text
  const time = /^\d{12,}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isNaN(time))
    throw new InvalidArgumentError(
      'It must be first, last, a time such as 2025-01-31T08:00, or milliseconds since 1970.',
    )
  return time
}

function print(io: CommandIo, options: TailOptions, message: ReceivedMessage): void {
  const { body, queue, queueOffset, tag, keys } = message
  const text = body.toString('utf8')
  const isText = Buffer.byteLength(text) === body.length && !text.includes('\uFFFD')
  if (options.json) {
    const { topic, messageId, offsetMessageId, bornTimestamp, storeTimestamp, properties } = message
    const place = { topic, broker: queue.brokerName, queueId: queue.queueId, queueOffset }
    const content = isText ? { body: text } : { body: body.toString('base64'), encoding: 'base64' }
    const ids = { messageId, offsetMessageId, bornTimestamp, storeTimestamp }
    io.out(`${JSON.stringify({ ...place, ...ids, tag, keys, properties, ...content })}\n`)
    return
  }
  const time = new Date(message.storeTimestamp).toISOString()
  const details = `${time} ${queue.brokerName}/${queue.queueId}@${queueOffset} ${tag ?? '-'} ${keys ?? '-'} `
  const content = isText ? text : `(${body.length} bytes) ${body.toString('hex')}`
  io.out(`${options.details ? details : ''}${content}\n`)
}
