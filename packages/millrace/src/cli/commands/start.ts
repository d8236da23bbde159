import type { ServiceNotices } from '@millrace/runtime'
import type { Command } from 'commander'
import { type CommandContext, command, handle } from '../common.js'
import { type ConfiguringOptions, configuring, loadFor } from '../configuring.js'
import { UsageError } from '../failure.js'
import type { CommandIo } from '../io.js'
import { untilAborted } from '../waiting.js'

export function startCommand(context: CommandContext): Command {
  const target = configuring(
    command('start', 'Start a nameserver and a broker', [
      'millrace start',
      'millrace start --data /var/lib/millrace --flush async',
      'millrace start --role broker --nameserver 10.0.0.5:9876 --set brokerName=broker-b',
      'millrace start -c broker.conf --json',
    ]),
  )
  return handle<ConfiguringOptions>(target, context, async (io, options) => {
    const config = await loadFor(io, options)
    if (!config.roles.includes('nameserver') && config.broker.namesrvAddr === '')
      throw new UsageError('a broker alone needs a nameserver, or no client finds it; give --nameserver HOST:PORT')
    const [{ startService }, { nodeEnvironment }] = await Promise.all([
      import('@millrace/runtime'),
      import('@millrace/core/node'),
    ])
    const service = await startService(config, nodeEnvironment(), noticesTo(io))
    try {
      const { nameserver, broker } = service.addresses
      const data = config.broker.storePathRootDir
      if (options.json) io.out(`${JSON.stringify({ ready: true, pid: process.pid, nameserver, broker, data })}\n`)
      else {
        if (nameserver) io.out(`nameserver  ${nameserver}\n`)
        if (broker) io.out(`broker      ${broker}\n`)
        if (broker) io.out(`data        ${data} (${config.broker.flushDiskType})\n`)
        const target = nameserver ?? config.broker.namesrvAddr
        io.talk(`ready; Ctrl-C stops it. Next:\n  millrace send hello "first message" --nameserver ${target}\n`)
      }
      await untilAborted(io.stopSignal)
      io.talk('stopping; Ctrl-C again leaves at once\n')
    } finally {
      await service.stop()
    }
  })
}

/** Tells a person what a service has to say beyond its answers to clients. */
function noticesTo(io: CommandIo): ServiceNotices {
  return {
    onRecovery({ from, at, to }) {
      if (io.isTalkTerminal)
        io.talk(`\r\u001b[Kreading the log: ${Math.round(((at - from) / Math.max(1, to - from)) * 100)} %`)
    },
    onStore(state, reason) {
      io.talk(
        state === 'open'
          ? 'the store takes messages again\n'
          : `warning: messages are refused, the store is ${state}: ${reason}\n`,
      )
    },
    onMetadataFailure: error =>
      io.talk(`warning: topics, groups and offsets cannot be changed any more: ${error.message}\n`),
    onSecurity: error => io.talk(`warning: ${error.message}; what was read before goes on\n`),
    onAlarm: sentence => io.talk(`alarm: ${sentence}\n`),
    onBrokenFrame: sentence => io.talk(`warning: ${sentence}\n`),
    onTornTail: position =>
      io.talk(`an unfinished record at log position ${position} was cut off; it had not been acknowledged\n`),
  }
}
