import {
  type Cancel,
  type Environment,
  encodeHeartbeat,
  type HeartbeatData,
  RequestCode,
  type SubscriptionData,
} from '@millrace/core'
import type { ConnectionPool } from '../connection/connection-pool.js'
import { HEARTBEAT_INTERVAL_MS } from '../limits.js'
import type { RouteTable } from '../route/route-table.js'

/** What brokers learn of one consumer group of this client. Names and values as in behaviour.md §2. */
export interface GroupRegistration {
  readonly group: string
  readonly messageModel: 'CLUSTERING' | 'BROADCASTING'
  readonly consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET' | 'CONSUME_FROM_LAST_OFFSET' | 'CONSUME_FROM_TIMESTAMP'
  readonly subscriptions: readonly SubscriptionData[]
}

/**
 * Tells every broker in use, every 30 s, which groups this client is a member of. Brokers forget a client after
 * 120 s, or as soon as its connection closes: a new connection therefore begins with a heartbeat.
 */
export class Heartbeats {
  readonly #environment: Environment
  readonly #pool: ConnectionPool
  readonly #routes: RouteTable
  readonly #clientId: string
  readonly #producerGroups = new Set<string>()
  readonly #consumerGroups = new Map<string, GroupRegistration>()
  #cancel: Cancel | undefined
  #isStopped = false

  constructor(environment: Environment, pool: ConnectionPool, routes: RouteTable, clientId: string) {
    this.#environment = environment
    this.#pool = pool
    this.#routes = routes
    this.#clientId = clientId
  }

  start(): void {
    if (this.#isStopped) return
    const beat = (): void => void this.beat().finally(() => this.start())
    this.#cancel = this.#environment.scheduler.after(HEARTBEAT_INTERVAL_MS, beat, { unref: true })
  }

  /** Unregisters every group and stops. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    const producers = [...this.#producerGroups].map(group => this.#unregister({ producerGroup: group }))
    const consumers = [...this.#consumerGroups.keys()].map(group => this.#unregister({ consumerGroup: group }))
    await Promise.all([...producers, ...consumers])
  }

  addProducer(group: string): void {
    this.#producerGroups.add(group)
  }

  /** False when this client is a member already: two members of one client would get the same queues. */
  addConsumer(registration: GroupRegistration): boolean {
    if (this.#consumerGroups.has(registration.group)) return false
    this.#consumerGroups.set(registration.group, registration)
    return true
  }

  /** Leaves the group; resolves when every broker that can be reached knows. */
  async removeConsumer(group: string): Promise<void> {
    if (this.#consumerGroups.delete(group)) await this.#unregister({ consumerGroup: group })
  }

  /** Tells every broker now. Resolves when all have answered or failed: a broker that is away hears of us when it is back. */
  async beat(): Promise<void> {
    await Promise.all([...this.#routes.masters()].map(address => this.beatTo(address)))
  }

  /** Tells one broker. Does nothing for an address that is no broker in use. */
  async beatTo(address: string): Promise<void> {
    if (this.#producerGroups.size + this.#consumerGroups.size === 0 || !this.#routes.masters().has(address)) return
    const body = encodeHeartbeat(this.#body())
    await this.#pool.request(address, { code: RequestCode.HEART_BEAT, body }).catch(() => {})
  }

  #body(): HeartbeatData {
    return {
      clientID: this.#clientId,
      producerDataSet: [...this.#producerGroups].map(groupName => ({ groupName })),
      consumerDataSet: [...this.#consumerGroups.values()].map(registration => ({
        groupName: registration.group,
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: registration.messageModel,
        consumeFromWhere: registration.consumeFromWhere,
        subscriptionDataSet: registration.subscriptions,
        unitMode: false,
      })),
      heartbeatFingerprint: 0,
      withoutSub: false,
    }
  }

  async #unregister(group: { readonly producerGroup?: string; readonly consumerGroup?: string }): Promise<void> {
    const request = { code: RequestCode.UNREGISTER_CLIENT, fields: { clientID: this.#clientId, ...group } }
    const connected = [...this.#routes.masters()].filter(address => this.#pool.live(address))
    await Promise.all(connected.map(address => this.#pool.request(address, request).catch(() => {})))
  }
}
