import type { Environment } from '@millrace/core'
import type { LogStore } from '@millrace/storage'
import { recordTime } from '../broker/queries/stored-time.js'
import { gauge, type Metric } from './metric.js'

const LABELS = { storage_type: 'local', storage_medium: 'disk' } as const

/** The store and its disk. RocketMQ `DefaultStoreMetricsManager` */
export function storeMetrics(store: LogStore, directory: string, { clock, disk }: Environment): Metric[] {
  const earliest = store.logEnd > store.logBegin ? recordTime(store, store.logBegin) : undefined
  const space = spaceOf(disk, directory)
  return [
    gauge('rocketmq_storage_size', 'Broker storage size', space && space.totalBytes - space.freeBytes, {
      labels: LABELS,
      unit: 'bytes',
    }),
    gauge(
      'rocketmq_storage_flush_behind_bytes',
      'Broker flush behind bytes',
      Math.max(0, store.logEnd - store.ring.synced),
      { labels: LABELS, unit: 'bytes' },
    ),
    gauge(
      'rocketmq_storage_dispatch_behind_bytes',
      'Broker dispatch behind bytes',
      Math.max(0, store.logEnd - store.indexed),
      { labels: LABELS, unit: 'bytes' },
    ),
    gauge(
      'rocketmq_storage_message_reserve_time',
      'Broker message reserve time',
      earliest === undefined ? undefined : Math.max(0, clock.now() - earliest),
      { labels: LABELS, unit: 'milliseconds' },
    ),
    gauge(
      'millrace_log_ring_fill_ratio',
      'Part of the memory between network and disk that is in use',
      store.ring.fill,
    ),
    gauge('millrace_log_bytes', 'Bytes of the commit log that are kept', store.logEnd - store.logBegin, {
      unit: 'bytes',
    }),
    gauge('millrace_store_writable', '1 while the store takes messages', store.refusal === undefined ? 1 : 0),
    gauge('millrace_disk_free_bytes', 'Free bytes of the disk that holds the store', space?.freeBytes, {
      unit: 'bytes',
    }),
  ]
}

/** Undefined when the disk cannot be asked. */
export function spaceOf(disk: Environment['disk'], directory: string) {
  try {
    return disk.space(directory)
  } catch {
    // A disk that cannot be asked shows as missing figures; the store reports its own failures.
    return undefined
  }
}
