import { Command, InvalidArgumentError, Option } from 'commander'
import type { CommandIo, CommonOptions } from './io.js'

/** What runs a command: options as parsed, arguments in order. */
export type Action<O extends CommonOptions> = (io: CommandIo, options: O, args: readonly string[]) => Promise<void>

export interface CommandContext {
  readonly io: CommandIo
  /** Called with the work of the command that was chosen; at most once. */
  readonly run: (options: CommonOptions, work: () => Promise<void>) => void
}

/** A command with the options all have, and examples at the end of its help. */
export function command(name: string, summary: string, examples: readonly string[]): Command {
  return new Command(name)
    .description(summary)
    .option('--json', 'print JSON, one object or one object a line')
    .option('--no-color', 'no colours (also: NO_COLOR=1)')
    .option('--debug', 'show stacks of errors')
    .addHelpText('after', `\nExamples:\n${examples.map(example => `  $ ${example}\n`).join('')}`)
}

/** Adds the options of commands that talk to a running service. */
export function connecting(target: Command): Command {
  return target
    .addOption(
      new Option('-n, --nameserver <host:port>', 'nameserver of the service, several joined by ;')
        .env('NAMESRV_ADDR')
        .default('127.0.0.1:9876'),
    )
    .addOption(
      new Option('--credentials <file>', 'file with accessKey and secretKey, for services that ask who it is').env(
        'MILLRACE_CREDENTIALS',
      ),
    )
    .option('--tls', 'connect by TLS and check the certificates of the servers')
    .option('--tls-ca <file>', 'believe certificates signed by these (PEM) instead; implies --tls')
    .option('--tls-unchecked', 'connect by TLS and take any certificate')
    .addOption(new Option('--timeout <seconds>', 'longest wait for an answer').argParser(positiveNumber).default(10))
}

export interface ConnectingOptions extends CommonOptions {
  readonly nameserver: string
  readonly timeout: number
  readonly credentials?: string
  readonly tls?: boolean
  readonly tlsCa?: string
  readonly tlsUnchecked?: boolean
}

export function handle<O extends CommonOptions>(target: Command, context: CommandContext, action: Action<O>): Command {
  return target.action((...received: unknown[]) => {
    const self = received.at(-1) as Command
    const options = self.optsWithGlobals<O>()
    context.run(options, () => action(context.io, options, self.args))
  })
}

export function positiveNumber(text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** "128", "1KiB", "16k" → bytes. */
export function byteCount(text: string): number {
  const parts = /^(\d{1,12})\s*([kmg]?)(i?b)?$/i.exec(text)
  if (!parts) throw new InvalidArgumentError('It must be a size such as 128, 1KiB or 2MiB.')
  return Number(parts[1]) * 1024 ** ' kmg'.indexOf(parts[2].toLowerCase() || ' ')
}

export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

function keyValue(text: string): readonly [string, string] {
  const split = text.indexOf('=')
  if (split < 1) throw new InvalidArgumentError('It must be written as key=value.')
  return [text.slice(0, split), text.slice(split + 1)]
}

export function collectKeyValue(
  text: string,
  before: readonly (readonly [string, string])[] | undefined,
): readonly (readonly [string, string])[] {
  return [...(before ?? []), keyValue(text)]
}
