import type { ActorRef, ActorSystem } from '@millrace/core'
import type { KeyValue, MessageStore, MetadataStore } from '@millrace/storage'
import { type BrokerControl, createBrokerControl } from './broker/broker-control.js'
import type { BrokerCounters } from './broker/counters.js'
import type { BrokerConfig, NameserverConfig } from './config/index.js'
import { NAMESERVER_REQUESTS, type NameserverMessage, nameserver } from './nameserver/nameserver.js'
import type { Handler } from './requests/answer.js'

export interface ControlPlaneOptions {
  readonly system: ActorSystem
  readonly metadata: MetadataStore
  /** Present when this process is a nameserver. */
  readonly nameserver?: { readonly config: NameserverConfig } | undefined
  /** Present when this process is a broker. */
  readonly broker?:
    | {
        readonly config: BrokerConfig
        readonly store: MessageStore
        readonly timerIndex: KeyValue
        readonly counters: BrokerCounters
      }
    | undefined
}

/** Nameserver and broker of one process, without the data path (sends and pulls). */
export interface ControlPlane {
  /**
   * Request code → what serves it. The two roles have no code in common; the nameserver's are `NAMESERVER_REQUESTS`,
   * all others the broker's. Codes that are not here are answered 3, ` request type N not supported`.
   */
  readonly handlers: ReadonlyMap<number, Handler>
  readonly nameserver: ActorRef<NameserverMessage> | undefined
  readonly broker: BrokerControl | undefined
  /** Goes to work; the broker's listener is open on `brokerPort`. See `BrokerControl.start`. */
  start(brokerPort: number): Promise<void>
  /** To be called before the actor system stops, and while the stores are open. */
  stop(): Promise<void>
}

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { metadata, system } = options
  const handlers = new Map<number, Handler>()
  let nameserverRef: ActorRef<NameserverMessage> | undefined
  if (options.nameserver) {
    const behavior = nameserver({
      config: options.nameserver.config,
      kvConfig: metadata.table('nameserver-kv'),
      configRecords: metadata.table('nameserver-config'),
    })
    const ref = system.spawn('nameserver', behavior, { supervision: { kind: 'resume' } })
    for (const code of NAMESERVER_REQUESTS) handlers.set(code, request => ref.tell({ kind: 'request', request }))
    nameserverRef = ref
  }
  const broker =
    options.broker && createBrokerControl({ system, metadata, nameserver: nameserverRef, ...options.broker })
  for (const [code, handler] of broker?.handlers ?? []) handlers.set(code, handler)
  return {
    handlers,
    nameserver: nameserverRef,
    broker,
    start: async brokerPort => broker?.start(brokerPort),
    stop: async () => broker?.stop(),
  }
}
