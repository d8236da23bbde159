import { type DataVersion, isSystemGroup, ResponseCode, SYSTEM_GROUPS, validateGroup } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import { Refusal } from '../../requests/answer.js'
import { changeGroupAttributes } from './group-attributes.js'
import { defaultSubscriptionGroup, type SubscriptionGroup } from './subscription-group.js'

/** The settings of all consumer groups of this broker, online or not. Reading never waits. */
export class SubscriptionGroups {
  readonly #system = new Map(SYSTEM_GROUPS.map(name => [name, defaultSubscriptionGroup(name)]))

  constructor(
    private readonly records: MetadataTable<SubscriptionGroup>,
    private readonly config: () => BrokerConfig,
  ) {}

  find(name: string): SubscriptionGroup | undefined {
    return this.records.get(name) ?? this.#system.get(name)
  }

  /**
   * The group, created with defaults when it is missing and may be (autoCreateSubscriptionGroup, or a system group).
   * It is stored behind the caller's back: lost in a crash, it would be created the same way again.
   */
  ensure(name: string): SubscriptionGroup | undefined {
    const known = this.find(name)
    if (known) return known
    const mayCreate = this.config().autoCreateSubscriptionGroup || isSystemGroup(name)
    if (!mayCreate || !validateGroup(name).ok) return undefined
    const group = defaultSubscriptionGroup(name)
    // A failed write makes the metadata store report it, once for all callers; the group is gone from the table then.
    this.records.put(name, group).catch(() => undefined)
    return group
  }

  /**
   * Stores the settings; `attributes` are changes of those the group has. Resolves when it is durable.
   * @throws Refusal 29 (name) | 1 (attributes), MillraceError DISK_FULL | DISK_FAILED
   */
  async put(group: SubscriptionGroup): Promise<void> {
    const check = validateGroup(group.groupName)
    if (!check.ok) throw new Refusal(ResponseCode.INVALID_PARAMETER, check.reason)
    const attributes = changeGroupAttributes(this.records.get(group.groupName)?.attributes, group.attributes)
    await this.records.put(group.groupName, { ...group, attributes })
  }

  /** Resolves when it is durable. System groups fall back to their defaults. @throws MillraceError as `put` */
  remove(name: string): Promise<void> {
    return this.records.remove(name)
  }

  /** Names, system groups first. */
  names(): string[] {
    return [...new Set([...this.#system.keys(), ...this.records.keys()])]
  }

  get dataVersion(): DataVersion {
    return this.records.version
  }
}
