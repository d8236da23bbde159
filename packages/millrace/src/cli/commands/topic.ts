import type { Command } from 'commander'
import { type CommandContext, type ConnectingOptions, command, connecting, handle, wholeNumber } from '../common.js'
import { confirm } from '../confirm.js'
import { connect } from '../connect.js'
import { requireTopic } from '../suggestions.js'
import { formatCount, formatTable } from '../table.js'

export function topicCommand(context: CommandContext): Command {
  return command('topic', 'Create, list, describe and delete topics', [
    'millrace topic create orders --queues 16',
    'millrace topic describe orders',
  ])
    .addCommand(createCommand(context))
    .addCommand(listCommand(context))
    .addCommand(describeCommand(context))
    .addCommand(deleteCommand(context))
}

function createCommand(context: CommandContext): Command {
  const target = connecting(
    command('create', 'Create a topic, or change one', [
      'millrace topic create orders',
      'millrace topic create orders --queues 16',
      'millrace topic create archive --permission 4',
    ]),
  )
    .argument('<topic>', 'letters, digits and _ - % |, at most 127')
    .option('--queues <n>', 'queues on each broker', wholeNumber, 8)
    .option('--permission <bits>', '6 read and write, 4 only read, 2 only write', wholeNumber, 6)
    .option('--cluster <name>', 'which cluster, when there are several')
  type Options = ConnectingOptions & { readonly queues: number; readonly permission: number; readonly cluster?: string }
  return handle<Options>(target, context, async (io, options, [topic]) => {
    const { queues, permission, cluster } = options
    await using client = await connect(options)
    await client.admin.createTopic(topic, { queues, permission, cluster })
    io.out(
      options.json
        ? `${JSON.stringify({ topic, queues, permission })}\n`
        : `created ${topic} with ${queues} queues on each broker\n`,
    )
  })
}

/** Topics that RocketMQ brokers make for themselves and that are not in its list of system topics. */
const INTERNAL = /^RMQ_SYS_|_REPLY_TOPIC$/

function listCommand(context: CommandContext): Command {
  const target = connecting(
    command('list', 'List topics', ['millrace topic list', 'millrace topic list --system --json']),
  ).option('--system', "also the system's own topics, and those for retries")
  return handle<ConnectingOptions & { readonly system?: boolean }>(target, context, async (io, options) => {
    const [{ isRetryTopic, isSystemTopic, DLQ_TOPIC_PREFIX }, client] = await Promise.all([
      import('@millrace/core'),
      connect(options),
    ])
    await using _ = client
    const isOrdinary = (name: string): boolean =>
      !isSystemTopic(name) && !isRetryTopic(name) && !name.startsWith(DLQ_TOPIC_PREFIX) && !INTERNAL.test(name)
    const { clusterAddrTable, brokerAddrTable } = await client.admin.clusterInfo()
    // Clusters and brokers have topics of their own names, which nobody made.
    const inherent = new Set([...Object.keys(clusterAddrTable), ...Object.keys(brokerAddrTable)])
    const names = await client.admin.topicList()
    const shown = options.system ? names : names.filter(name => isOrdinary(name) && !inherent.has(name))
    if (options.json) return io.out(`${JSON.stringify(shown)}\n`)
    if (shown.length === 0) io.talk('no topics yet; make one with: millrace topic create NAME\n')
    for (const name of shown) io.out(`${name}\n`)
  })
}

function describeCommand(context: CommandContext): Command {
  const target = connecting(
    command('describe', 'Show the queues of a topic', [
      'millrace topic describe orders',
      'millrace topic describe orders --json',
    ]),
  ).argument('<topic>')
  return handle<ConnectingOptions>(target, context, async (io, options, [topic]) => {
    await using client = await connect(options)
    await requireTopic(client, topic)
    const queues = await client.admin.describeTopic(topic)
    const messages = queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0)
    if (options.json) {
      const rows = queues.map(({ queue, ...offsets }) => ({
        broker: queue.brokerName,
        queueId: queue.queueId,
        ...offsets,
      }))
      return io.out(`${JSON.stringify({ topic, messages, queues: rows })}\n`)
    }
    io.out(
      formatTable(
        ['BROKER', 'QUEUE', 'FIRST', 'END', 'MESSAGES', 'LAST STORED'],
        queues.map(({ queue, minOffset, maxOffset, lastStoredAt }) => [
          queue.brokerName,
          queue.queueId,
          minOffset,
          maxOffset,
          maxOffset - minOffset,
          lastStoredAt === undefined ? '-' : new Date(lastStoredAt).toISOString(),
        ]),
      ),
    )
    io.talk(`${formatCount(messages)} messages in ${queues.length} queues\n`)
  })
}

function deleteCommand(context: CommandContext): Command {
  const target = connecting(
    command('delete', 'Delete a topic and its messages', [
      'millrace topic delete orders --dry-run',
      'millrace topic delete orders',
      'millrace topic delete orders --yes',
    ]),
  )
    .argument('<topic>')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only say what would be deleted')
    .option('--cluster <name>', 'which cluster, when there are several')
  type Options = ConnectingOptions & { readonly yes?: boolean; readonly dryRun?: boolean; readonly cluster?: string }
  return handle<Options>(target, context, async (io, options, [topic]) => {
    await using client = await connect(options)
    await requireTopic(client, topic)
    const queues = await client.admin.describeTopic(topic)
    const messages = queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0)
    const what = `${topic} with ${formatCount(messages)} messages in ${queues.length} queues`
    if (!options.dryRun) {
      if (!options.yes) await confirm(io, topic, `This deletes ${what}; it cannot be undone.`)
      await client.admin.deleteTopic(topic, options.cluster === undefined ? {} : { cluster: options.cluster })
    }
    const result = { topic, messages, queues: queues.length, deleted: options.dryRun !== true }
    io.out(options.json ? `${JSON.stringify(result)}\n` : `${options.dryRun ? 'would delete' : 'deleted'} ${what}\n`)
  })
}
