import {
  assert,
  type BrokerData,
  type DataVersion,
  type NetAddress,
  Permission,
  type QueueData,
  type TopicConfig,
} from '@millrace/core'
import { addressText } from '../requests/address.js'
import { type BrokerIdentity, compareDataVersions, type LocalBroker } from './registration.js'

/** One registered broker process. */
export interface LiveBroker extends BrokerIdentity {
  /** `host:port` as registered; undefined for a broker of this process whose host depends on who asks. */
  readonly address: string | undefined
  readonly port: number
  /** The connection it registers over; undefined in this process. */
  readonly peerId: number | undefined
  readonly haServerAddr: string
  readonly enableActingMaster: boolean
  readonly timeoutMs: number
  lastSeen: number
  dataVersion: DataVersion
}

/** What a broker registers over the wire [103]. */
export interface WireRegistration extends BrokerIdentity {
  readonly address: string
  readonly peerId: number
  readonly haServerAddr: string
  readonly enableActingMaster: boolean
  readonly timeoutMs: number
  readonly dataVersion: DataVersion
  readonly topics: readonly TopicConfig[]
}

interface BrokerGroup {
  cluster: string
  readonly name: string
  /** Broker id → process. Never empty. */
  readonly members: Map<number, LiveBroker>
}

const MASTER_ID = 0

/**
 * Which broker has which topic, and which brokers live. behaviour.md §1
 *
 * Invariants: every QueueData names a broker of `#groups`; no topic has an empty list; newer route data of a
 * broker is never replaced by older.
 */
export class RouteTable {
  readonly #groups = new Map<string, BrokerGroup>()
  readonly #topics = new Map<string, QueueData[]>()

  /**
   * Registers a broker, or refreshes it. Its topics replace what it registered before, unless its version is older
   * (@see RocketMQ `RouteInfoManager#registerBroker`). False: refused, another broker holds this id with a newer state or
   * in this process.
   */
  register(registration: WireRegistration, now: number): boolean {
    const group = this.#groups.get(registration.brokerName)
    const known = group?.members.get(registration.brokerId)
    const { dataVersion } = registration
    const port = portOf(registration.address)
    // A broker of this process that also registers over the wire is known already, and better.
    if (known && known.peerId === undefined) return known.port === port
    const isSameProcess = known?.address === registration.address
    if (known && !isSameProcess && known.dataVersion.stateVersion > dataVersion.stateVersion) return false
    const isOlder = known !== undefined && isSameProcess && isStale(known, registration)
    const isUnchanged = known !== undefined && compareDataVersions(known.dataVersion, dataVersion) === 0
    this.#join({
      clusterName: registration.clusterName,
      brokerName: registration.brokerName,
      brokerId: registration.brokerId,
      address: registration.address,
      port,
      peerId: registration.peerId,
      haServerAddr: registration.haServerAddr,
      enableActingMaster: registration.enableActingMaster,
      timeoutMs: registration.timeoutMs,
      lastSeen: now,
      dataVersion: isOlder ? known.dataVersion : dataVersion,
    })
    // A replica's table is a copy of its master's; it counts only while there is no master.
    const speaks =
      registration.brokerId === MASTER_ID || !this.#groups.get(registration.brokerName)?.members.has(MASTER_ID)
    if (speaks && !isOlder && !(isUnchanged && isSameProcess))
      this.#replaceTopics(registration.brokerName, registration.topics)
    return true
  }

  /** Registers a broker of this process with all its topics. It lives until `leave`. */
  registerLocal(broker: LocalBroker, topics: Iterable<TopicConfig>, dataVersion: DataVersion, now: number): void {
    this.#join({
      clusterName: broker.clusterName,
      brokerName: broker.brokerName,
      brokerId: broker.brokerId,
      address: broker.host === undefined ? undefined : addressText({ host: broker.host, port: broker.port }),
      port: broker.port,
      peerId: undefined,
      haServerAddr: '',
      enableActingMaster: false,
      timeoutMs: Number.MAX_SAFE_INTEGER,
      lastSeen: now,
      dataVersion,
    })
    this.#replaceTopics(broker.brokerName, topics)
  }

  /** Applies changes of a broker of this process; costs only as much as there are changes. */
  updateLocal(
    broker: BrokerIdentity,
    change: { readonly changed: readonly TopicConfig[]; readonly removed: readonly string[] },
    dataVersion: DataVersion,
  ): void {
    const live = this.#groups.get(broker.brokerName)?.members.get(broker.brokerId)
    assert(live, 'a local broker registers before it changes', { brokerName: broker.brokerName })
    if (compareDataVersions(dataVersion, live.dataVersion) > 0) live.dataVersion = dataVersion
    for (const topic of change.changed) this.#put(topic.topicName, queueDataOf(broker.brokerName, topic))
    for (const topic of change.removed) this.#drop(topic, broker.brokerName)
  }

  /** Adds queues of one topic [217]; those of unknown brokers are left out. */
  registerTopic(topic: string, queues: readonly QueueData[]): void {
    for (const queue of queues) if (this.#groups.has(queue.brokerName)) this.#put(topic, queue)
  }

  /** Marks a broker as alive. False when it is not registered. */
  refresh(broker: BrokerIdentity, now: number): boolean {
    const live = this.find(broker)
    if (!live) return false
    live.lastSeen = now
    return true
  }

  find(broker: BrokerIdentity): LiveBroker | undefined {
    return this.#groups.get(broker.brokerName)?.members.get(broker.brokerId)
  }

  /** Removes a broker; the topics of its name go with the last of that name. */
  leave(broker: BrokerIdentity): void {
    const group = this.#groups.get(broker.brokerName)
    if (!group?.members.delete(broker.brokerId) || group.members.size > 0) return
    this.#groups.delete(broker.brokerName)
    for (const topic of [...this.#topics.keys()]) this.#drop(topic, broker.brokerName)
  }

  /** Removes the brokers that registered over a connection. */
  leavePeer(peerId: number): void {
    for (const live of this.#live()) if (live.peerId === peerId) this.leave(live)
  }

  /** Removes and returns the brokers that were silent for longer than their time-out. */
  expire(now: number): LiveBroker[] {
    const gone = this.#live().filter(live => live.lastSeen + live.timeoutMs < now)
    for (const live of gone) this.leave(live)
    return gone
  }

  queuesOf(topic: string): readonly QueueData[] {
    return this.#topics.get(topic) ?? []
  }

  topicNames(): string[] {
    return [...this.#topics.keys()]
  }

  topicsWhere(accepts: (queues: readonly QueueData[]) => boolean): string[] {
    return [...this.#topics].filter(([, queues]) => accepts(queues)).map(([topic]) => topic)
  }

  /** Cluster → broker names. */
  clusters(): Map<string, string[]> {
    const clusters = new Map<string, string[]>()
    for (const group of this.#groups.values()) {
      const names = clusters.get(group.cluster)
      if (names) names.push(group.name)
      else clusters.set(group.cluster, [group.name])
    }
    return clusters
  }

  brokerNames(): string[] {
    return [...this.#groups.keys()]
  }

  /** The brokers of one name as a client that reached us at `local` should see them. Undefined: unknown name. */
  brokerData(brokerName: string, local: NetAddress): BrokerData | undefined {
    const group = this.#groups.get(brokerName)
    if (!group) return undefined
    const brokerAddrs: Record<string, string> = {}
    let enableActingMaster = false
    for (const [id, live] of group.members) {
      brokerAddrs[id] = live.address ?? addressText({ host: local.host, port: live.port })
      if (live.enableActingMaster) enableActingMaster = true
    }
    return { brokerAddrs, brokerName, cluster: group.cluster, enableActingMaster }
  }

  clusterOf(brokerName: string): string | undefined {
    return this.#groups.get(brokerName)?.cluster
  }

  /** Sets or clears the write bit in all routes of a broker name; returns how many topics it has. */
  setWritable(brokerName: string, isWritable: boolean): number {
    let count = 0
    for (const queues of this.#topics.values())
      for (const [index, queue] of queues.entries())
        if (queue.brokerName === brokerName) {
          const perm = isWritable ? queue.perm | Permission.WRITE : queue.perm & ~Permission.WRITE
          queues[index] = { ...queue, perm }
          count += 1
        }
    return count
  }

  /** Removes the routes of a topic, of one cluster if given [216]. */
  deleteTopic(topic: string, cluster: string | undefined): void {
    for (const queue of [...this.queuesOf(topic)])
      if (cluster === undefined || this.clusterOf(queue.brokerName) === cluster) this.#drop(topic, queue.brokerName)
  }

  #live(): LiveBroker[] {
    return [...this.#groups.values()].flatMap(group => [...group.members.values()])
  }

  #join(live: LiveBroker): void {
    const group = this.#groups.get(live.brokerName)
    if (!group) {
      const members = new Map([[live.brokerId, live]])
      this.#groups.set(live.brokerName, { cluster: live.clusterName, name: live.brokerName, members })
      return
    }
    group.cluster = live.clusterName
    // An address has one id: a replica that became master leaves its old place.
    if (live.address !== undefined)
      for (const [id, other] of group.members)
        if (other.address === live.address && id !== live.brokerId) group.members.delete(id)
    group.members.set(live.brokerId, live)
  }

  #replaceTopics(brokerName: string, topics: Iterable<TopicConfig>): void {
    const kept = new Set<string>()
    for (const topic of topics) {
      kept.add(topic.topicName)
      this.#put(topic.topicName, queueDataOf(brokerName, topic))
    }
    for (const topic of [...this.#topics.keys()]) if (!kept.has(topic)) this.#drop(topic, brokerName)
  }

  #put(topic: string, queue: QueueData): void {
    const queues = this.#topics.get(topic)
    if (!queues) {
      this.#topics.set(topic, [queue])
      return
    }
    const index = queues.findIndex(other => other.brokerName === queue.brokerName)
    if (index < 0) queues.push(queue)
    else queues[index] = queue
  }

  #drop(topic: string, brokerName: string): void {
    const queues = this.#topics.get(topic)
    const index = queues?.findIndex(queue => queue.brokerName === brokerName) ?? -1
    if (!queues || index < 0) return
    queues.splice(index, 1)
    if (queues.length === 0) this.#topics.delete(topic)
  }
}

/**
 * Registrations of one connection come in order, so an older version there is a late one. A broker that comes back
 * over a new connection may have lost its store and count from the start: then its clock tells.
 */
function isStale(known: LiveBroker, registration: WireRegistration): boolean {
  const { dataVersion } = registration
  if (compareDataVersions(dataVersion, known.dataVersion) >= 0) return false
  return known.peerId === registration.peerId || dataVersion.timestamp <= known.dataVersion.timestamp
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

function queueDataOf(brokerName: string, topic: TopicConfig): QueueData {
  const { readQueueNums, writeQueueNums, perm, topicSysFlag } = topic
  return { brokerName, readQueueNums, writeQueueNums, perm, topicSysFlag }
}
