import { crc32 } from 'node:zlib'
import { type Clock, RequestCode, ResponseCode } from '@millrace/core'
import type { RemotingRequest, Reply } from '../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal } from '../requests/answer.js'
import { asJson } from '../requests/body.js'
import { booleanField, optionalIntegerField, optionalTextField, textField } from '../requests/fields.js'
import { type KvConfig, ORDER_TOPIC_CONFIG } from './kv-config.js'
import { inflateRegisterBody, parseDataVersion, parseRegisterBody } from './register-body.js'
import { type BrokerIdentity, compareDataVersions } from './registration.js'
import type { RouteTable } from './route-table.js'

const HEARTBEAT_TIMEOUT_MS = 120_000
const EMPTY_BODY = Buffer.alloc(0)

/** What brokers of other processes send, by code. behaviour.md §1 */
export function registrationAnswers(
  routes: RouteTable,
  kv: KvConfig,
  clock: Clock,
  options: { readonly returnOrderTopicConfigToBroker: boolean },
): [number, Answer][] {
  return [
    [
      RequestCode.REGISTER_BROKER,
      request => {
        register(routes, request, clock.now())
        return registeredReply(routes, kv, request, options.returnOrderTopicConfigToBroker)
      },
    ],
    [
      RequestCode.UNREGISTER_BROKER,
      ({ command }) => {
        const broker = identity(command)
        // Brokers of this process leave by themselves.
        if (routes.find(broker)?.peerId !== undefined) routes.leave(broker)
        return DONE
      },
    ],
    [
      RequestCode.BROKER_HEARTBEAT,
      ({ command }) => {
        routes.refresh(identity(command), clock.now())
        return DONE
      },
    ],
    [RequestCode.QUERY_DATA_VERSION, request => dataVersionReply(routes, request, clock.now())],
  ]
}

function register(routes: RouteTable, { command, peer }: RemotingRequest, now: number): void {
  const body = command.body ?? EMPTY_BODY
  const expected = optionalIntegerField(command, 'bodyCrc32') ?? 0
  if (expected !== 0 && crc32(body) !== expected >>> 0) throw new Refusal(ResponseCode.SYSTEM_ERROR, 'crc32 not match')
  const isCompressed = booleanField(command, 'compressed', false)
  const table = isCompressed ? inflateRegisterBody(body) : parseRegisterBody(body)
  if (!table) throw new Refusal(ResponseCode.SYSTEM_ERROR, 'body is not a RegisterBrokerBody; nothing was registered')
  const isAccepted = routes.register(
    {
      ...identity(command),
      address: textField(command, 'brokerAddr'),
      peerId: peer.id,
      haServerAddr: optionalTextField(command, 'haServerAddr') ?? '',
      enableActingMaster: booleanField(command, 'enableActingMaster', false),
      timeoutMs: optionalIntegerField(command, 'heartbeatTimeoutMillis') ?? HEARTBEAT_TIMEOUT_MS,
      ...table,
    },
    now,
  )
  if (!isAccepted)
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `broker ${command.extFields['brokerName']} is registered already, in this process or from another address with a newer state`,
    )
}

/** Replicas learn of their master; every broker may get the order configurations. */
function registeredReply(routes: RouteTable, kv: KvConfig, { command }: RemotingRequest, withOrder: boolean): Reply {
  const { brokerId, brokerName, clusterName } = identity(command)
  const master = brokerId === 0 ? undefined : routes.find({ brokerId: 0, brokerName, clusterName })
  const extFields = master && { haServerAddr: master.haServerAddr, masterAddr: master.address ?? '' }
  const table = withOrder ? kv.list(ORDER_TOPIC_CONFIG) : undefined
  return table ? jsonReply({ table }, extFields) : { ...DONE, extFields }
}

function dataVersionReply(routes: RouteTable, { command }: RemotingRequest, now: number): Reply {
  const known = routes.find(identity(command))
  const theirs = parseDataVersion(command.body?.toString('utf8') ?? '')
  if (!known) return { ...DONE, extFields: { changed: 'true' } }
  known.lastSeen = now
  const changed = !theirs || compareDataVersions(known.dataVersion, theirs) !== 0
  return jsonReply(asJson(known.dataVersion), { changed: String(changed) })
}

function identity(command: RemotingRequest['command']): BrokerIdentity {
  return {
    clusterName: textField(command, 'clusterName'),
    brokerName: textField(command, 'brokerName'),
    brokerId: optionalIntegerField(command, 'brokerId') ?? 0,
  }
}
