import type { Command } from 'commander'
import { type CommandContext, type ConnectingOptions, command, connecting, handle } from '../common.js'
import { connect } from '../connect.js'
import { requireGroup } from '../suggestions.js'
import { formatCount, formatTable } from '../table.js'

export function groupCommand(context: CommandContext): Command {
  return command('group', 'List and describe consumer groups', [
    'millrace group list',
    'millrace group describe billing',
  ])
    .addCommand(listCommand(context))
    .addCommand(describeCommand(context))
}

function listCommand(context: CommandContext): Command {
  const target = connecting(
    command('list', 'List consumer groups', ['millrace group list', 'millrace group list --json']),
  )
  return handle<ConnectingOptions>(target, context, async (io, options) => {
    await using client = await connect(options)
    const names = await client.admin.groupList()
    if (options.json) return io.out(`${JSON.stringify(names)}\n`)
    if (names.length === 0) io.talk('no groups yet; one appears when its first consumer joins\n')
    for (const name of names) io.out(`${name}\n`)
  })
}

function describeCommand(context: CommandContext): Command {
  const target = connecting(
    command('describe', 'Show members, offsets and lag of a group', [
      'millrace group describe billing',
      'millrace group describe billing --json',
    ]),
  ).argument('<group>')
  return handle<ConnectingOptions>(target, context, async (io, options, [group]) => {
    await using client = await connect(options)
    await requireGroup(client, group)
    const { members, subscriptions, queues, lag } = await client.admin.describeGroup(group)
    if (options.json) {
      const rows = queues.map(({ queue, ...offsets }) => ({
        topic: queue.topic,
        broker: queue.brokerName,
        queueId: queue.queueId,
        ...offsets,
      }))
      return io.out(`${JSON.stringify({ group, lag, members, subscriptions, queues: rows })}\n`)
    }
    if (members.length > 0)
      io.out(
        `${formatTable(
          ['MEMBER', 'ADDRESS', 'LANGUAGE'],
          members.map(member => [member.clientId, member.address, member.language]),
        )}\n`,
      )
    io.out(
      formatTable(
        ['TOPIC', 'BROKER', 'QUEUE', 'COMMITTED', 'END', 'LAG'],
        queues.map(({ queue, committedOffset, maxOffset, lag: behind }) => [
          queue.topic,
          queue.brokerName,
          queue.queueId,
          committedOffset,
          maxOffset,
          behind,
        ]),
      ),
    )
    io.talk(`${members.length} members connected, ${formatCount(lag)} messages behind\n`)
  })
}
