import { RequestCode } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import { type BrokerConfig, brokerConfig } from '../../config/index.js'
import { type Answer, DONE, textReply } from '../../requests/answer.js'
import { type ConfigChange, ConfigChanges } from '../../requests/config-changes.js'
import { propertiesText } from '../../requests/properties-text.js'

/**
 * What may be changed over the network: never a path, an address, a listener, a limit that guards memory, or anything of
 * security. Whoever adds a name here makes sure that the setting is read each time it is used.
 */
const CHANGEABLE: ReadonlySet<keyof BrokerConfig> = new Set<keyof BrokerConfig>([
  'autoCreateSubscriptionGroup',
  'autoCreateTopicEnable',
  'brokerPermission',
  'channelExpiredTimeout',
  'defaultMessageRequestMode',
  'defaultPopShareQueueNum',
  'deleteWhen',
  'diskFreeBytesEnough',
  'diskMaxUsedSpaceRatio',
  'diskSpaceCleanForciblyRatio',
  'diskSpaceWarningLevelRatio',
  'enablePropertyFilter',
  'fileReservedTime',
  'filterSupportRetry',
  'longPollingEnable',
  'maxTransferCountOnMessageInMemory',
  'notifyConsumerIdsChangedEnable',
  'popFromRetryProbability',
  'recallMessageEnable',
  'rejectTransactionMessage',
  'serverLoadBalancerEnable',
  'shortPollingTimeMills',
  'storeReplyMessageEnable',
  'traceOn',
  'transactionCheckInterval',
  'transactionCheckMax',
  'transactionTimeOut',
  'useServerSideResetOffset',
])

/** Requests about the configuration, by code. behaviour.md §18, §22 */
export function configAnswers(config: BrokerConfig, records: MetadataTable<ConfigChange>): [number, Answer][] {
  const changes = new ConfigChanges<BrokerConfig>({ config, records, changeable: CHANGEABLE, check: brokerConfig })
  return [
    [
      RequestCode.GET_BROKER_CONFIG,
      () => textReply(propertiesText(config), { version: JSON.stringify(changes.version) }),
    ],
    [
      RequestCode.UPDATE_BROKER_CONFIG,
      async ({ command }) => {
        await changes.apply(command.body?.toString('utf8') ?? '')
        return DONE
      },
    ],
  ]
}
