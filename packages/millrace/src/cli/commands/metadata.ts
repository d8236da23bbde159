import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { type CommandContext, type ConnectingOptions, command, connecting, handle } from '../common.js'
import { connect } from '../connect.js'
import { UsageError } from '../failure.js'
import { formatCount } from '../table.js'

export function metadataCommand(context: CommandContext): Command {
  return command('metadata', 'Take topics, groups and offsets from one cluster to another', [
    'millrace metadata export > metadata.json',
    'millrace metadata import < metadata.json',
  ])
    .addCommand(exportCommand(context))
    .addCommand(importCommand(context))
}

function exportCommand(context: CommandContext): Command {
  const target = connecting(
    command('export', 'Print topics, groups and consumer offsets as JSON', [
      'millrace metadata export > metadata.json',
      'millrace metadata export --nameserver rocketmq.example:9876 > metadata.json',
    ]),
  )
  return handle<ConnectingOptions>(target, context, async (io, options) => {
    await using client = await connect(options)
    const metadata = await client.admin.exportMetadata()
    io.out(`${options.json ? JSON.stringify(metadata) : JSON.stringify(metadata, undefined, 2)}\n`)
    const count = (pick: (broker: (typeof metadata.brokers)[number]) => object): string =>
      formatCount(metadata.brokers.reduce((sum, broker) => sum + Object.keys(pick(broker)).length, 0))
    io.talk(
      `${count(broker => broker.topicConfigTable)} topics, ${count(broker => broker.subscriptionGroupTable)} groups\n`,
    )
  })
}

function importCommand(context: CommandContext): Command {
  const target = connecting(
    command('import', 'Create topics and groups as exported; reads standard input', [
      'millrace metadata import < metadata.json',
      'millrace metadata import --offsets < metadata.json   also where groups are; the messages have to be there',
    ]),
  ).option('--offsets', 'set consumer offsets too, also backwards')
  return handle<ConnectingOptions & { readonly offsets?: boolean }>(target, context, async (io, options) => {
    if (io.input.isTTY) throw new UsageError('nothing to import; redirect a file: millrace metadata import < FILE')
    const exported = await text(io.input)
    await using client = await connect(options)
    const imported = await client.admin.importMetadata(exported, { withOffsets: options.offsets })
    if (options.json) return io.out(`${JSON.stringify(imported)}\n`)
    io.talk(
      `${formatCount(imported.topics)} topics, ${formatCount(imported.groups)} groups and ${formatCount(imported.offsets)} offsets are as exported\n`,
    )
  })
}
