import { Command } from 'commander'
import { benchCommand } from './commands/bench.js'
import { configCommand } from './commands/config.js'
import { groupCommand } from './commands/group.js'
import { metadataCommand } from './commands/metadata.js'
import { sendCommand } from './commands/send.js'
import { startCommand } from './commands/start.js'
import { tailCommand } from './commands/tail.js'
import { topicCommand } from './commands/topic.js'
import type { CommandContext } from './common.js'

const OVERVIEW = `
Examples:
  $ millrace start                        nameserver and broker on this machine
  $ millrace send hello "first message"   one message to topic "hello"
  $ millrace tail hello --from first      read it back, and follow the topic

Results go to stdout, everything else to stderr; every command takes --json.
Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 130 stopped by Ctrl-C before it was done.
`

/** The whole command line. Definitions are light; each command loads what it needs when it runs. */
export function createProgram(context: CommandContext, version: string, isJson: boolean): Command {
  const program = new Command('millrace')
    .description('RocketMQ-compatible topics and stream pipelines in one process')
    .version(version, '-V, --version')
    .addHelpText('after', OVERVIEW)
    .showSuggestionAfterError(true)
    .exitOverride()
  for (const make of [
    startCommand,
    topicCommand,
    groupCommand,
    sendCommand,
    tailCommand,
    benchCommand,
    configCommand,
    metadataCommand,
  ])
    program.addCommand(make(context))
  for (const each of withDescendants(program))
    each.copyInheritedSettings(program).configureOutput({
      writeOut: text => context.io.out(text),
      writeErr: text => context.io.talk(text),
      outputError: (text, write) => write(isJson ? usageAsJson(text) : text.replace(/^error: /, 'error USAGE: ')),
    })
  return program
}

function usageAsJson(text: string): string {
  const message = text.replace(/^error: /, '').trim()
  return `${JSON.stringify({ error: { code: 'USAGE', message } })}\n`
}

function withDescendants(command: Command): Command[] {
  return [command, ...command.commands.flatMap(child => withDescendants(child as Command))]
}
