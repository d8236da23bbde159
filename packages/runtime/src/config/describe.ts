import { environmentName, type LoadedConfig, type Role, tables } from './load.js'

export interface ConfigRow {
  /** Property name; with `nameserver.` in front for the nameserver's. */
  readonly key: string
  /** As text; secrets are `***`. */
  readonly value: string
  readonly origin: string
  readonly doc: string
}

/** Every property of the roles that run: its value and where it came from. */
export function configTable(config: LoadedConfig): ConfigRow[] {
  return config.roles.flatMap(role =>
    Object.entries(tables[role]).map(([name, setting]) => ({
      key: fullName(role, name),
      value: setting.isSecret ? '***' : String(config[role][name as never]),
      origin: config.origins[role][name],
      doc: setting.doc,
    })),
  )
}

export interface SettingDoc {
  readonly key: string
  readonly role: Role
  readonly initial: string
  readonly expected: string
  readonly environment: string
  readonly doc: string
}

/** What can be configured, for `--help` and the reference page. */
export function settingDocs(): SettingDoc[] {
  return (['nameserver', 'broker'] as const).flatMap(role =>
    Object.entries(tables[role]).map(([name, setting]) => ({
      key: fullName(role, name),
      role,
      initial: String(setting.initial),
      expected: setting.expected,
      environment: environmentName(fullName(role, name)),
      doc: setting.doc,
    })),
  )
}

const fullName = (role: Role, name: string): string => (role === 'nameserver' ? `nameserver.${name}` : name)
