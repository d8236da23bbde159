import { formatJsonBody, type LenientJson } from '../json/lenient-json.js'
import {
  asJson,
  booleanOf,
  type Decoded,
  decodeObject,
  type Members,
  numberOf,
  numbersOf,
  objectsOf,
  textOf,
  textsOf,
} from './fields.js'

/** What a consumer group wants of one topic. */
export interface SubscriptionData {
  readonly topic: string
  readonly subString: string
  /** Some clients leave the two sets out: parse `subString` rather than trust them. */
  readonly tagsSet: readonly string[]
  readonly codeSet: readonly number[]
  /** Grows with each change. Beyond 2^53 (Go sends nanoseconds) it is the nearest double. */
  readonly subVersion: number
  /** TAG or SQL92. */
  readonly expressionType: string
  readonly classFilterMode: boolean
}

export interface ConsumerData {
  readonly groupName: string
  /** CONSUME_ACTIVELY (pull), CONSUME_PASSIVELY (push) or CONSUME_POP. */
  readonly consumeType: string
  /** BROADCASTING or CLUSTERING. */
  readonly messageModel: string
  readonly consumeFromWhere: string
  readonly subscriptionDataSet: readonly SubscriptionData[]
  readonly unitMode: boolean
}

/** Body of HEART_BEAT (34). behaviour.md §2 */
export interface HeartbeatData {
  readonly clientID: string
  readonly producerDataSet: readonly { readonly groupName: string }[]
  readonly consumerDataSet: readonly ConsumerData[]
  /** Not 0: the client speaks heartbeat V2. */
  readonly heartbeatFingerprint: number
  readonly withoutSub: boolean
}

/** C++ clients send the ordinals of these. */
const CONSUME_TYPES = ['CONSUME_ACTIVELY', 'CONSUME_PASSIVELY', 'CONSUME_POP']
const MESSAGE_MODELS = ['BROADCASTING', 'CLUSTERING']
const CONSUME_FROM_WHERE = [
  'CONSUME_FROM_LAST_OFFSET',
  'CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST',
  'CONSUME_FROM_MIN_OFFSET',
  'CONSUME_FROM_MAX_OFFSET',
  'CONSUME_FROM_FIRST_OFFSET',
  'CONSUME_FROM_TIMESTAMP',
]

function enumOf(value: LenientJson | undefined, names: readonly string[], missing: string): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' ? (names[value] ?? missing) : missing
}

export function readSubscription(members: Members): SubscriptionData {
  return {
    topic: textOf(members['topic']),
    subString: textOf(members['subString'], '*'),
    tagsSet: textsOf(members['tagsSet']),
    codeSet: numbersOf(members['codeSet']),
    subVersion: numberOf(members['subVersion']),
    expressionType: textOf(members['expressionType'], 'TAG'),
    classFilterMode: booleanOf(members['classFilterMode']),
  }
}

function readConsumer(members: Members): ConsumerData {
  return {
    groupName: textOf(members['groupName']),
    consumeType: enumOf(members['consumeType'], CONSUME_TYPES, 'CONSUME_PASSIVELY'),
    messageModel: enumOf(members['messageModel'], MESSAGE_MODELS, 'CLUSTERING'),
    consumeFromWhere: enumOf(members['consumeFromWhere'], CONSUME_FROM_WHERE, 'CONSUME_FROM_LAST_OFFSET'),
    subscriptionDataSet: objectsOf(members['subscriptionDataSet'], readSubscription),
    unitMode: booleanOf(members['unitMode']),
  }
}

export function decodeHeartbeat(body: Uint8Array | undefined): Decoded<HeartbeatData> {
  return decodeObject(body, members => ({
    clientID: textOf(members['clientID']),
    producerDataSet: objectsOf(members['producerDataSet'], producer => ({ groupName: textOf(producer['groupName']) })),
    consumerDataSet: objectsOf(members['consumerDataSet'], readConsumer),
    heartbeatFingerprint: numberOf(members['heartbeatFingerprint']),
    withoutSub: booleanOf(members['withoutSub']),
  }))
}

export function encodeHeartbeat(heartbeat: HeartbeatData): Buffer {
  return formatJsonBody(asJson(heartbeat))
}
