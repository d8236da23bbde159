import type { ConfigEntry, LoadedConfig, Role } from '@millrace/runtime/config'
import { type Command, Option } from 'commander'
import { collectKeyValue, wholeNumber } from './common.js'
import type { CommandIo, CommonOptions } from './io.js'

/** Adds the options that say how a service is configured. */
export function configuring(target: Command): Command {
  return target
    .addOption(new Option('--role <role>', 'run only this part (default: both)').choices(['nameserver', 'broker']))
    .option('--data <dir>', 'directory for everything that is stored (default: ./data)')
    .option('--nameserver-port <port>', 'port of the nameserver, 0 picks a free one (default: 9876)', wholeNumber)
    .option('--broker-port <port>', 'port of the broker, 0 picks a free one (default: 10911)', wholeNumber)
    .addOption(
      new Option('--flush <mode>', 'acknowledge a message when it is on disk (sync, the default) or before').choices([
        'sync',
        'async',
      ]),
    )
    .option(
      '-n, --nameserver <host:port>',
      'nameservers a broker registers with, joined by ; (default: the one in this process)',
    )
    .option('--bind <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--insecure', 'allow --bind beyond this machine without authentication')
    .option('-c, --config <file>', 'broker.conf, or a .json, .ts or .mjs file')
    .option('--set <key=value>', 'any setting; may be repeated', collectKeyValue)
}

export interface ConfiguringOptions extends CommonOptions {
  readonly role?: Role
  readonly data?: string
  readonly nameserverPort?: number
  readonly brokerPort?: number
  readonly flush?: 'sync' | 'async'
  readonly nameserver?: string
  readonly bind?: string
  readonly insecure?: boolean
  readonly config?: string
  readonly set?: readonly (readonly [string, string])[]
}

/** Loads the configuration these options ask for, and passes its warnings on. @throws MillraceError INVALID_CONFIG */
export async function loadFor(io: CommandIo, options: ConfiguringOptions): Promise<LoadedConfig> {
  const { loadConfig, readConfigFile } = await import('@millrace/runtime/config')
  const loaded = loadConfig({
    ...(options.role ? { roles: [options.role] } : {}),
    ...(options.config ? { file: await readConfigFile(options.config) } : {}),
    environment: io.environment,
    flags: flagEntries(options),
  })
  for (const warning of loaded.warnings) io.talk(`warning: ${warning}\n`)
  return loaded
}

function flagEntries(options: ConfiguringOptions): ConfigEntry[] {
  const flags: [string, unknown, string][] = [
    ['storePathRootDir', options.data, '--data'],
    ['nameserver.listenPort', options.nameserverPort, '--nameserver-port'],
    ['broker.listenPort', options.brokerPort, '--broker-port'],
    ['flushDiskType', options.flush && `${options.flush.toUpperCase()}_FLUSH`, '--flush'],
    ['namesrvAddr', options.nameserver, '--nameserver'],
    ['bindAddress', options.bind, '--bind'],
    ['insecure', options.insecure, '--insecure'],
  ]
  const given = flags.flatMap(([key, value, origin]) => (value === undefined ? [] : [{ key, value, origin }]))
  return [...(options.set ?? []).map(([key, value]) => ({ key, value, origin: '--set' })), ...given]
}
