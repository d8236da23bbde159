import type { DataVersion } from '@millrace/core'

/** Negative when `a` is older than `b`, 0 when they are the same. @see RocketMQ `DataVersion#compare` */
export function compareDataVersions(a: DataVersion, b: DataVersion): number {
  return a.stateVersion - b.stateVersion || a.counter - b.counter || a.timestamp - b.timestamp
}

/** A broker as nameservers know it. */
export interface BrokerIdentity {
  readonly clusterName: string
  readonly brokerName: string
  /** 0 is the master. */
  readonly brokerId: number
}

/** A broker in the nameserver's own process. */
export interface LocalBroker extends BrokerIdentity {
  /** Port of the broker's listener. */
  readonly port: number
  /**
   * Host for routes. Undefined: each client is told the address it used to reach the nameserver, which by
   * experience works for it.
   */
  readonly host: string | undefined
}
