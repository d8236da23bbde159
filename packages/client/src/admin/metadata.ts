import {
  isSystemGroup,
  isSystemTopic,
  type LenientJson,
  MillraceError,
  parseLenientJson,
  RequestCode,
} from '@millrace/core'
import { type ClientContext, requestAddress } from '../client-context.js'
import { asMembers, asNumber, asText, asTexts, membersOf } from './admin-bodies.js'
import { allMasters, type Master } from './cluster.js'

type Settings = Readonly<Record<string, unknown>>

/** What a broker knows beside its messages: plain data, to be kept as JSON. */
export interface BrokerMetadata {
  readonly brokerName: string
  /** Topic → JSON object TopicConfig of RocketMQ; topics that every broker has are left out. */
  readonly topicConfigTable: Readonly<Record<string, Settings>>
  /** Group → JSON object SubscriptionGroupConfig. */
  readonly subscriptionGroupTable: Readonly<Record<string, Settings>>
  /** `topic@group` → queue id → next offset to consume. */
  readonly consumerOffsets: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export interface ClusterMetadata {
  /** Milliseconds since the epoch. */
  readonly exportTime: number
  readonly brokers: readonly BrokerMetadata[]
}

export interface ImportedMetadata {
  readonly topics: number
  readonly groups: number
  readonly offsets: number
}

/** Offsets that are sent before the first of them is answered: brokers store them together. */
const OFFSETS_AT_ONCE = 256

export async function exportMetadata(context: ClientContext): Promise<ClusterMetadata> {
  const brokers: BrokerMetadata[] = []
  for (const master of await allMasters(context)) brokers.push(await exportBroker(context, master))
  return { exportTime: context.environment.clock.now(), brokers }
}

async function exportBroker(context: ClientContext, { address, brokerName }: Master): Promise<BrokerMetadata> {
  const ask = async (code: number) =>
    membersOf((await requestAddress(context, address, `export of broker "${brokerName}"`, { code })).body)
  const own = new Set(asTexts((await ask(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER))['topicList']))
  const topics = asMembers((await ask(RequestCode.GET_ALL_TOPIC_CONFIG))['topicConfigTable'])
  const groups = asMembers((await ask(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG))['subscriptionGroupTable'])
  const offsets = asMembers((await ask(RequestCode.GET_ALL_CONSUMER_OFFSET))['offsetTable'])
  return {
    brokerName,
    topicConfigTable: settingsOf(topics, name => !own.has(name) && !isSystemTopic(name)),
    subscriptionGroupTable: settingsOf(groups, name => !isSystemGroup(name)),
    consumerOffsets: offsetsOf(offsets, topic => !own.has(topic) && !isSystemTopic(topic)),
  }
}

/**
 * Reads what `exportMetadata` gave, or the file of `mqadmin exportMetadata` (which has no offsets).
 * @throws MillraceError INVALID_ARGUMENT
 */
export function parseMetadata(text: string): readonly Partial<BrokerMetadata>[] {
  const parsed = parseLenientJson(text)
  if (!parsed.ok) throw new MillraceError('INVALID_ARGUMENT', `this is not exported metadata: ${parsed.reason}`)
  const members = asMembers(parsed.value)
  const brokers = Array.isArray(members['brokers']) ? members['brokers'].map(asMembers) : [members]
  return brokers.map(broker => {
    if (broker['topicConfigTable'] === undefined && broker['subscriptionGroupTable'] === undefined)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        'this is not exported metadata: there is neither topicConfigTable nor subscriptionGroupTable',
      )
    const brokerName = asText(broker['brokerName'])
    return {
      ...(brokerName !== '' && { brokerName }),
      topicConfigTable: settingsOf(asMembers(broker['topicConfigTable']), name => !isSystemTopic(name)),
      subscriptionGroupTable: settingsOf(asMembers(broker['subscriptionGroupTable']), name => !isSystemGroup(name)),
      consumerOffsets: offsetsOf(asMembers(broker['consumerOffsets']), topic => !isSystemTopic(topic)),
    }
  })
}

/** Creates what is missing and changes what differs; nothing is deleted. */
export async function importMetadata(
  context: ClientContext,
  text: string,
  options: { readonly withOffsets?: boolean | undefined },
): Promise<ImportedMetadata> {
  const brokers = parseMetadata(text)
  const masters = await allMasters(context)
  const counts = { topics: 0, groups: 0, offsets: 0 }
  for (const metadata of brokers)
    for (const master of targetsOf(metadata, brokers.length, masters)) {
      const topics = Object.entries(metadata.topicConfigTable ?? {})
      const groups = Object.entries(metadata.subscriptionGroupTable ?? {})
      if (topics.length > 0) await send(context, master, RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, topicList(topics))
      if (groups.length > 0)
        await send(context, master, RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, {
          groupConfigList: groups.map(([groupName, group]) => ({ ...group, groupName })),
        })
      counts.topics += topics.length
      counts.groups += groups.length
      if (options.withOffsets) counts.offsets += await importOffsets(context, master, metadata.consumerOffsets ?? {})
    }
  return counts
}

/** The broker of the same name; any name will do when there is one on both sides, and no name means all. */
function targetsOf(
  { brokerName }: Partial<BrokerMetadata>,
  count: number,
  masters: readonly Master[],
): readonly Master[] {
  if (brokerName === undefined || (count === 1 && masters.length === 1)) return masters
  const named = masters.filter(master => master.brokerName === brokerName)
  if (named.length > 0) return named
  throw new MillraceError(
    'INVALID_ARGUMENT',
    `metadata of broker "${brokerName}" has no broker to go to; there are ${masters.map(master => master.brokerName).join(', ') || 'none'}`,
  )
}

function topicList(topics: readonly (readonly [string, Settings])[]): object {
  const topicConfigList = topics.map(([topicName, { attributes, ...settings }]) => ({
    ...settings,
    topicName,
    attributes: Object.fromEntries(
      Object.entries(asMembers(attributes as LenientJson)).map(([key, value]) => [`+${key}`, asText(value)]),
    ),
  }))
  return { topicConfigList }
}

async function importOffsets(
  context: ClientContext,
  { address, brokerName }: Master,
  table: BrokerMetadata['consumerOffsets'],
): Promise<number> {
  const commits = Object.entries(table).flatMap(([key, queues]) => {
    const [topic, consumerGroup] = splitKey(key)
    return Object.entries(queues).map(([queueId, offset]) => ({
      consumerGroup,
      topic,
      queueId,
      commitOffset: String(offset),
    }))
  })
  for (let at = 0; at < commits.length; at += OFFSETS_AT_ONCE)
    await Promise.all(
      commits.slice(at, at + OFFSETS_AT_ONCE).map(fields =>
        requestAddress(context, address, `offset of group "${fields.consumerGroup}" on broker "${brokerName}"`, {
          code: RequestCode.UPDATE_CONSUMER_OFFSET,
          fields,
        }),
      ),
    )
  return commits.length
}

async function send(
  context: ClientContext,
  { address, brokerName }: Master,
  code: number,
  content: object,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(content))
  await requestAddress(context, address, `import to broker "${brokerName}"`, { code, body })
}

function settingsOf(table: object, accepts: (name: string) => boolean): Record<string, Settings> {
  const accepted = Object.entries(table as Readonly<Record<string, LenientJson>>).filter(([name]) => accepts(name))
  return Object.fromEntries(accepted.map(([name, settings]) => [name, asMembers(settings)]))
}

function offsetsOf(table: object, accepts: (topic: string) => boolean): Record<string, Record<string, number>> {
  const offsets: Record<string, Record<string, number>> = {}
  for (const [key, queues] of Object.entries(table as Readonly<Record<string, LenientJson>>)) {
    if (!accepts(splitKey(key)[0])) continue
    const entries =
      queues instanceof Map ? [...(queues as ReadonlyMap<unknown, LenientJson>)] : Object.entries(asMembers(queues))
    offsets[key] = Object.fromEntries(entries.map(([queueId, offset]) => [String(queueId), asNumber(offset)]))
  }
  return offsets
}

function splitKey(key: string): readonly [topic: string, group: string] {
  const at = key.indexOf('@')
  return at < 0 ? [key, ''] : [key.slice(0, at), key.slice(at + 1)]
}
