import { MillraceError } from '@millrace/core'
import * as v from 'valibot'
import { type BrokerConfig, brokerSettings } from './broker-settings.js'
import { checkSecurity } from './check-security.js'
import { type NameserverConfig, nameserverSettings } from './nameserver-settings.js'
import type { Setting } from './setting.js'
import { didYouMean } from './suggest.js'
import { unsupportedProperties } from './unsupported-properties.js'

export type Role = 'nameserver' | 'broker'

/** One value as a source gave it. */
export interface ConfigEntry {
  /** Property name; `nameserver.` or `broker.` in front of it chooses the role. */
  readonly key: string
  readonly value: unknown
  /** Where it was found, for people: `--flush`, `MILLRACE_FLUSH_DISK_TYPE`, `broker.conf:12`. */
  readonly origin: string
}

/** Sources in falling order of strength. Within `flags` and `file` a later entry wins. */
export interface ConfigSources {
  /** The roles that will run; default both. A key without a role in front goes to the broker if one runs. */
  readonly roles?: readonly Role[]
  readonly flags?: readonly ConfigEntry[]
  /** Environment variables; only those named `MILLRACE_…` (and RocketMQ's NAMESRV_ADDR) are looked at. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly file?: readonly ConfigEntry[]
}

/** Where each value of a role came from: the entry's origin, or `default`. */
export type Origins = Readonly<Record<string, string>>

export interface LoadedConfig {
  readonly roles: readonly Role[]
  readonly broker: BrokerConfig
  readonly nameserver: NameserverConfig
  readonly origins: Readonly<Record<Role, Origins>>
  /** Sentences about what was accepted and has no effect. */
  readonly warnings: readonly string[]
}

type Table = Readonly<Record<string, Setting<unknown>>>

export const tables: Readonly<Record<Role, Table>> = { nameserver: nameserverSettings, broker: brokerSettings }
const BOTH: readonly Role[] = ['nameserver', 'broker']

/**
 * Merges the sources, checks every value and fills in defaults.
 * @throws MillraceError INVALID_CONFIG that lists every unknown key and bad value with its place
 */
export function loadConfig(sources: ConfigSources = {}): LoadedConfig {
  const roles = sources.roles ?? BOTH
  const problems: string[] = []
  const unsupported: string[] = []
  const found: Record<Role, Map<string, ConfigEntry>> = { nameserver: new Map(), broker: new Map() }

  for (const entry of [
    ...(sources.file ?? []),
    ...fromEnvironment(sources.environment ?? {}),
    ...(sources.flags ?? []),
  ]) {
    const targets = resolve(entry.key, roles)
    if (targets.length === 0) {
      const bare = entry.key.replace(ROLE_PREFIX, '')
      if (unsupportedProperties.has(bare)) unsupported.push(`${entry.key} (${entry.origin})`)
      else problems.push(`unknown key "${entry.key}" (${entry.origin})${didYouMean(bare, knownKeys())}`)
    }
    for (const { role, name } of targets) found[role].set(name, entry)
  }

  const nameserver = fill('nameserver', found.nameserver, problems)
  const broker = fill('broker', found.broker, problems)
  if (problems.length === 0) {
    if (roles.includes('nameserver')) problems.push(...checkSecurity(nameserver.values as NameserverConfig))
    if (roles.includes('broker')) problems.push(...checkBroker(broker.values as BrokerConfig))
  }
  if (problems.length > 0) throw new MillraceError('INVALID_CONFIG', [...new Set(problems)].join('\n'))

  return {
    roles,
    broker: broker.values as BrokerConfig,
    nameserver: nameserver.values as NameserverConfig,
    origins: { nameserver: nameserver.origins, broker: broker.origins },
    warnings: [...unknownVariables(sources.environment ?? {}), ...unsupportedWarning(unsupported)],
  }
}

/** A complete broker configuration: defaults and `overrides`, checked. @throws MillraceError INVALID_CONFIG */
export function brokerConfig(overrides: Partial<BrokerConfig> = {}): BrokerConfig {
  return loadConfig({ roles: ['broker'], flags: toEntries(overrides) }).broker
}

/** A complete nameserver configuration: defaults and `overrides`, checked. @throws MillraceError INVALID_CONFIG */
export function nameserverConfig(overrides: Partial<NameserverConfig> = {}): NameserverConfig {
  return loadConfig({ roles: ['nameserver'], flags: toEntries(overrides) }).nameserver
}

const toEntries = (values: object): ConfigEntry[] =>
  Object.entries(values).map(([key, value]) => ({ key, value: value as unknown, origin: 'overrides' }))

const ROLE_PREFIX = /^(nameserver|broker)\./

/** The settings a key means: none (unknown), or one, or one per role for what both have. */
function resolve(key: string, roles: readonly Role[]): { role: Role; name: string }[] {
  const prefix = ROLE_PREFIX.exec(key)?.[1] as Role | undefined
  const bare = key.replace(ROLE_PREFIX, '')
  const named = (prefix ? [prefix] : BOTH).flatMap(role => {
    const name = settingName(tables[role], bare)
    return name === undefined ? [] : [{ role, name }]
  })
  // Both listen; one port cannot serve both: "listenPort" alone is the broker's, or the only role's.
  if (named.length < 2 || named[0].name !== 'listenPort') return named
  return named.filter(({ role }) => role === (roles.includes('broker') ? 'broker' : 'nameserver'))
}

function settingName(table: Table, key: string): string | undefined {
  if (Object.hasOwn(table, key)) return key
  return Object.keys(table).find(name => table[name].aliases?.includes(key))
}

function knownKeys(): Set<string> {
  return new Set(
    BOTH.flatMap(role => Object.entries(tables[role]).flatMap(([name, { aliases = [] }]) => [name, ...aliases])),
  )
}

/** `brokerIP1` → `MILLRACE_BROKER_IP1`, `nameserver.listenPort` → `MILLRACE_NAMESERVER_LISTEN_PORT`. */
export function environmentName(key: string): string {
  const snake = key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('.', '_')
  return `MILLRACE_${snake.toUpperCase()}`
}

function variables(): Map<string, string> {
  const names = new Map<string, string>()
  for (const role of BOTH)
    for (const [name, { aliases = [], environmentAliases = [] }] of Object.entries(tables[role])) {
      for (const variable of environmentAliases) names.set(variable, name)
      for (const key of [name, ...aliases]) {
        names.set(environmentName(key), key)
        names.set(environmentName(`${role}.${key}`), `${role}.${key}`)
      }
    }
  return names
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): ConfigEntry[] {
  const entries: ConfigEntry[] = []
  for (const [variable, key] of variables()) {
    const value = environment[variable]
    if (value !== undefined && value !== '') entries.push({ key, value, origin: variable })
  }
  return entries
}

/** Of the commands that connect to a service. */
const CLIENT_CREDENTIALS = 'MILLRACE_CREDENTIALS'

/** A warning, not an error as for other sources: the environment is shared with programs we do not know. */
function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = variables()
  return Object.keys(environment)
    .filter(name => name.startsWith('MILLRACE_') && name !== CLIENT_CREDENTIALS && !known.has(name))
    .map(name => `environment variable ${name} is not a setting${didYouMean(name, known.keys())}`)
}

function unsupportedWarning(keys: readonly string[]): string[] {
  if (keys.length === 0) return []
  return [`RocketMQ properties without effect here: ${keys.join(', ')}`]
}

function fill(role: Role, found: ReadonlyMap<string, ConfigEntry>, problems: string[]) {
  const values: Record<string, unknown> = {}
  const origins: Record<string, string> = {}
  for (const [name, setting] of Object.entries(tables[role])) {
    const entry = found.get(name)
    if (entry === undefined) {
      values[name] = setting.initial
      origins[name] = 'default'
      continue
    }
    const result = v.safeParse(setting.schema, entry.value)
    if (result.success) {
      values[name] = result.output
      origins[name] = entry.origin
    } else {
      const shown = setting.isSecret ? '***' : JSON.stringify(entry.value)
      problems.push(`${entry.key} is ${shown} (${entry.origin}); expected ${setting.expected}`)
    }
  }
  return { values, origins }
}

/** A record is its body and up to 64 KiB of topic, properties and fields; the ring stops reading at three quarters. */
const RECORD_OVERHEAD_BYTES = 64 * 1024

function checkMetrics(config: BrokerConfig): string[] {
  if (!config.metricsExporterType.startsWith('OTLP') || config.metricsGrpcExporterTarget !== '') return []
  return [
    `metricsExporterType=${config.metricsExporterType} needs metricsGrpcExporterTarget, the address of a collector`,
  ]
}

function checkBroker(config: BrokerConfig): string[] {
  const recordBytes = config.maxMessageSize + RECORD_OVERHEAD_BYTES
  const problems = [...checkSecurity(config), ...checkMetrics(config)]
  for (const [name, least] of [
    ['mapedFileSizeCommitLog', recordBytes],
    ['ringBytes', 2 * recordBytes],
    ['frameBytesMax', recordBytes],
  ] as const)
    if (config[name] < least)
      problems.push(
        `${name} is ${config[name]}; with maxMessageSize ${config.maxMessageSize} it must be at least ${least}`,
      )
  return problems
}
