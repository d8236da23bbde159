import { type DataVersion, MillraceError, ResponseCode } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import { parsePropertiesText } from '../config/index.js'
import { Refusal } from './answer.js'

/** A value that was set over the network, and the configured one that it stands in for. */
export interface ConfigChange {
  readonly value: string
  readonly configured: string
}

export interface ConfigChangesOptions<C> {
  /** Changed in place, so that everybody who holds it sees the change. */
  readonly config: C
  readonly records: MetadataTable<ConfigChange>
  /** All that may be changed over the network. */
  readonly changeable: ReadonlySet<keyof C & string>
  /** Checks and completes a configuration. @throws MillraceError INVALID_CONFIG that names the key */
  readonly check: (values: Partial<C>) => C
}

/**
 * Settings that operators change while the service runs. Only settings of the list can be changed, each to a value of its
 * type and range. They are kept in the data directory, never in a file that the request could name, and
 * hold until the setting is given another value where it was configured.
 */
export class ConfigChanges<C extends object> {
  readonly #configured: Readonly<Record<string, unknown>>

  constructor(private readonly options: ConfigChangesOptions<C>) {
    this.#configured = { ...options.config } as Readonly<Record<string, unknown>>
    this.#restore()
  }

  /** Counts the changes. */
  get version(): DataVersion {
    return this.options.records.version
  }

  /**
   * Applies `name=value` lines, all or none; durable when it resolves.
   * @throws Refusal 16 (names what may not be changed) | 1 (names the bad value), MillraceError DISK_FULL | DISK_FAILED
   */
  async apply(text: string): Promise<void> {
    const { changeable, config, records } = this.options
    const entries = parsePropertiesText(text, 'the request').filter(({ key }) => key !== '')
    for (const { key } of entries)
      if (!changeable.has(key as keyof C & string))
        throw new Refusal(
          ResponseCode.NO_PERMISSION,
          `Can not update config ${key.slice(0, 100)} over the network; change the configuration and restart`,
        )
    const changes = Object.fromEntries(entries.map(({ key, value }) => [key, String(value)]))
    const values = this.#checked(changes)
    await Promise.all(
      Object.entries(changes).map(([name, value]) =>
        records.put(name, { value, configured: String(this.#configured[name]) }),
      ),
    )
    Object.assign(config, values)
  }

  #checked(changes: Readonly<Record<string, string>>): Partial<C> {
    try {
      const checked = this.options.check({ ...this.options.config, ...(changes as unknown as Partial<C>) })
      return Object.fromEntries(Object.keys(changes).map(name => [name, checked[name as keyof C]])) as Partial<C>
    } catch (error) {
      if (error instanceof MillraceError) throw new Refusal(ResponseCode.SYSTEM_ERROR, error.message)
      throw error
    }
  }

  /** Takes up the changes of earlier runs; those that have been overtaken by the configuration are dropped. */
  #restore(): void {
    const { changeable, config, records } = this.options
    for (const [name, { configured, value }] of [...records.entries()]) {
      try {
        if (!changeable.has(name as keyof C & string) || String(this.#configured[name]) !== configured)
          throw new Refusal(ResponseCode.NO_PERMISSION, `${name} was configured anew`)
        Object.assign(config, this.#checked({ [name]: value }))
      } catch {
        // The configuration counts; a failed removal is reported by the store and tried again with the next start.
        records.remove(name).catch(() => undefined)
      }
    }
  }
}
