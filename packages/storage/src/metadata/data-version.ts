import type { DataVersion } from '@millrace/core'

export function firstDataVersion(nowMs: number): DataVersion {
  return { stateVersion: 0, timestamp: nowMs, counter: 0 }
}

/** @see RocketMQ `DataVersion#nextVersion` */
export function nextDataVersion(version: DataVersion, nowMs: number): DataVersion {
  return { stateVersion: version.stateVersion, timestamp: nowMs, counter: version.counter + 1 }
}
