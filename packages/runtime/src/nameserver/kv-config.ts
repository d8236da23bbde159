import type { MetadataTable } from '@millrace/storage'

/** Namespace of the queue counts of ordered topics: `broker:queues;…` by topic. */
export const ORDER_TOPIC_CONFIG = 'ORDER_TOPIC_CONFIG'

/** Texts by key. */
export type KvNamespace = Readonly<Record<string, string>>

/** Free texts by namespace and key, kept for administrators. @see RocketMQ `KVConfigManager` */
export class KvConfig {
  constructor(private readonly namespaces: MetadataTable<KvNamespace>) {}

  get(namespace: string, key: string): string | undefined {
    const values = this.namespaces.get(namespace)
    return values && Object.hasOwn(values, key) ? values[key] : undefined
  }

  list(namespace: string): KvNamespace | undefined {
    return this.namespaces.get(namespace)
  }

  /** Visible at once; resolves when the value survives a crash. @throws MillraceError DISK_FULL | DISK_FAILED */
  put(namespace: string, key: string, value: string): Promise<void> {
    return this.namespaces.put(namespace, { ...this.namespaces.get(namespace), [key]: value })
  }

  /** @throws MillraceError DISK_FULL | DISK_FAILED */
  async delete(namespace: string, key: string): Promise<void> {
    const { [key]: removed, ...rest } = this.namespaces.get(namespace) ?? {}
    if (removed !== undefined) await this.namespaces.put(namespace, rest)
  }
}
