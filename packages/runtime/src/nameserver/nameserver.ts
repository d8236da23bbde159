import {
  assertNever,
  type Behavior,
  type DataVersion,
  type ReplyTo,
  RequestCode,
  receive,
  setup,
  type TopicConfig,
} from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import type { NameserverConfig } from '../config/index.js'
import type { Peer, RemotingRequest } from '../listener/peer.js'
import { type Answer, handlerOf } from '../requests/answer.js'
import type { ConfigChange } from '../requests/config-changes.js'
import { adminAnswers } from './admin-answers.js'
import { KvConfig, type KvNamespace } from './kv-config.js'
import type { BrokerIdentity, LocalBroker } from './registration.js'
import { registrationAnswers } from './registration-answers.js'
import { routeAnswers } from './route-answers.js'
import { RouteTable } from './route-table.js'

/** What the nameserver actor takes. */
export type NameserverMessage =
  | { readonly kind: 'request'; readonly request: RemotingRequest }
  | {
      readonly kind: 'local-broker-joined'
      readonly broker: LocalBroker
      readonly topics: Iterable<TopicConfig>
      readonly dataVersion: DataVersion
      readonly reply: ReplyTo<void>
    }
  | {
      readonly kind: 'local-topics-changed'
      readonly broker: BrokerIdentity
      readonly changed: readonly TopicConfig[]
      readonly removed: readonly string[]
      readonly dataVersion: DataVersion
      readonly reply: ReplyTo<void>
    }
  | { readonly kind: 'local-broker-left'; readonly broker: BrokerIdentity }
  | { readonly kind: 'peer-closed'; readonly peer: Peer }
  | { readonly kind: 'scan-due' }

export interface NameserverOptions {
  readonly config: NameserverConfig
  /** Texts for administrators (KV config), by namespace. */
  readonly kvConfig: MetadataTable<KvNamespace>
  /** Settings that operators changed. */
  readonly configRecords: MetadataTable<ConfigChange>
}

/** Requests that the nameserver serves; brokers serve none of them. remoting.md §10.1 */
export const NAMESERVER_REQUESTS: readonly number[] = [
  RequestCode.PUT_KV_CONFIG,
  RequestCode.GET_KV_CONFIG,
  RequestCode.DELETE_KV_CONFIG,
  RequestCode.REGISTER_BROKER,
  RequestCode.UNREGISTER_BROKER,
  RequestCode.GET_ROUTEINFO_BY_TOPIC,
  RequestCode.GET_BROKER_CLUSTER_INFO,
  RequestCode.WIPE_WRITE_PERM_OF_BROKER,
  RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
  RequestCode.DELETE_TOPIC_IN_NAMESRV,
  RequestCode.REGISTER_TOPIC_IN_NAMESRV,
  RequestCode.GET_KVLIST_BY_NAMESPACE,
  RequestCode.GET_TOPICS_BY_CLUSTER,
  RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS,
  RequestCode.GET_UNIT_TOPIC_LIST,
  RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST,
  RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
  RequestCode.UPDATE_NAMESRV_CONFIG,
  RequestCode.GET_NAMESRV_CONFIG,
  RequestCode.QUERY_DATA_VERSION,
  RequestCode.ADD_WRITE_PERM_OF_BROKER,
  RequestCode.GET_BROKER_MEMBER_GROUP,
  RequestCode.BROKER_HEARTBEAT,
]

/**
 * The nameserver: which broker has which topic. Routes live in memory only, brokers bring them;
 * a broker leaves with its connection, by saying so, or by silence. behaviour.md §1
 *
 * State survives a restart of the actor: brokers of this process register once.
 */
export function nameserver({ config, configRecords, kvConfig }: NameserverOptions): Behavior<NameserverMessage> {
  const routes = new RouteTable()
  const kv = new KvConfig(kvConfig)
  return setup(context => {
    const { clock } = context
    const answers: readonly [number, Answer][] = [
      ...routeAnswers(routes, kv, config),
      ...registrationAnswers(routes, kv, clock, config),
      ...adminAnswers(routes, kv, config, configRecords),
    ]
    const handlers = new Map(answers.map(([code, answer]) => [code, handlerOf(answer)]))
    const watched = new WeakSet<Peer>()
    context.every(config.scanNotActiveBrokerInterval, { kind: 'scan-due' })

    /** Brokers go with the connection they register over. */
    function watch(peer: Peer): void {
      if (watched.has(peer)) return
      watched.add(peer)
      peer.onClose(() => context.self.tell({ kind: 'peer-closed', peer }))
    }

    return receive(message => {
      switch (message.kind) {
        case 'request': {
          const { command, peer } = message.request
          handlers.get(command.code)?.(message.request)
          if (command.code === RequestCode.REGISTER_BROKER) watch(peer)
          break
        }
        case 'local-broker-joined':
          routes.registerLocal(message.broker, message.topics, message.dataVersion, clock.now())
          message.reply.tell()
          break
        case 'local-topics-changed':
          routes.updateLocal(message.broker, message, message.dataVersion)
          message.reply.tell()
          break
        case 'local-broker-left':
          routes.leave(message.broker)
          break
        case 'peer-closed':
          routes.leavePeer(message.peer.id)
          break
        case 'scan-due':
          routes.expire(clock.now())
          break
        default:
          assertNever(message)
      }
    })
  })
}
