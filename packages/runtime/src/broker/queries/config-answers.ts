import { type DataVersion, MillraceError, type RemotingCommand, RequestCode, ResponseCode } from '@millrace/core'
import { type BrokerConfig, brokerConfig } from '../../config/index.js'
import type { Reply } from '../../listener/peer.js'
import { type Answer, DONE, Refusal, textReply } from '../../requests/answer.js'
import { propertiesText } from '../../requests/properties-text.js'

/**
 * What may be changed over the network: never a path, a listener, a limit that guards memory, or anything of security.
 */
const CHANGEABLE: ReadonlySet<string> = new Set<keyof BrokerConfig>([
  'autoCreateSubscriptionGroup',
  'autoCreateTopicEnable',
  'brokerPermission',
  'channelExpiredTimeout',
  'deleteWhen',
  'diskMaxUsedSpaceRatio',
  'fileReservedTime',
  'longPollingEnable',
  'notifyConsumerIdsChangedEnable',
  'shortPollingTimeMills',
  'traceOn',
])

/**
 * Requests about the configuration, by code. Changes are made in `config` itself, so that everybody who holds it sees
 * them; they last until the broker stops. behaviour.md §18, §22
 */
export function configAnswers(config: BrokerConfig, version: () => DataVersion): [number, Answer][] {
  return [
    [RequestCode.GET_BROKER_CONFIG, () => textReply(propertiesText(config), { version: JSON.stringify(version()) })],
    [RequestCode.UPDATE_BROKER_CONFIG, ({ command }) => change(config, command)],
  ]
}

function change(config: BrokerConfig, command: RemotingCommand): Reply {
  const changes = parseProperties(command.body?.toString('utf8') ?? '')
  for (const name of Object.keys(changes))
    if (!CHANGEABLE.has(name))
      throw new Refusal(
        ResponseCode.NO_PERMISSION,
        `Can not update config ${name} over the network; change the configuration and restart the broker`,
      )
  Object.assign(config, checked(config, changes))
  return DONE
}

/** The changed values, of the right types. @throws Refusal 1 */
function checked(config: BrokerConfig, changes: Readonly<Record<string, string>>): Partial<BrokerConfig> {
  try {
    const changed = brokerConfig({ ...config, ...(changes as unknown as Partial<BrokerConfig>) })
    return Object.fromEntries(Object.keys(changes).map(name => [name, changed[name as keyof BrokerConfig]]))
  } catch (error) {
    if (error instanceof MillraceError) throw new Refusal(ResponseCode.SYSTEM_ERROR, error.message)
    throw error
  }
}

/** `name=value` lines as Java writes them; comments are skipped. */
function parseProperties(text: string): Record<string, string> {
  const properties: Record<string, string> = Object.create(null)
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match) properties[match[1]] = match[2]
  }
  return properties
}
