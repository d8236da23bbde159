import { type ActorRef, type ActorSystem, MillraceError, type NetAddress, parseAddress } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { NameserverMessage } from '../../nameserver/nameserver.js'
import type { LocalBroker } from '../../nameserver/registration.js'
import { innerCredentials } from '../../security/credentials.js'
import { clientTls } from '../../security/tls.js'
import { type Topic, topicConfigOf } from '../topics/topic.js'
import type { TopicTable } from '../topics/topic-table.js'
import { type LinkMessage, nameserverLink } from './nameserver-link.js'

const LOCAL_DEADLINE_MS = 5_000
/** How long a topic change waits for nameservers of other processes: one that hangs must not hold up clients. */
const REMOTE_WAIT_MS = 1_000

export interface RegistrarOptions {
  readonly system: ActorSystem
  readonly config: BrokerConfig
  readonly topics: TopicTable
  /** The nameserver of this process, if it runs here. */
  readonly nameserver: ActorRef<NameserverMessage> | undefined
}

/** Makes the broker and its topics known to nameservers: the one of this process, those of `namesrvAddr`, or both. */
export class Registrar {
  readonly #options: RegistrarOptions
  readonly #links: ActorRef<LinkMessage>[] = []
  #broker: LocalBroker | undefined

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  /**
   * Registers; the broker's listener is open on `port`. Resolves when the nameserver of this process knows the
   * broker; those of other processes are told as soon as they can be reached.
   */
  async start(port: number): Promise<void> {
    const { config, nameserver, system, topics } = this.#options
    const host = config.brokerIP1 === '' ? undefined : config.brokerIP1
    const identity = { clusterName: config.brokerClusterName, brokerName: config.brokerName, brokerId: config.brokerId }
    const broker: LocalBroker = { ...identity, port, host }
    this.#broker = broker
    if (nameserver)
      await nameserver.ask<void>(
        reply => ({
          kind: 'local-broker-joined',
          broker,
          topics: [...topics.all()].map(topicConfigOf),
          dataVersion: topics.dataVersion,
          reply,
        }),
        LOCAL_DEADLINE_MS,
      )
    const tls = clientTls(config, system.environment)
    for (const address of parseNameservers(config.namesrvAddr)) {
      const behavior = nameserverLink({
        nameserver: address,
        broker: identity,
        host,
        port,
        topics,
        periodMs: config.registerNameServerPeriod,
        credentials: innerCredentials(config),
        tls,
      })
      this.#links.push(system.spawn(`nameserver-link-${address.host}:${address.port}`, behavior))
    }
  }

  /** Tells of changed and removed topics. Resolves when every nameserver that can be reached shows them. Never rejects. */
  readonly announce = async (changed: readonly Topic[], removed: readonly string[]): Promise<void> => {
    const { nameserver, topics } = this.#options
    const broker = this.#broker
    // Before the start there is nobody to tell: the start registers all topics.
    if (!broker) return
    const told = this.#links.map(link =>
      link.ask<void>(
        reply => ({ kind: 'topics-changed', changed, isRemoval: removed.length > 0, reply }),
        REMOTE_WAIT_MS,
      ),
    )
    if (nameserver)
      told.push(
        nameserver.ask<void>(
          reply => ({
            kind: 'local-topics-changed',
            broker,
            changed: changed.map(topicConfigOf),
            removed,
            dataVersion: topics.dataVersion,
            reply,
          }),
          LOCAL_DEADLINE_MS,
        ),
      )
    // A nameserver that was too slow has the change with its next registration.
    await Promise.allSettled(told)
  }

  /** Takes the broker out of the nameserver of this process. Links leave theirs when the actor system stops. */
  stop(): void {
    const broker = this.#broker
    this.#broker = undefined
    if (broker) this.#options.nameserver?.tell({ kind: 'local-broker-left', broker })
  }
}

/** Addresses of `host:port;host:port`. @throws MillraceError INVALID_CONFIG */
function parseNameservers(list: string): NetAddress[] {
  return list
    .split(';')
    .filter(text => text !== '')
    .map(text => {
      const address = parseAddress(text)
      if (!address)
        throw new MillraceError('INVALID_CONFIG', `namesrvAddr has "${text}"; write host:port, several joined by ";"`)
      return address
    })
}
