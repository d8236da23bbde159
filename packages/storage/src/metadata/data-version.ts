/** Version of a table as brokers tell each other and the nameserver. @see RocketMQ `DataVersion` */
export interface DataVersion {
  readonly stateVersion: number
  /** Broker clock of the last change, milliseconds. */
  readonly timestamp: number
  /** Number of changes. */
  readonly counter: number
}

export function firstDataVersion(nowMs: number): DataVersion {
  return { stateVersion: 0, timestamp: nowMs, counter: 0 }
}

export function nextDataVersion(version: DataVersion, nowMs: number): DataVersion {
  return { stateVersion: version.stateVersion, timestamp: nowMs, counter: version.counter + 1 }
}
